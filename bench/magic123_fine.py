"""`python -m bench.magic123_fine`: what a step of Magic123's fine stage costs, by part, and in the published order.

Both ways draw the same view of the same surface and are given the same gradients of two priors, whose networks are not
part of it. In the published order the field is asked at every pixel, covered or not, and each prior and then the
regularisers go backwards through the renderer on their own. Seconds are of the processor, or of the card if there is
one; kept is what the backward pass holds on to.

`--oracle MODELS` goes on from the coarse stage of `bench.magic123` with furniture of `python -m training.objects debian
MODELS` and a prior that knows it, and holds the surface against the truth before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.magic123 import FURNITURE, OVERLAP_BAR, REFERENCE_BAR, found_by_oracle
from bench.magic123_oracle import Oracle, Truth, noise_ratio, overlap, solid_of
from bench.multiview_measures import is_watertight
from models.guidance.prior import distilled
from models.magic123 import mesh_losses
from models.magic123.cameras import Orbit
from models.magic123.drawing import Shading
from models.magic123.field import FieldSettings, RadianceField
from models.magic123.fine import ADAM, FineSettings, FineStage, planned, reduced
from models.magic123.fine_start import begin
from models.magic123.reference import Reference
from models.magic123.settings import SMALL, Plan
from models.magic123.viewing import occupancy_of
from models.optimisation.chance import Step
from models.optimisation.loop import Loop, Settings, warm_up_then_cosine
from models.writing import write_json

BAR = 0.6
"""Of the published order's seconds."""

PARTS = ("tetrahedra to triangles", "rasterise, silhouettes", "field", "losses", "backward")
"""The rows, by the names of docs/magic123.md."""

ORACLE = FineSettings(
    steps=150,
    resolution=96,
    size=128,
    prior_size=128,
    known_first=10,
    distance_rate=3e-3,
)
"""For a processor: one object in minutes."""

WEIGHT = 50 / (3 * 128 * 128)


@dataclass
class Cost:
    """Of a novel view. seconds, kept: by part; kept is in MB."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    kept: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    shaded: int = 0
    faces: int = 0

    @property
    def total(self) -> float:
        """Seconds of the step."""
        return sum(self.seconds.values())


class Parts:
    """Notes what parts of the work take; a part within another is not counted twice."""

    def __init__(self, device: torch.device) -> None:
        self.cost, self.device = Cost(), device
        self._open: list[str] = []
        self._since = 0.0
        self._known: set[int] = set()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """While it lasts."""
        self._turn()
        self._open.append(name)
        with torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor):
            yield
        self._turn()
        self._open.pop()

    def _turn(self) -> None:
        """Gives the time since the last turn to the part that is open."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter() if self.device.type == "cuda" else time.process_time()
        if self._open:
            self.cost.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._known:
            self._known.add(storage.data_ptr())
            self.cost.kept[self._open[-1]] += storage.nbytes() / 1e6
        return tensor


class Asked(nn.Module):
    """A field that is a part of the work; `every`: as many points are asked for at least."""

    def __init__(self, inner: RadianceField) -> None:
        super().__init__()
        self.inner = inner
        self.parts: Parts | None = None
        self.every = 0

    def albedo(self, points: Tensor) -> Tensor:
        """As the field; what is asked for beside the points is thrown away."""
        assert self.parts is not None
        with self.parts.part("field"):
            more = points.new_zeros(max(self.every - len(points), 0), 3)
            self.parts.cost.shaded = len(points) + len(more)
            return self.inner.albedo(torch.cat([points, more]))[: len(points)]


def view(stage: FineStage, asked: Asked, plan: Plan, gradients: list[Tensor], published: bool) -> Cost:
    """One novel view, forwards and backwards, in either order of work; gradients are added to what is there."""
    settings, device = stage.settings, stage.signed.device
    asked.parts = parts = Parts(device)
    asked.every = settings.size**2 if published else 0
    with parts.part("tetrahedra to triangles"):
        surface = stage.surface()
    parts.cost.faces = len(surface.faces)
    with parts.part("rasterise, silhouettes"):
        light, background = plan.light[0].to(device), plan.background[0].to(device)
        seen = stage.draw(plan.orbit, surface=surface, shading=plan.shading, light=light, background=background)
    with parts.part("losses"):
        picture = reduced(seen.colour, settings.prior_size).movedim(2, 0)[None]
        several = gradients if published else [torch.stack(gradients).sum(0)]
        losses = [distilled(picture, each) for each in several]
        bends = mesh_losses.normal_consistency(surface.vertices, surface.faces, surface.edges)
        bumps = mesh_losses.laplacian(surface.vertices, surface.edges)
        losses.append(settings.weights.normals * bends + settings.weights.laplacian * bumps)
        losses = losses if published else [torch.stack(losses).sum()]
    with parts.part("backward"):
        for number, loss in enumerate(losses):
            loss.backward(retain_graph=number < len(losses) - 1)  # type: ignore[no-untyped-call]
    return parts.cost


def prepared(settings: FineSettings, grid: FieldSettings, device: torch.device) -> tuple[FineStage, Asked, Plan]:
    """A surface, its colours, and a novel view of it."""
    torch.manual_seed(0)
    reference = Reference(torch.full((64, 64, 3), 0.5), torch.ones(64, 64))
    asked = Asked(RadianceField(grid))

    def ball(points: Tensor) -> Tensor:
        return 10 * torch.exp(30 * (0.5 - (points * points.new_tensor([1.0, 1.5, 1.0])).norm(dim=1)))

    stage = FineStage(begin(ball, settings.resolution), asked, reference, [], settings).to(device)
    step = Step(settings.known_first + settings.known_every, 1)
    return stage, asked, planned(settings, stage.reference_orbit, step)


def measured(settings: FineSettings, grid: FieldSettings, device: torch.device, repeats: int) -> dict[str, Cost]:
    """A novel view in both orders of work; of several times the one that took the middle."""
    stage, asked, plan = prepared(settings, grid, device)
    chance = torch.Generator().manual_seed(1)
    shape = (1, 3, settings.prior_size, settings.prior_size)
    gradients = [torch.randn(shape, generator=chance).to(device) * 1e-4 for _ in range(2)]
    found = {}
    for way in ("here", "published"):
        costs = []
        for _ in range(repeats):
            stage.zero_grad(set_to_none=True)
            costs.append(view(stage, asked, plan, gradients, way == "published"))
        found[way] = sorted(costs, key=lambda cost: cost.total)[len(costs) // 2]
    return found


def table(costs: dict[str, Cost]) -> str:
    """Seconds and megabytes by part."""
    lines = [["a novel view", "here", "published order", "kept here", "kept, published order"], ["---"] * 5]
    for name in PARTS:
        seconds = [f"{costs[way].seconds[name]:.2f} s" for way in ("here", "published")]
        lines.append([name, *seconds, *(f"{costs[way].kept[name]:.0f} MB" for way in ("here", "published"))])
    seconds = [f"{costs[way].total:.2f} s" for way in ("here", "published")]
    lines.append(["all", *seconds, *(f"{sum(costs[way].kept.values()):.0f} MB" for way in ("here", "published"))])
    lines.append(["steps a second", *(f"{1 / costs[way].total:.2f}" for way in ("here", "published")), "", ""])
    lines.append(["points asked for", *(f"{costs[way].shaded:,}" for way in ("here", "published")), "", ""])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True)
class Found:
    """What came of an object. before, after: overlap of the solids. reference, views: PSNR, dB, after; views are four
    from all round. closed: the surface is, and it faces outwards. seconds: of the processor, coarse, fine, and of the
    fine ones those of the oracle's drawing."""

    name: str
    coarse: float
    before: float
    after: float
    reference_before: float
    reference: float
    views: float
    closed: bool
    faces: int
    seconds_coarse: float
    seconds_fine: float
    seconds_oracle: float


def refined(
    name: str, known: Truth, colouring: RadianceField, settings: FineSettings, seed: int, out: Path | None = None
) -> Found:
    """The fine stage from a coarse field, with a prior that knows the object; the coarse figures are left at 0."""
    reference = known.reference(settings.prior_size)
    oracle = Oracle(known, reference, lambda step: planned(settings, reference.orbit, step), WEIGHT)
    began = time.process_time()
    with torch.no_grad():
        mean = float(occupancy_of(colouring).densities.clamp(min=0).mean())
    colouring.grid.active = colouring.grid.settings.levels
    colouring.requires_grad_(True)
    stage = FineStage(begin(colouring.density, settings.resolution, mean), colouring, reference, [oracle], settings)
    solid = known.solid()
    before, first = overlap(solid_of(*stage.export()[:2]), solid), _noise(stage, reference)
    optimiser = torch.optim.Adam(stage.groups(), **ADAM)
    loop = Loop(
        stage, optimiser, Settings(settings.steps, seed, judged_every=0), warm_up_then_cosine(0, settings.steps, 0.2)
    )
    loop.run()
    seconds = time.process_time() - began
    vertices, faces, _ = stage.export()
    one, two, three = vertices.double()[faces].unbind(1)
    outward = float((one * torch.linalg.cross(two, three)).sum()) > 0
    around = Orbit(torch.full((4,), 1.3), torch.arange(4) * 1.57 + 0.8, torch.full((4,), 1.8))
    views = _compared(stage, known, around, out / f"{name}.png" if out is not None else None)
    return Found(
        name, 0.0, before, overlap(solid_of(vertices, faces), solid), first, _noise(stage, reference), views,
        outward and is_watertight(faces), len(faces), 0.0, seconds, oracle.seconds,
    )  # fmt: skip


def _noise(stage: FineStage, reference: Reference) -> float:
    return noise_ratio(stage.render(reference.orbit, len(reference.picture)).colour[0], reference.picture)


@torch.no_grad()
def _compared(stage: FineStage, known: Truth, around: Orbit, file: Path | None, size: int = 256) -> float:
    """PSNR of views beside the truth; both, with their normals, in a picture."""
    light, grounds = around.backward, torch.ones(len(around), 3)
    colour = known.shown(around, size, Shading(), light, grounds).movedim(1, 3)
    normals = known.shown(around, size, Shading("normal"), light, grounds).movedim(1, 3)
    seen = stage.render(around, size)
    mine, facing = seen.colour, seen.normals + (1 - seen.alpha[..., None])
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = torch.cat([torch.cat(list(each), dim=1) for each in (mine, colour, facing, normals)])
        Image.fromarray(np.asarray((rows.clamp(0, 1) * 255).byte().numpy())).save(file)
    return noise_ratio(mine, colour)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.magic123_fine", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--size", type=int, help="pixels along each side of what is drawn; default: 256, on a card 1024"
    )
    parser.add_argument("--resolution", type=int, default=128, help="of the tetrahedra")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--oracle", type=Path, metavar="MODELS", help="optimise furniture with a prior that knows it")
    parser.add_argument("--names", nargs="*", default=list(FURNITURE), help="of which models")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where the oracle's results are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all figures are written")
    chosen = parser.parse_args(arguments)
    figures: dict[str, Any] = {
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__},
        "date": datetime.now(UTC).date().isoformat(),
    }
    if chosen.oracle is not None:
        figures["oracle"] = [asdict(each) for each in _oracle(chosen)]
    else:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        size = chosen.size or (1024 if device.type == "cuda" else 256)
        settings = FineSettings(resolution=chosen.resolution, size=size, prior_size=min(size, 512))
        costs = measured(settings, FieldSettings(), device, chosen.repeats)
        share = costs["here"].total / costs["published"].total
        word = "held" if share <= BAR else "NOT held"
        print(f"{size}² of {costs['here'].faces:,} triangles on {device.type}\n{table(costs)}")
        print(f"seconds: {share:.2f} of the published order's; the bar of {BAR} is {word}")
        figures["costs"] = {way: asdict(cost) for way, cost in costs.items()}
    if chosen.json is not None:
        write_json(chosen.json, figures)


def _oracle(chosen: argparse.Namespace) -> list[Found]:
    listed = {each["name"]: each for each in json.loads((chosen.oracle / "objects.json").read_text())["objects"]}
    results = []
    for name in chosen.names:
        known = Truth.read(chosen.oracle / listed[name]["file"])
        coarse, colouring = found_by_oracle(name, known, SMALL, chosen.seed)
        fine = refined(name, known, colouring, ORACLE, chosen.seed, chosen.pictures)
        found = replace(fine, coarse=coarse.overlap, seconds_coarse=coarse.seconds)
        better = found.after > found.before and found.after >= OVERLAP_BAR and found.reference >= REFERENCE_BAR
        print(
            f"{name}: solid {found.coarse:.3f} coarse, {found.before:.3f} on the lattice, {found.after:.3f} fine; "
            f"known view {found.reference_before:.1f} to {found.reference:.1f} dB, other views {found.views:.1f} dB; "
            f"{'closed, outwards' if found.closed else 'OPEN'}; {found.seconds_coarse:.0f} s and "
            f"{found.seconds_fine:.0f} s, of which {found.seconds_oracle:.0f} the oracle's; the bars are "
            f"{'held' if better and found.closed else 'NOT held'}",
            flush=True,
        )
        results.append(found)
    return results


if __name__ == "__main__":
    main()
