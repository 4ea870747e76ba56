"""`python -m bench.magic123`: what a step of Magic123's coarse stage costs, here and in the published order of work.

Both ways draw the same view of the same field and are given the same gradients of two priors, whose networks are not
part of it. In the published order all samples are asked for with gradients and all have normals, levels of the grid
that do not count yet are asked for too, every prior goes through the renderer backwards on its own and the losses once
more, and all cells of the occupancy are asked for at a time. Seconds are of the processor, or of the card if there is
one.

`--oracle MODELS` optimises furniture of `python -m training.objects debian MODELS` with a prior that knows it
(`magic123_oracle.py`), and holds what it finds against the truth. `--ablations FOLDER` makes props of a folder of
pictures by the whole pipeline, with one part left out at a time (`magic123_ablations.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.magic123_oracle import Oracle, Truth, noise_ratio, overlap, solid_of
from models.guidance.prior import distilled
from models.magic123 import losses
from models.magic123.cameras import Orbit
from models.magic123.coarse import Coarse
from models.magic123.drawing import Shading, first_look
from models.magic123.field import RadianceField
from models.magic123.reference import Reference
from models.magic123.settings import PUBLISHED, SMALL, CoarseSettings, Plan, loop_settings, planned
from models.magic123.viewing import export, render
from models.optimisation.chance import Step
from models.optimisation.loop import Loop
from models.radiance.compositing import composite
from models.radiance.marching import Samples, march
from models.writing import write_json

BAR = 0.6
"""Of the published cost of a novel view."""

OVERLAP_BAR, REFERENCE_BAR = 0.75, 25.0

FURNITURE = (
    "BlendSwap-CC-BY-wardrobe",
    "BlendSwap-CC-0-refrigerator",
    "KatorLegaz-mid-century-sofa",
    "BlendSwap-CC-0-winchesterArmchair",
)
"""What the oracle's objects are; settings were chosen on others."""

TITLES = {
    "samples": "samples asked for with gradients",
    "forward": "questions to the field, thousand",
    "backward": "of these answered backwards, thousand",
    "operations": "operations of the perceptron, GFLOP",
    "kept": "kept for the backward pass, MB",
    "seconds": "seconds of a step",
}
"""The rows, by the names of docs/magic123.md."""


@dataclass
class Cost:
    """Of a novel view; a sixteenth of what an update of the occupancy takes is in it."""

    samples: int = 0
    forward: float = 0.0
    backward: float = 0.0
    operations: float = 0.0
    kept: float = 0.0
    seconds: float = 0.0


class Counting(RadianceField):
    """A field that counts what it is asked for."""

    asked = answered = 0.0

    def _raw(self, points: Tensor) -> Tensor:
        raw = super()._raw(points)
        self.asked += len(points)
        if raw.requires_grad:
            raw.register_hook(lambda gradient: self._went_back(len(points)))  # type: ignore[no-untyped-call]
        return raw

    def _went_back(self, count: int) -> None:
        self.answered += count


def ball(size: int) -> Reference:
    """A known view: a grey ball."""
    place = (torch.arange(size) + 0.5) / size * 2 - 1
    alpha = (torch.hypot(place[:, None], place) < 0.5).float()
    return Reference(0.5 * alpha[..., None].expand(-1, -1, 3) + (1 - alpha)[..., None], alpha)


def in_published_order(stage: Coarse, plan: Plan, step: Step, gradients: list[Tensor]) -> int:
    """One novel view, all of the work; how many samples there were."""
    settings, field = stage.settings, stage.field
    device = field.grid.table.device
    field.grid.active = field.grid.settings.levels
    size = settings.size
    origins, directions = (each.reshape(-1, 3).to(device) for each in plan.orbit.rays(size))
    jitter = torch.rand(len(origins), generator=step.generator("rays 0")).to(device)
    cells = stage.occupancy.occupied().view(*[settings.occupancy.resolution] * 3)
    samples = march(origins, directions, cells, settings.march, jitter)
    density, albedo = field(samples.points)
    normals = field.normals(samples.points)
    seen = composite(density, samples.length, samples.ray, samples.rays)
    lamps = plan.light.to(device).expand(len(samples), 3)
    colour = seen.sum(plan.shading.colours(albedo, normals, lamps))
    colour = colour + (1 - seen.alpha)[:, None] * plan.background.to(device)
    picture = colour.view(1, size, size, 3).permute(0, 3, 1, 2)
    fixed = replace(seen, weights=seen.weights.detach())
    normal_picture = fixed.sum((normals + 1) / 2).view(1, size, size, 3)
    ahead = torch.nn.functional.normalize(directions, dim=1)[samples.ray]
    for gradient in gradients:
        distilled(picture, gradient).backward(retain_graph=True)  # type: ignore[no-untyped-call]
    weights = settings.weights
    rest = (
        weights.entropy * losses.entropy(seen.weights)
        + weights.orient * losses.orient(seen.weights, normals, ahead)
        + weights.normal_smooth * losses.normal_smooth(normal_picture)
        + weights.normal_blur * losses.normal_blur(normal_picture)
    )
    rest.backward()  # type: ignore[no-untyped-call]
    return len(samples)


def as_here(stage: Coarse, step: Step) -> int:
    """One novel view as the stage draws it; of how many samples gradients were asked for."""
    torch.stack(list(stage(step).values())).sum().backward()  # type: ignore[no-untyped-call]
    return stage.count.seen


class _Given:
    """A prior without a network."""

    def __init__(self, gradient: Tensor) -> None:
        self.found = gradient

    def gradient(self, pictures: Tensor, views: object, step: Step) -> Tensor:
        return self.found


def measured(settings: CoarseSettings, number: int, device: torch.device, repeats: int) -> dict[str, Cost]:
    """What the step of a number costs in both ways; it must show a novel view and be none that asks the occupancy."""
    torch.manual_seed(0)
    chance = torch.Generator().manual_seed(1)
    shape = (1, 3, settings.size, settings.size)
    gradients = [torch.randn(shape, generator=chance).to(device) * 1e-4 for _ in range(2)]
    field = Counting(settings.field).to(device)
    stage = Coarse(field, ball(settings.known_size), [_Given(each) for each in gradients], settings).to(device)
    step = Step(number, 1)
    plan = planned(settings, stage.reference, step)
    if plan.known or number % settings.occupancy.every == 0:
        raise ValueError(f"Step {number} shows no novel view alone.")
    every, sweeps = settings.occupancy.every, {}
    for way, turns in (("here", settings.occupancy.turns), ("published", 1)):
        stage.occupancy.settings = replace(settings.occupancy, turns=turns)
        field.grid.active = plan.levels if way == "here" else field.grid.settings.levels
        with torch.no_grad():
            stage.occupancy.update(field.density, 0, step.generator("occupancy"))
            asked = field.asked

            def sweep() -> None:
                stage.occupancy.update(field.density, 1, step.generator("occupancy"))

            seconds = _seconds(sweep, device)
        sweeps[way] = seconds, field.asked - asked
    found = {}
    for way, work in (
        ("here", partial(as_here, stage, step)),
        ("published", partial(in_published_order, stage, plan, step, gradients)),
    ):
        stage.zero_grad(set_to_none=True)
        cost = Cost()
        field.asked = field.answered = 0.0
        kept: dict[int, int] = {}
        with torch.autograd.graph.saved_tensors_hooks(partial(_keep, kept), lambda tensor: tensor):
            counter: Any = FlopCounterMode(display=False)
            with counter:
                cost.samples = work()
        cost.operations = counter.get_total_flops() / 1e9
        cost.kept = sum(kept.values()) / 1e6
        cost.forward = (field.asked + sweeps[way][1] / every) / 1e3
        cost.backward = field.answered / 1e3
        times = [_seconds(work, device) for _ in range(repeats)]
        cost.seconds = sorted(times)[len(times) // 2] + sweeps[way][0] / every
        found[way] = cost
    return found


def parted(settings: CoarseSettings, number: int, device: torch.device) -> dict[str, float]:
    """Seconds of each part of a novel view as it is drawn here, by name."""
    torch.manual_seed(0)
    given = _Given(torch.full((1, 3, settings.size, settings.size), 1e-4, device=device))
    stage = Coarse(RadianceField(settings.field), ball(settings.known_size), [given], settings).to(device)
    step, occupancy = Step(number, 1), stage.occupancy
    plan = planned(settings, stage.reference, step)
    stage.field.grid.active = plan.levels
    chance = step.generator("occupancy")
    found: dict[str, float] = {}
    with torch.no_grad():
        occupancy.update(stage.field.density, 0, chance)
        asked = _seconds(lambda: occupancy.update(stage.field.density, 1, chance), device)
        found["occupancy, a step's share"] = asked / settings.occupancy.every
    origins, directions = (each.reshape(-1, 3).to(device) for each in plan.orbit.rays(settings.size))
    cells = occupancy.occupied().view(*[settings.occupancy.resolution] * 3)
    placed: list[Samples] = []
    found["placing samples"] = _seconds(
        lambda: placed.append(march(origins, directions, cells, settings.march)), device
    )
    found["first look"] = _seconds(lambda: first_look(stage.field, placed[0]), device)
    weighted: list[Tensor] = []
    whole = _seconds(lambda: weighted.extend(stage(step).values()), device)
    found["drawing and losses"] = whole - found["placing samples"] - found["first look"]
    total = torch.stack(weighted).sum()
    found["backward"] = _seconds(total.backward, device)
    return found


def _keep(kept: dict[int, int], tensor: Tensor) -> Tensor:
    kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return tensor


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of the processor where it works, of the clock where a card does."""
    card = device.type == "cuda"
    with torch.cuda.device(device) if card else nullcontext():
        if card:
            torch.cuda.synchronize()
        began = time.perf_counter() if card else time.process_time()
        work()
        if card:
            torch.cuda.synchronize()
        return (time.perf_counter() if card else time.process_time()) - began


def table(costs: dict[str, dict[str, Cost]]) -> str:
    """The costs, by the phase of a run."""
    heads = [f"{phase}: {way}" for phase in costs for way in ("here", "published order", "share")]
    lines = [["a novel view", *heads], ["---"] * (len(heads) + 1)]
    for name, title in TITLES.items():
        cells = []
        for found in costs.values():
            one, other = (float(getattr(found[way], name)) for way in ("here", "published"))
            digits = 2 if name == "seconds" else 0 if name == "samples" else 1
            cells += [f"{one:,.{digits}f}", f"{other:,.{digits}f}", f"{one / other:.2f}"]
        lines.append([title, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdict(costs: dict[str, dict[str, Cost]]) -> list[str]:
    """Whether the bar is held, in each phase, counted and timed."""
    said = []
    for phase, found in costs.items():
        for name in ("operations", "seconds"):
            share = getattr(found["here"], name) / getattr(found["published"], name)
            word = "held" if share <= BAR else "NOT held"
            said.append(f"{phase}, {name}: {share:.2f} of the published order's; the bar of {BAR} is {word}")
    return said


@dataclass(frozen=True)
class Found:
    """What the oracle's optimisation came to. seconds: of the processor, the oracle's drawing among them."""

    name: str
    overlap: float
    reference: float
    views: float
    seconds: float
    oracle: float
    faces: int


def found_by_oracle(
    name: str, truth: Truth, settings: CoarseSettings, seed: int, out: Path | None = None
) -> tuple[Found, RadianceField]:
    """Optimises a field with a prior that knows the object, and holds it against it."""
    reference = truth.reference(settings.known_size)
    oracle = Oracle(truth, reference, partial(planned, settings, reference), weight=1e-2)
    torch.manual_seed(seed)
    stage = Coarse(RadianceField(settings.field), reference, [oracle], settings)
    loop = Loop(stage, stage.optimiser(), loop_settings(settings, seed))
    began = time.process_time()
    loop.run()
    seconds = time.process_time() - began
    loop.take_best()
    field = stage.field
    field.grid.active = settings.field.grid.levels
    with torch.no_grad():
        seen = render(field, reference.orbit, settings.known_size, march=settings.march).colour[0]
        around = Orbit(torch.full((4,), 1.3), torch.arange(4) * 1.57 + 0.8, torch.full((4,), 1.8))
        light, white = around.backward, torch.ones(4, 3)
        views = render(field, around, settings.size, march=settings.march)
        true = truth.shown(around, settings.size, Shading(), light, white).permute(0, 2, 3, 1)
        vertices, faces = export(field, 129)
    if out is not None:
        normals = truth.shown(around, settings.size, Shading("normal"), light, 0 * white).permute(0, 2, 3, 1)
        rows = [torch.cat(list(each), dim=1) for each in (views.colour, true, views.normals, normals)]
        pixels = (torch.cat(rows).clamp(0, 1) * 255).byte().numpy()
        Image.fromarray(np.asarray(pixels)).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)).save(out / f"{name}.png")
    iou = overlap(solid_of(vertices, faces), truth.solid())
    return (
        Found(
            name, iou, noise_ratio(seen, reference.picture), noise_ratio(views.colour, true), seconds,
            oracle.seconds, len(faces),
        ),
        field,
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.magic123", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--amount", choices=["least", "full"], default="full", help="least: whether it works")
    parser.add_argument("--size", type=int, help="pixels along each side of a view; default: 64, on a card 128")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--parts", action="store_true", help="only the parts of a step as it is done here")
    parser.add_argument("--oracle", type=Path, metavar="MODELS", help="optimise furniture with a prior that knows it")
    parser.add_argument("--names", nargs="*", default=list(FURNITURE), help="of which models")
    parser.add_argument("--steps", type=int, default=SMALL.steps, help="of the oracle's optimisation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ablations", type=Path, metavar="FOLDER", help="pictures, with one part left out at a time")
    parser.add_argument("--variants", nargs="*", metavar="NAME", help="rows of the ablations; default: all")
    parser.add_argument(
        "--parameters", type=json.loads, default={}, metavar="JSON", help="of the pipeline, for all rows"
    )
    parser.add_argument("--learn", choices=["draft", "standard", "final"], help="learn a word of each picture before")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where the oracle's results are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all figures are written")
    chosen = parser.parse_args(arguments)
    figures: dict[str, Any] = {
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "torch": torch.__version__},
        "date": datetime.now(UTC).date().isoformat(),
    }
    if chosen.ablations is not None:
        figures["ablations"] = _ablations(chosen)
    elif chosen.oracle is not None:
        figures["oracle"] = [asdict(each) for each in _oracle(chosen)]
    else:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        least = chosen.amount == "least"
        settings = replace(SMALL, size=16, normals_always=True, plain=0, steps=5000) if least else PUBLISHED
        size = chosen.size or (16 if least else 128 if device.type == "cuda" else 64)
        settings = replace(settings, size=size)
        costs, parts = {}, {}
        for phase, number in (("first", settings.coarse_steps - 2), ("later", settings.coarse_steps + 5)):
            while planned(settings, ball(8), Step(number, 1)).known or number % settings.occupancy.every == 0:
                number += 1 if phase == "later" else -1
            parts[phase] = parted(settings, number, device)
            if not chosen.parts:
                costs[phase] = measured(settings, number, device, 1 if least else chosen.repeats)
        print(f"{size}² on {device.type}, {settings.field.grid.levels} levels")
        for phase, seconds in parts.items():
            shares = ", ".join(f"{name} {each:.2f}" for name, each in seconds.items())
            total = sum(seconds.values())
            print(f"{phase}: {shares}; {total:.2f} s, {1 / total:.2f} novel views a second")
        if costs:
            print(table(costs), *verdict(costs), sep="\n")
        figures["parts"] = parts
        figures["costs"] = {phase: {way: asdict(cost) for way, cost in each.items()} for phase, each in costs.items()}
    if chosen.json is not None:
        write_json(chosen.json, figures)


def _ablations(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    from bench import magic123_ablations  # the other benchmarks need no backend

    names = chosen.variants or list(magic123_ablations.VARIANTS)
    if unknown := [name for name in names if name not in magic123_ablations.VARIANTS]:
        raise SystemExit(f"There is no row {unknown[0]!r}; {', '.join(magic123_ablations.VARIANTS)} are.")
    found = []
    for each in magic123_ablations.ablations(chosen.ablations, chosen.parameters, names, chosen.learn, chosen.seed):
        print(f"{each.picture}, {each.variant}: {each.psnr:.1f} dB", flush=True)
        found.append(each)
    print(magic123_ablations.table(found))
    return magic123_ablations.figures(found)


def _oracle(chosen: argparse.Namespace) -> list[Found]:
    known = {each["name"]: each for each in json.loads((chosen.oracle / "objects.json").read_text())["objects"]}
    settings = replace(SMALL, steps=chosen.steps, size=chosen.size or SMALL.size)
    results = []
    for name in chosen.names:
        truth = Truth.read(chosen.oracle / known[name]["file"])
        found, _ = found_by_oracle(name, truth, settings, chosen.seed, chosen.pictures)
        held = "held" if found.overlap >= OVERLAP_BAR and found.reference >= REFERENCE_BAR else "NOT held"
        print(
            f"{name}: solid {found.overlap:.3f}, reference {found.reference:.1f} dB, other views {found.views:.1f} dB, "
            f"{found.seconds:.0f} s of which {found.oracle:.0f} the oracle's; the bars are {held}",
            flush=True,
        )
        results.append(found)
    return results


if __name__ == "__main__":
    main()
