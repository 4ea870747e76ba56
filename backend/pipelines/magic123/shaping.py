"""Both stages at work: a field of each object, then its surface; each an optimisation with checkpoints of its own.

An object of which nothing has to be done any more asks no prior, so an attempt that begins near the end of a job loads
none. Ended early, what there is counts: of an object in its first stage that is the field as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.memory import Plan
from backend.pipelines.checkpoints import Checkpoints
from backend.pipelines.context import Context
from backend.pipelines.magic123 import Magic123Parameters
from backend.pipelines.magic123.priors import PriorNetworks, Told, identifiers_of
from backend.pipelines.magic123.subjects import Subject
from backend.pipelines.optimising import optimise
from backend.pipelines.running import Running, Tell, each
from backend.shot import Shot
from models.guidance.balance import Stage
from models.guidance.prior import Prior
from models.isosurface import EmptySurface
from models.isosurface.tetrahedra import TetrahedralGrid
from models.magic123.cameras import Orbit
from models.magic123.coarse import Coarse
from models.magic123.field import FieldSettings, RadianceField
from models.magic123.fine import ADAM, FineSettings, FineStage
from models.magic123.fine_start import Start, begin
from models.magic123.settings import CoarseSettings, loop_settings
from models.magic123.viewing import Picture, export, render
from models.optimisation.chance import seed_of
from models.optimisation.loop import Loop, Settings

Pixels = NDArray[np.uint8]

PREVIEW_SECONDS, CHECKPOINT_SECONDS = 3.0, 60.0
PREVIEW_SIDE = 192
"""Pixels along a side of what is shown, at most."""

TURN, PREVIEW_POLAR = 24.0, 75.0
"""Degrees by which the camera of previews goes on from one to the next; from the zenith."""

HINT = "Try another seed, more steps, or a clearer picture."

Asked = Callable[[int], list[Prior]]
"""The priors of an object, by instance."""

Look = Callable[[], Pixels]
"""A picture of what there is."""


@dataclass(frozen=True, eq=False)
class Field:
    """What the first stage has come to of one object.

    mean_density: of the space it lies in; None where it is not known. steps: how many it took.
    start: of somebody's run that was in its second stage; None for any other.
    """

    network: RadianceField
    mean_density: float | None
    steps: int
    start: Start | None = None

    @property
    def device(self) -> torch.device:
        return self.network.grid.table.device


@dataclass(frozen=True, eq=False)
class Solid:
    """One object as triangles, (V, 3) and (F, 3), facing outwards, its front towards -y, z up.

    colour: points [N, 3] → colours [N, 3], on `device`. steps: of each stage that was taken.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    colour: Callable[[Tensor], Tensor]
    device: torch.device
    steps: Mapping[str, int]


class Shaping:
    """Both stages of the objects of one job."""

    def __init__(
        self, found: Mapping[int, Subject], parameters: Magic123Parameters, shot: Shot, context: Context
    ) -> None:
        self._subjects, self._parameters, self._shot, self._context = found, parameters, shot, context
        self._told: dict[int, Told] = {}

    def fields(self, running: Running, plan: Plan) -> dict[int, Field]:
        """The first stage. An object of which nothing can be made is told and left out, as is one that was not begun
        when the job was ended early.

        Raises:
            Problem: see `optimise` and `PriorNetworks`.
        """
        settings = coarse_settings(self._parameters, plan.settings["cap"])
        numbers = list(self._subjects)
        with self._priors("coarse", numbers, running, plan) as priors:

            def work(number: int, tell: Tell) -> Field | None:
                if self._context.finished_early and not self._done("coarse", number):
                    message = f"{self._shot.title(number)} was not begun when the job was ended early."
                    self._context.warn("object-not-begun", message, "Continue the job to have it made as well.", number)
                    return None
                subject = self._subjects[number]
                network = new_field(settings.field, self._context.seed, running.device.name)
                stage = Coarse(network, subject.reference, priors(number), settings).to(running.device.name)
                loop = Loop(stage, stage.optimiser(), loop_settings(settings, self._context.seed))
                self._optimise("coarse", number, numbers, loop, turning(partial(field_seen, stage), settings.size))
                network.grid.active = settings.field.grid.levels  # what the last step looked at is no part of the state
                return Field(network, float(stage.occupancy.densities.clamp(min=0).mean()), loop.step)

            found = each(numbers, work, self._shot, self._context, HINT)
        return {number: field for number, field in found.items() if field is not None}

    def surfaces(self, fields: Mapping[int, Field], running: Running, plan: Plan) -> dict[int, Solid]:
        """The second stage, of the objects that are in it: once the job has been ended early no other is begun. One
        whose surface vanishes stays as the first stage has left it, which is told.

        Raises:
            Problem: see `optimise` and `PriorNetworks`.
        """
        numbers = [number for number in fields if self.goes_on(number)]
        settings = fine_settings(self._parameters)
        with self._priors("fine", numbers, running, plan) as priors:

            def work(number: int, tell: Tell) -> Solid | None:
                if not self.goes_on(number):
                    return None
                field = fields[number]
                try:
                    start = self._start(number, field, running.device.name)
                    network = deepcopy(field.network).train().requires_grad_()
                    stage = FineStage(start, network, self._subjects[number].reference, priors(number), settings)
                    optimiser = torch.optim.Adam(stage.groups(), **ADAM)
                    loop = Loop(stage, optimiser, fine_loop_settings(self._parameters, self._context.seed))
                    self._optimise("fine", number, numbers, loop, turning(stage.render, settings.size))
                    vertices, faces, colour = stage.export()
                except EmptySurface:
                    message = f"The surface of {self._shot.title(number)} vanished in the second stage."
                    self._context.warn("refine-failed", f"{message} That of the first was taken.", HINT, number)
                    return None
                steps = {"coarse": field.steps, "fine": loop.step}
                return Solid(vertices.cpu().numpy(), faces.cpu().numpy(), colour, field.device, steps)

            found = each(numbers, work, self._shot, self._context, HINT)
        return {number: solid for number, solid in found.items() if solid is not None}

    def goes_on(self, number: int) -> bool:
        """Whether an object is to have a second stage: once the job has been ended early, if it has begun."""
        return not self._context.finished_early or self._part("fine", number).latest() is not None

    def _start(self, number: int, field: Field, device: str) -> Start:
        """Where the second stage begins; if there is a checkpoint, that has all but the tetrahedra."""
        if field.start is not None:
            return field.start
        resolution = self._parameters.chosen_resolution
        if self._part("fine", number).latest() is not None:
            return Start.blank(TetrahedralGrid.of_resolution(resolution), device)
        return begin(field.network.density, resolution, field.mean_density, device=device)

    def _optimise(self, stage: Stage, number: int, numbers: list[int], loop: Loop, look: Look) -> None:
        index = numbers.index(number)

        def tell(share: float, message: str) -> None:
            self._context.progress((index + share) / len(numbers), message)

        optimise(
            loop,
            self._context,
            preview=look,
            slot="view",
            preview_seconds=PREVIEW_SECONDS,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            checkpoints=self._part(stage, number),
            tell=tell,
            title=self._shot.title(number),
        )

    @contextmanager
    def _priors(self, stage: Stage, numbers: list[int], running: Running, plan: Plan) -> Iterator[Asked]:
        """Gives the priors of each object, for as long as the block lasts. Of objects that have come to their end
        nobody asks."""
        parameters, way = self._parameters, plan.settings["way"]
        open_ones = [number for number in numbers if self._done(stage, number) < parameters.chosen_steps]
        if not open_ones:
            yield lambda number: []
            return
        self._context.progress(0.0, plan.sentence)
        identifiers = identifiers_of(parameters)

        def opened() -> PriorNetworks:
            return PriorNetworks(parameters, running.device.name, getattr(torch, plan.dtype))

        with running.networks("magic123", identifiers, plan, opened) as networks:
            with torch.no_grad():
                for number in open_ones:
                    if number not in self._told:
                        self._told[number] = networks.told(self._subjects[number], parameters, plan.settings["stay"])
            yield (
                lambda number: (
                    networks.asked(self._told[number], stage, parameters, way) if number in self._told else []
                )
            )

    def _part(self, stage: Stage, number: int) -> Checkpoints:
        return self._context.checkpoints.part(f"{stage}-{number}")

    def _done(self, stage: Stage, number: int) -> int:
        """Steps that an object has taken in a stage, as far as its checkpoints tell; 0 without."""
        latest = self._part(stage, number).latest()
        return 0 if latest is None else latest.step


def new_field(settings: FieldSettings, seed: int, device: str) -> RadianceField:
    """A field to begin with: the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(seed, "field"))
        return RadianceField(settings).to(device)


def coarse_settings(parameters: Magic123Parameters, cap: int) -> CoarseSettings:
    """Of the first stage. What is published as a number of steps is the same share of those that are chosen.

    cap: samples of a step, at most.
    """
    published, steps = CoarseSettings(), parameters.chosen_steps

    def share(of: int) -> int:
        return max(round(of * steps / published.steps), 1)

    grid = replace(published.field.grid, levels=parameters.levels, log2_entries=parameters.table)
    return replace(
        published,
        steps=steps,
        size=parameters.side,
        known_steps=share(published.known_steps),
        known_every=known_every(parameters),
        normal_share=parameters.normal_iter_ratio,
        coarse_levels=-(-parameters.levels // 2),
        coarse_steps=share(published.coarse_steps),
        field=replace(published.field, grid=grid),
        # A smaller picture has use for as many samples a pixel, and as many cells.
        march=replace(published.march, steps=min(8 * parameters.side, published.march.steps), cap=cap),
        occupancy=replace(published.occupancy, resolution=min(parameters.side, published.occupancy.resolution)),
        weights=replace(
            published.weights,
            rgb=parameters.lambda_rgb,
            mask=parameters.lambda_mask,
            depth=parameters.lambda_depth,
            entropy=parameters.lambda_entropy,
            orient=parameters.lambda_orient,
            normal_smooth=parameters.lambda_normal_smooth,
            normal_blur=parameters.lambda_2d_normal_smooth,
        ),
    )


def fine_settings(parameters: Magic123Parameters) -> FineSettings:
    """Of the second stage; see `coarse_settings`."""
    published, side = FineSettings(), parameters.chosen_fine_side
    return replace(
        published,
        steps=parameters.chosen_steps,
        resolution=parameters.chosen_resolution,
        size=side,
        prior_size=min(published.prior_size, side),
        known_first=max(round(published.known_first * parameters.chosen_steps / published.steps), 1),
        known_every=known_every(parameters),
        weights=replace(
            published.weights,
            rgb=parameters.lambda_rgb,
            mask=parameters.lambda_mask,
            normals=parameters.lambda_mesh_normal,
            laplacian=parameters.lambda_mesh_laplacian,
        ),
    )


def fine_loop_settings(parameters: Magic123Parameters, seed: int) -> Settings:
    """As published the last step counts: what the losses of priors come to says nothing of how good it is."""
    return Settings(parameters.chosen_steps, seed, judged_every=0)


def known_every(parameters: Magic123Parameters) -> int:
    """As published: without a 3D prior every second step at least shows the picture itself."""
    return parameters.known_view_interval if parameters.asks_views else min(parameters.known_view_interval, 2)


def turning(seen: Callable[[Orbit, int], Picture], size: int) -> Look:
    """Pictures to look at: colours and normals side by side, from a camera that goes on from one to the next.

    seen: a camera and pixels along a side → what it sees.
    """
    count = itertools.count()
    side = min(PREVIEW_SIDE, size)

    @torch.no_grad()
    def look() -> Pixels:
        picture = seen(Orbit.of(PREVIEW_POLAR, TURN * next(count)), side)
        normals = picture.normals[0] + (1 - picture.alpha[0, ..., None])
        whole = torch.cat([picture.colour[0], normals], dim=1).clamp(0, 1)
        return (whole * 255).round().to(torch.uint8).cpu().numpy()

    return look


def field_seen(stage: Coarse, orbit: Orbit, side: int) -> Picture:
    """See `turning`."""
    return render(stage.field, orbit, side, stage.occupancy, stage.settings.march)


@torch.no_grad()
def solid_of(field: Field, resolution: int, tell: Tell) -> Solid:
    """The surface of a field.

    Args:
        resolution: cells along the longest side of its box.

    Raises:
        EmptySurface: the field is nowhere dense enough.
    """
    vertices, faces = export(field.network, resolution + 1, progress=tell)
    steps = {"coarse": field.steps}
    return Solid(vertices.numpy(), faces.numpy(), field.network.albedo, field.device, steps)
