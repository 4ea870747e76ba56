"""How good a network is on objects that it has not seen: their other views, and their solids where they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.isosurface import EmptySurface, FieldError
from models.lrm.decoding import density_surface
from models.lrm.fields import DensityField
from models.lrm.single_view import SingleViewModel
from models.lrm.volume import render_rays
from models.optimisation.chance import generator, seed_of
from models.writing import write_whole
from training.measures import (
    border_points,
    f_score,
    intersection_over_union,
    signal_to_noise,
    similarity,
    surface_points,
)
from training.mira.bank import Shown, sources_of
from training.mira.config import Augmentation, Config, Crops
from training.mira.frames import Frame, frame_of
from training.mira.items import source_picture
from training.mira.objective import Perceptual
from training.pixels import png, resampled

NEAR = 0.05
"""Distance of the F-score, in longest sides of the object."""
SURFACE_POINTS = 4096


@dataclass(frozen=True)
class Case:
    """One object with one source view, and the views that are compared: the source first."""

    shown: Shown
    views: tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """figures: by name. row: the source and, for each view, truth and result side by side, [H, W, 3] uint8."""

    figures: dict[str, float]
    row: NDArray[np.uint8]


def cases_of(shown: Sequence[Shown], config: Config, amount: int) -> list[Case]:
    """So many objects by chance, the same every time, each with its views."""
    seed = config.run.seed
    order = torch.randperm(len(shown), generator=generator(seed, "validation")).tolist()
    cases: list[Case] = []
    for number in order:
        sources = [view for _, view in sources_of([shown[number]], config.data.elevations)]
        if sources and len(cases) < amount:
            chance = np.random.default_rng(seed_of(seed, "validation", shown[number].name))
            source = int(chance.choice(sources))
            others = np.delete(np.arange(shown[number].count), source)
            cases.append(
                Case(shown[number], (source, *map(int, chance.permutation(others)[: config.validation.views])))
            )
    return cases


def frame_for(shown: Shown, view: int, config: Config) -> Frame:
    """The frame of a source view with nothing changed and nothing left to chance."""
    height, width = shown.pictures.shape[1:3]
    crops = config.crops if config.crops.source == "object" else Crops()
    middle = sum(crops.fill) / 2
    crops = crops.model_copy(update={"fill": (middle, middle), "shift": 0.0})
    chance = np.random.default_rng(0)
    pose, lens, box = shown.poses[view], shown.intrinsics[view], shown.boxes[view]
    return frame_of(pose, lens, box, (width, height), config.data.scale, crops, Augmentation(), chance)


@torch.no_grad()
def judge(
    network: SingleViewModel, case: Case, config: Config, source_size: int, perceptual: Perceptual | None
) -> Judged:
    """One object."""
    settings, shown, device = config.validation, case.shown, network.pos_embed.device
    frame = frame_for(shown, case.views[0], config)
    picture = torch.from_numpy(source_picture(shown, case.views[0], frame, source_size))
    camera = torch.from_numpy(frame.camera(network.config.camera_numbers // 4 - 1))
    planes = network.planes(picture[None].to(device), camera[None].to(device))[0]
    field = DensityField(network.synthesizer.decoder, planes.float())
    seen = torch.stack([_rendered(field, frame, shown, view, config) for view in case.views])
    wanted = torch.stack([_wanted(shown, view, settings.size) for view in case.views])
    # The source view itself is shown, and not counted: to repeat it is no feat.
    one, other = (seen[1:], wanted[1:]) if len(seen) > 1 else (seen, wanted)
    figures = {"psnr": float(signal_to_noise(one, other).mean()), "ssim": float(similarity(one, other).mean())}
    if perceptual is not None:
        figures["lpips"] = float(perceptual(one.to(device), other.to(device)).mean())
    if shown.bits is not None:
        figures |= solid_figures(field, frame, shown, settings.lattice, settings.level)
    size = (settings.size, settings.size)
    given = Image.fromarray(_bytes(picture)).resize(size)
    row = [np.asarray(given), *(_bytes(each) for pair in zip(wanted, seen, strict=True) for each in pair)]
    return Judged(figures, np.concatenate(row, axis=1))


def solid_figures(field: DensityField, frame: Frame, shown: Shown, lattice: int, level: float) -> dict[str, float]:
    """IoU in the world's box, and F-score of the surface within `NEAR` of the longest side."""
    cells = lattice - 1
    place = (torch.arange(cells, dtype=torch.float64) + 0.5) * (2 / cells) - 1
    world = torch.stack(torch.meshgrid(place, place, place, indexing="ij"), dim=-1).reshape(-1, 3).numpy()
    points = torch.from_numpy(frame.points(world)).float()
    within = (points.abs() <= 1).all(1)
    found = torch.zeros(len(points), dtype=torch.bool)
    found[within] = field.density(points[within]).cpu() >= level
    truth = torch.from_numpy(shown.inside(world))
    shape = (cells, cells, cells)
    figures = {"iou": intersection_over_union(found, truth)}
    longest = float(np.ptp(shown.extent, axis=0).max())
    draw = generator(0, "surface")
    try:
        triangles = density_surface(field, lattice, level)
    except (EmptySurface, FieldError):
        return figures | {"f_score": 0.0}
    vertices = torch.from_numpy(frame.back(triangles.vertices.astype(np.float64))).float()
    sampled = surface_points(vertices, torch.from_numpy(triangles.faces), SURFACE_POINTS, draw)
    border = border_points(truth.view(shape))
    some = border[torch.randperm(len(border), generator=draw)[:SURFACE_POINTS]]
    return figures | {"f_score": f_score(sampled, some, NEAR * longest)}


def validate(
    network: SingleViewModel,
    cases: Mapping[str, Sequence[Case]],
    config: Config,
    source_size: int,
    perceptual: Perceptual | None,
    pictures: Path | None,
) -> dict[str, float]:
    """Means over the cases, by "<group>/<figure>".

    Args:
        cases: by group.
        pictures: the file that gets a row for each of the first `previews` of each group.
    """
    was = network.training
    network.eval()
    figures: dict[str, float] = {}
    rows = []
    try:
        for group, some in cases.items():
            judged = [judge(network, case, config, source_size, perceptual) for case in some]
            rows += [each.row for each in judged[: config.validation.previews]]
            for name in dict.fromkeys(name for each in judged for name in each.figures):
                values = [each.figures[name] for each in judged if name in each.figures]
                figures[f"{group}/{name}"] = sum(values) / len(values)
    finally:
        network.train(was)
    if pictures is not None and rows:
        write_whole(pictures, [png(np.concatenate(rows))])
    return figures


def _rendered(field: DensityField, frame: Frame, shown: Shown, view: int, config: Config) -> Tensor:
    size = config.validation.size
    rows, columns = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    places = np.stack([columns.ravel(), rows.ravel()], axis=1)
    rays = frame.rays(shown.poses[view], shown.intrinsics[view], places)
    device = field.planes.device
    origins, directions = (torch.from_numpy(each).to(device) for each in rays)
    seen = render_rays(field, origins, directions, config.rays.samples)
    return seen.colour.clamp(0.0, 1.0).view(size, size, 3).permute(2, 0, 1).cpu()


def _wanted(shown: Shown, view: int, size: int) -> Tensor:
    height, width = shown.pictures.shape[1:3]
    part = resampled(shown.pictures[view], (0.0, 0.0, float(width), float(height)), (size, size))
    return torch.from_numpy(part[..., :3] + (1.0 - part[..., 3:])).clamp(0.0, 1.0).permute(2, 0, 1)


def _bytes(picture: Tensor) -> NDArray[np.uint8]:
    return (picture.permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
