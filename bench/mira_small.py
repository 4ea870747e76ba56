"""`python -m bench.mira_small DATA RUN`: mira-small beside `inflate` on furniture that it has not seen.

Both get one view with its true camera: where it stands, its lens, and so the distance of the object's middle. What they
give is measured in the world of the object, whose longest side is 2: intersection over union of the solids on 64³
cells of [-1, 1]³, and the F-score of the surfaces at 5 % of the longest side.

What each leaves open is chosen on objects that mira-small was trained on, never on the held-out ones: the level of the
density, and the thickness of the inflated silhouettes. `--write FOLDER` writes the network in 16 bits, with its level
moved to the published one, and the list of every model that it has seen.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import LinearNDInterpolator

from backend.camera import Camera
from backend.geometry.lens import make_lens
from models.isosurface import EmptySurface
from models.lrm.decoders import density, raw_density
from models.lrm.decoding import density_surface
from models.lrm.fields import DensityField
from models.lrm.single_view import SingleViewModel
from models.lrm.single_view_files import claims, open_single_view, write_mira
from models.optimisation.chance import generator, seed_of
from models.rendering.cameras import Camera as Looking
from models.rendering.preview import preview
from models.writing import write_whole
from training.measures import border_points, f_score, intersection_over_union, surface_points
from training.mira.bank import Shown, keep
from training.mira.config import Config
from training.mira.items import source_picture
from training.mira.validation import frame_for
from training.split import read_split
from training.views import ObjectViews, open_views

CELLS, LATTICE, NEAR, POINTS = 64, 65, 0.05, 4096
THICKNESSES = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
SHIFTS = (-4.0, -2.0, 0.0, 2.0, 4.0, 6.0)
"""Of the raw density, with which levels are tried."""
SEED = 5
Surface = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Vertices [V, 3] in the world, faces [F, 3]."""


@dataclass(frozen=True)
class Task:
    """One view of one object, and the truth."""

    views: ObjectViews
    shown: Shown
    view: int
    truth: torch.Tensor
    border: torch.Tensor
    longest: float


@dataclass(frozen=True)
class Score:
    iou: float
    f: float


def lattice_points() -> NDArray[np.float64]:
    """Middles [P, 3] of the cells of the world's box."""
    place = (np.arange(CELLS) + 0.5) * (2 / CELLS) - 1
    return np.stack(np.meshgrid(place, place, place, indexing="ij"), axis=-1).reshape(-1, 3)


def tasks_of(found: Sequence[ObjectViews], root: Path, cache: Path, size: int, views: int) -> Iterator[Task]:
    """So many views of each object, the same every time."""
    for each in found:
        shown = keep(each, root / each.name, cache, size)
        if shown.bits is None or not shown.extent.any():
            continue
        truth = torch.from_numpy(shown.inside(lattice_points()).reshape(CELLS, CELLS, CELLS))
        solid = each.solid()
        assert solid is not None
        draw = generator(SEED, each.name)
        border = border_points(torch.from_numpy(solid))
        border = border[torch.randperm(len(border), generator=draw)[:POINTS]]
        longest = float(np.ptp(shown.extent, axis=0).max())
        seen = [view for view in range(shown.count) if shown.boxes[view].any()]
        chance = np.random.default_rng(seed_of(SEED, "views", each.name))
        for view in chance.permutation(seen)[:views]:
            yield Task(each, shown, int(view), truth, border, longest)


def score(task: Task, inside: NDArray[np.bool_], vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> Score:
    """Of a solid [P] at the lattice's points, and its surface."""
    draw = generator(SEED, "surface")
    points = surface_points(torch.from_numpy(vertices).float(), torch.from_numpy(faces), POINTS, draw)
    found = torch.from_numpy(inside.reshape(CELLS, CELLS, CELLS))
    return Score(intersection_over_union(found, task.truth), f_score(points, task.border, NEAR * task.longest))


class Inflated:
    """The surfaces of the pipeline `inflate`, their middle in the plane through the origin that faces the camera."""

    def __init__(self, task: Task) -> None:
        picture = task.views.picture(task.view)
        height, width = picture.shape[:2]
        mask = picture[..., 3] >= np.iinfo(picture.dtype).max / 2
        lens = task.shown.intrinsics[task.view]
        self.task, self.mask = task, mask
        self.camera = Camera.model_validate(
            {
                "fx": lens[0, 0] * width,
                "fy": lens[1, 1] * height,
                "cx": lens[0, 2] * width,
                "cy": lens[1, 2] * height,
                "width": width,
                "height": height,
                "world_from_camera": task.shown.poses[task.view].tolist(),
            }
        )
        self.lens = make_lens(mask, 256, 4)
        self.distance = float(np.linalg.norm(task.shown.poses[task.view][:3, 3]))
        front = ~np.isin(np.arange(len(self.lens.pixels)), self.lens.faces[~self.lens.back_faces], invert=True)
        self.half = LinearNDInterpolator(self.lens.pixels[front], -self.lens.offset[front], fill_value=0.0)

    def surface(self, thickness: float) -> Surface:
        # As `backend.placement`: before the middle by as much inverse depth as behind it.
        shares = np.clip(thickness * self.lens.offset / self.camera.fx, None, 0.75)
        return self.camera.unproject(self.lens.pixels, self.distance / (1 - shares)), self.lens.faces

    def score(self, thickness: float) -> Score:
        return score(self.task, self._inside(thickness), *self.surface(thickness))

    def _inside(self, thickness: float) -> NDArray[np.bool_]:
        pose = np.array(self.camera.world_from_camera)
        seen = (lattice_points() - pose[:3, 3]) @ pose[:3, :3]
        depth = -seen[:, 2]
        pixels = seen[:, :2] / depth[:, None] * [self.camera.fx, -self.camera.fy] + [self.camera.cx, self.camera.cy]
        column, row = np.floor(pixels).astype(int).T
        height, width = self.mask.shape
        within = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        within[within] = self.mask[row[within], column[within]]
        half = np.zeros(len(depth))
        half[within] = self.half(pixels[within]) * thickness / self.camera.fx
        inside: NDArray[np.bool_] = within & (np.abs(self.distance / depth - 1) <= half) & (half > 0)
        return inside


class Reconstructed:
    """The field of mira-small from a view."""

    def __init__(self, task: Task, network: SingleViewModel, config: Config, size: int) -> None:
        self.task, self.frame = task, frame_for(task.shown, task.view, config)
        picture = torch.from_numpy(source_picture(task.shown, task.view, self.frame, size))
        camera = torch.from_numpy(self.frame.camera(network.config.camera_numbers // 4 - 1))
        self.field = DensityField(network.synthesizer.decoder, network.planes(picture[None], camera[None])[0])
        points = torch.from_numpy(self.frame.points(lattice_points())).float()
        self.within = (points.abs() <= 1).all(1).numpy()
        self.density = self.field.density(points[self.within]).numpy()

    def score(self, level: float) -> Score:
        inside = np.zeros(CELLS**3, np.bool_)
        inside[self.within] = self.density >= level
        return score(self.task, inside, *self.surface(level))

    def surface(self, level: float) -> Surface:
        try:
            found = density_surface(self.field, LATTICE, level)
        except EmptySurface:
            return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
        return self.frame.back(found.vertices.astype(np.float64)), found.faces.astype(np.int64)


def level_of(shift: float) -> float:
    """The density that is reached where the raw density is the published level's, moved."""
    return float(density(torch.tensor(raw_density(3.0) + shift)))


def means(scores: Sequence[Score]) -> dict[str, float]:
    return {"iou": float(np.mean([each.iou for each in scores])), "f": float(np.mean([each.f for each in scores]))}


def best(tried: dict[float, list[Score]]) -> float:
    """The choice with the highest sum of both figures."""
    return max(tried, key=lambda choice: sum(means(tried[choice]).values()))


def bootstrap(
    one: Sequence[Score], other: Sequence[Score], names: Sequence[str], key: Callable[[Score], float]
) -> list[float]:
    """95 % interval of the mean gain of one over the other, objects drawn with repetition."""
    by_name: dict[str, list[float]] = {}
    for a, b, name in zip(one, other, names, strict=True):
        by_name.setdefault(name, []).append(key(a) - key(b))
    gains = np.array([np.mean(each) for each in by_name.values()])
    draws = np.random.default_rng(0).integers(0, len(gains), (2000, len(gains)))
    return [round(float(each), 4) for each in np.quantile(gains[draws].mean(1), (0.025, 0.975))]


def compare(data: Path, run: Path, views: int, tuned_on: int, most: int) -> dict[str, Any]:
    """All figures, and the choices that were made on what the network was trained on."""
    network, config, size = open_run(run)
    split = read_split(config.data.held_out) if isinstance(config.data.held_out, Path) else None
    if split is None:
        raise SystemExit("The run has no split by shape; data.held_out has to be a file of training.split.")
    found = {each.name: each for each in open_views(data, _told)}
    cache = config.data.cache or run / "cache"
    order = torch.randperm(len(split.train), generator=generator(SEED, "tuned")).tolist()
    tuning = [found[split.train[each]] for each in order if split.train[each] in found][:tuned_on]
    levels: dict[float, list[Score]] = {shift: [] for shift in SHIFTS}
    thicknesses: dict[float, list[Score]] = {each: [] for each in THICKNESSES}
    for task in tasks_of(tuning, data, cache, config.data.picture_size, 1):
        mine, theirs = Reconstructed(task, network, config, size), Inflated(task)
        for shift, scores in levels.items():
            scores.append(mine.score(level_of(shift)))
        for thickness, scores in thicknesses.items():
            scores.append(theirs.score(thickness))
    shift, thickness = best(levels), best(thicknesses)
    result: dict[str, Any] = {
        "shift": shift,
        "thickness": thickness,
        "trained": {
            "objects": len(tuning),
            "mira-small": {str(each): means(scores) for each, scores in levels.items()},
            "inflate": {str(each): means(scores) for each, scores in thicknesses.items()},
        },
    }
    for group, names in (("hard", split.hard), ("near", split.near)):
        some = [found[name] for name in names if name in found][:most]
        reached: dict[str, list[Score]] = {"mira-small": [], "inflate": [], "inflate, thickness tuned": []}
        seen = []
        for task in tasks_of(some, data, cache, config.data.picture_size, views):
            reached["mira-small"].append(Reconstructed(task, network, config, size).score(level_of(shift)))
            theirs = Inflated(task)
            reached["inflate"].append(theirs.score(1.0))
            reached["inflate, thickness tuned"].append(theirs.score(thickness))
            seen.append(task.shown.name)
        result[group] = {"objects": len(set(seen)), "views": len(seen)} | {
            name: means(each) for name, each in reached.items()
        }
        for name in ("inflate", "inflate, thickness tuned"):
            ours, others = reached["mira-small"], reached[name]
            result[group][f"gain over {name}, 95 %"] = {
                "iou": bootstrap(ours, others, seen, lambda each: each.iou),
                "f": bootstrap(ours, others, seen, lambda each: each.f),
                "better in iou": round(float(np.mean([a.iou > b.iou for a, b in zip(ours, others, strict=True)])), 3),
                "better in f": round(float(np.mean([a.f > b.f for a, b in zip(ours, others, strict=True)])), 3),
            }
    return result


def _told(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def open_run(run: Path) -> tuple[SingleViewModel, Config, int]:
    """The newest exported network of a run, its configuration, and the pixels of its source picture."""
    config = Config.model_validate_json((run / "config.json").read_text(encoding="utf-8"))
    return open_single_view(run / "models"), config, claims(run / "models").source_size


def pictures(data: Path, run: Path, shift: float, thickness: float, count: int, file: Path) -> None:
    """Held-out objects, a row each: the view that was given; mira-small and `inflate` from the side; the truth there.

    The truth is drawn from the solid, the others are surfaces in the same grey.
    """
    network, config, size = open_run(run)
    assert isinstance(config.data.held_out, Path)
    found = {each.name: each for each in open_views(data, _told)}
    names = [name for name in read_split(config.data.held_out).hard if name in found]
    order = torch.randperm(len(names), generator=generator(SEED, "pictures")).tolist()
    rows = []
    cache = config.data.cache or run / "cache"
    chosen = [found[names[each]] for each in order[:count]]
    for task in tasks_of(chosen, data, cache, config.data.picture_size, 1):
        mine, theirs = Reconstructed(task, network, config, size), Inflated(task)
        given = task.shown.pictures[task.view].astype(float) / 255
        row = [given[..., :3] + 1 - given[..., 3:]]
        truth = task.views.solid()
        assert truth is not None
        surfaces = (mine.surface(level_of(shift)), theirs.surface(thickness), _surface_of(truth))
        for turn in (0.0, 90.0):
            row += [_seen(*each, task.shown.poses[task.view], turn, row[0].shape[0]) for each in surfaces]
        rows.append(np.concatenate(row, axis=1))
    picture = Image.fromarray((np.concatenate(rows).clip(0, 1) * 255).round().astype(np.uint8))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    write_whole(file, [stream.getvalue()])


def _surface_of(solid: NDArray[np.bool_]) -> Surface:
    from skimage.measure import marching_cubes

    vertices, faces, *_ = marching_cubes(np.pad(solid.astype(np.float32), 1), 0.5)  # type: ignore[no-untyped-call]
    return ((vertices - 0.5) * (2 / len(solid)) - 1.0).astype(np.float64), faces[:, ::-1].astype(np.int64)


def _seen(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], pose: NDArray[np.float64], turn: float, size: int
) -> NDArray[np.float64]:
    """[size, size, 3] from the pose turned about the world's z axis, in grey."""
    if not len(faces):
        return np.ones((size, size, 3))
    angle = np.radians(turn)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    camera = Looking.perspective(torch.from_numpy(turned @ pose), 2 * np.degrees(np.arctan(0.5 / 0.75)))
    view = preview(torch.from_numpy(vertices), torch.from_numpy(faces), camera, width=size, samples=2)
    return view.colour.double().numpy()


def write(run: Path, shift: float, folder: Path, models: Path) -> Path:
    """The network in 16 bits, with its level moved to the published one, and the list of the models that it has seen.

    Args:
        models: what `training.objects` collected: its `objects.json` says whose they are.
    """
    network, _, size = open_run(run)
    last = network.synthesizer.decoder.net[6]
    assert isinstance(last, torch.nn.Linear)
    last.bias[0] -= shift
    step = max(int(each.stem.partition("_")[2]) for each in (run / "models").glob("checkpoint_*.pt"))
    settings = {"source_size": size, "render_size": claims(run / "models").render_size}
    file = write_mira(network, folder / f"checkpoint_{step}.pt", step, settings, dtype=torch.float16)
    known = {
        each["name"]: each for each in json.loads((models / "objects.json").read_text(encoding="utf-8"))["objects"]
    }
    seen = json.loads((run / "objects.json").read_text(encoding="utf-8"))["trained"]
    lines = [
        "# What mira-small was trained on",
        "",
        f"{len(seen)} models of Debian's sweethome3d-furniture packages, creators and licences as catalogued.",
        "",
        "| model | title | creator | licence |",
        "| --- | --- | --- | --- |",
        *(f"| {name} | {_cells(known[name])} |" for name in seen),
        "",
    ]
    write_whole(folder / "ATTRIBUTION.md", ["\n".join(lines).encode()])
    return file


def _cells(entry: dict[str, Any]) -> str:
    return " | ".join(
        str(entry.get(name) or "not stated").replace("|", "/") for name in ("title", "creator", "licence")
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.mira_small", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="rendered furniture")
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument("--views", type=int, default=2, help="of each held-out object")
    parser.add_argument(
        "--tuned-on", type=int, default=24, help="trained objects that level and thickness are chosen on"
    )
    parser.add_argument("--most", type=int, default=1000, help="objects of each held-out group")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    parser.add_argument("--pictures", type=Path, metavar="FILE", help="a PNG of held-out objects")
    parser.add_argument("--rows", type=int, default=8, help="of that")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="the network in 16 bits, and whose models it has seen"
    )
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="of `python -m training.objects`, for --write")
    chosen = parser.parse_args(arguments)
    if (chosen.write is None) is not (chosen.models is None):
        parser.error("--write needs --models, and the other way round.")
    with torch.no_grad():
        _measured(chosen)


def _measured(chosen: argparse.Namespace) -> None:
    result = compare(chosen.data, chosen.run, chosen.views, chosen.tuned_on, chosen.most)
    text = json.dumps(result, indent=1)
    print(text)
    sys.stdout.flush()
    if chosen.json:
        write_whole(chosen.json, [text.encode()])
    if chosen.pictures:
        pictures(chosen.data, chosen.run, result["shift"], result["thickness"], chosen.rows, chosen.pictures)
    if chosen.write:
        file = write(chosen.run, result["shift"], chosen.write, chosen.models)
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
