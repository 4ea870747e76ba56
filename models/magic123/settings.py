"""How the coarse stage goes, and what each of its steps does: functions of numbers and of the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default

import torch
from torch import Tensor

from models.magic123.cameras import Around, Orbit, drawn, lights
from models.magic123.drawing import Kind, Shading
from models.magic123.field import FieldSettings
from models.magic123.losses import Weights
from models.magic123.reference import Reference
from models.optimisation.chance import Step
from models.optimisation.loop import Settings
from models.radiance.hash_grid import GridSettings
from models.radiance.marching import MarchSettings
from models.radiance.occupancy import OccupancySettings


@dataclass(frozen=True)
class CoarseSettings:
    """How the coarse stage goes; published numbers.

    steps: in all. size: pixels along each side of a novel view; known_scale: times that for the known view.
    known_steps: that begin with the known view. known_every: later one step in so many shows it.
    known_noise: how far origins and directions of its rays are moved, all alike.
    normal_share: of the steps, in which novel views show normals. Of the others, textureless: the share without colour;
        plain: the share in plain colours, without a lamp and without a need for normals.
    normals_always: whether losses of normals count in views that need none otherwise.
    least_ambient: light without the lamp is drawn between this and 1.
    coarse_levels, coarse_steps: with how many levels of the grid it begins, and for how many steps.
    rate, grid_rate: learning rates of the perceptron and of the grid.
    averaging: how much of the average stays in a step.
    weights, field, around, march, occupancy: see there.
    faint: samples of no more weight than this have no normals.
    """

    steps: int = 5000
    size: int = 128
    known_scale: float = 1.5
    known_steps: int = 100
    known_every: int = 4
    known_noise: float = 1e-3
    normal_share: float = 0.2
    textureless: float = 0.2
    plain: float = 0.0
    normals_always: bool = True
    least_ambient: float = 0.1
    coarse_levels: int = 8
    coarse_steps: int = 3000
    rate: float = 1e-3
    grid_rate: float = 1e-2
    averaging: float = 0.95**0.01
    weights: Weights = default(default_factory=Weights)
    field: FieldSettings = default(default_factory=FieldSettings)
    around: Around = default(default_factory=Around)
    march: MarchSettings = default(default_factory=MarchSettings)
    occupancy: OccupancySettings = default(default_factory=lambda: OccupancySettings(turns=4))
    faint: float = 1e-4

    def __post_init__(self) -> None:
        if self.steps < 1 or self.size < 8 or self.known_every < 1:
            raise ValueError(
                f"{self.steps} steps of {self.size} pixels, one in {self.known_every} known, cannot be done."
            )
        if max(self.size, self.known_size) ** 2 > self.march.cap:
            raise ValueError(
                f"A cap of {self.march.cap} samples is less than one for each pixel of {self.known_size}²."
            )

    @property
    def known_size(self) -> int:
        """Pixels along each side of the known view."""
        return round(self.size * self.known_scale)


PUBLISHED = CoarseSettings()
SMALL = CoarseSettings(
    steps=600,
    size=64,
    known_scale=1.0,
    known_steps=20,
    normal_share=0.1,
    textureless=0.2,
    plain=0.5,
    normals_always=False,
    coarse_levels=4,
    coarse_steps=200,
    rate=1e-2,
    grid_rate=3e-2,
    field=FieldSettings(GridSettings(levels=5, base=8, finest=96, log2_entries=18), hidden=32),
    march=MarchSettings(steps=128, cap=1 << 17),
    occupancy=OccupancySettings(resolution=48, turns=4, every=8),
    faint=1e-2,
)
"""For a processor, and for tests: one object in minutes."""


def loop_settings(settings: CoarseSettings, seed: int, judged_every: int = 0) -> Settings:
    """Of the loop that goes with it.

    The average of the parameters is what goes on to the fine stage. The published one follows once in a hundred steps
    by a twentieth; following in every step by as much less needs no counter of its own, and in a short run the loop
    lets it follow faster.
    """
    return Settings(settings.steps, seed, averaging=settings.averaging, judged_every=judged_every)


@dataclass(frozen=True)
class Plan:
    """What a step does; a function of the settings and the step alone.

    known: whether the known view is shown. orbit: the cameras of this part.
    shading, light: see `draw`; light `[N, 3]`, one lamp for each view.
    background: `[N, 3]`. levels: of the grid, that count.
    """

    known: bool
    orbit: Orbit
    shading: Shading
    light: Tensor
    background: Tensor
    levels: int


def planned(settings: CoarseSettings, reference: Reference, step: Step) -> Plan:
    """What a step is going to do."""
    number = step.number + 1  # as published, steps are counted from 1
    levels = settings.field.grid.levels
    if number <= settings.coarse_steps:
        levels = min(levels, settings.coarse_levels)
    if number < settings.known_steps or number % settings.known_every == 0:
        orbit = reference.orbit
        return Plan(True, orbit, Shading(), orbit.backward, torch.ones(1, 3), levels)
    orbit = drawn(step, settings.around, step.parts)
    chance = torch.rand(5, generator=step.generator("shading"))
    ambient = settings.least_ambient + (1 - settings.least_ambient) * float(chance[0])
    kind: Kind = "lambert"
    if number <= settings.normal_share * settings.steps:
        kind = "normal"
    elif float(chance[1]) < settings.textureless + settings.plain:
        kind = "textureless" if float(chance[1]) < settings.textureless else "albedo"
    shading = Shading(kind, 1.0 if kind in ("normal", "albedo") else ambient)
    return Plan(False, orbit, shading, lights(step, orbit, step.parts), chance[None, 2:].expand(len(orbit), 3), levels)
