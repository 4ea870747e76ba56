"""Pictures of a field, in the ways that Magic123 shows it to its priors.

A first look at the samples, without gradients, tells which of them lie behind the place where a ray ends, and which of
the others are too faint for their normals to matter. Gradients are asked for of the rest only: the pictures and the
gradients are those that all samples would have given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from models.magic123.field import Field
from models.radiance.compositing import Composite, composite, visible
from models.radiance.marching import MarchSettings, Samples, march

CHUNK = 1 << 18
"""Samples that are looked at at once."""

Kind = Literal["albedo", "lambert", "textureless", "normal"]


@dataclass(frozen=True)
class Shading:
    """How a view is shown.

    kind: its colours; its colours in a light; grey in a light; its normals as colours.
    ambient: how much light there is without the lamp, 0 … 1.
    """

    kind: Kind = "albedo"
    ambient: float = 1.0

    @property
    def needs_normals(self) -> bool:
        """Whether it shows something of the normals."""
        return self.kind != "albedo"

    def colours(self, albedo: Tensor, normals: Tensor | None, light: Tensor) -> Tensor:
        """`[M, 3]` of places with an albedo `[M, 3]` and normals `[M, 3]` under lamps in directions `[M, 3]`."""
        if not self.needs_normals:
            return albedo
        assert normals is not None, "this shading needs normals"
        if self.kind == "normal":
            return (normals + 1) / 2
        lit = self.ambient + (1 - self.ambient) * (normals * light).sum(1, keepdim=True).clamp(min=0)
        return lit.expand(-1, 3) if self.kind == "textureless" else albedo * lit


@dataclass(frozen=True)
class Facing:
    """K samples, and which way they face.

    number: `[K]`, which of the samples they are. normals: `[K, 3]`. ahead: `[K, 3]`, unit vectors along their rays.
    """

    number: Tensor
    normals: Tensor
    ahead: Tensor


@dataclass(frozen=True)
class Drawn:
    """What R rays see, and what M visible samples of them hold.

    colour: `[R, 3]` on the background. alpha: `[R]`.
    depth: `[R]`, planar, weighted and not divided by alpha.
    normals: `[R, 3]`, (n + 1) / 2 weighted, 0 where nothing is; None if nobody asked. No gradients to the weights.
    composite: the samples' weights. samples: where they are; without those behind the end of their ray.
    sampled: how many samples there were before these were taken away.
    facing: of the samples whose normals were looked at; None if none were.
    """

    colour: Tensor
    alpha: Tensor
    depth: Tensor
    normals: Tensor | None
    composite: Composite
    samples: Samples
    sampled: int
    facing: Facing | None


def draw(
    field: Field,
    origins: Tensor,
    directions: Tensor,
    occupied: Tensor,
    settings: MarchSettings,
    *,
    shading: Shading = Shading(),
    light: Tensor | None = None,
    background: Tensor | float = 1.0,
    jitter: Tensor | None = None,
    normals: bool = False,
    faint: float = 0.0,
) -> Drawn:
    """Draws rays.

    Args:
        origins, directions: `[R, 3]`; directions 1 long along the camera's axis.
        occupied, settings, jitter: see `march`.
        light: `[R, 3]`, unit vectors to the lamp; only for shadings in a light.
        background: a grey, or colours `[R, 3]`.
        normals: whether the picture of the normals is asked for, whatever the shading.
        faint: samples of no more weight than this have no normals: they count as lit by ambient light only.
    """
    every = march(origins, directions, occupied, settings, jitter)
    samples, weights = first_look(field, every)
    density, albedo = field(samples.points)
    seen = composite(density, samples.length, samples.ray, samples.rays)
    facing, each = None, None
    if normals or shading.needs_normals:
        asked = (weights > faint).nonzero()[:, 0]
        found = field.normals(samples.points[asked])
        facing = Facing(asked, found, functional.normalize(directions[samples.ray[asked]], dim=1))
        each = torch.zeros_like(albedo).index_copy(0, asked, found)
    lamps = torch.zeros_like(albedo) if light is None else light[samples.ray]
    colour = seen.sum(shading.colours(albedo, each, lamps))
    alpha = seen.alpha
    picture = None
    if normals and facing is not None:
        # A loss of normals must not be able to make the surface itself fainter.
        fixed = Composite(samples.ray[facing.number], seen.weights.detach()[facing.number], samples.rays)
        picture = fixed.sum((facing.normals + 1) / 2)
    return Drawn(
        colour=colour + (1 - alpha)[:, None] * background,
        alpha=alpha,
        depth=seen.sum(samples.depth[:, None])[:, 0],
        normals=picture,
        composite=seen,
        samples=samples,
        sampled=len(every),
        facing=facing,
    )


def first_look(field: Field, samples: Samples) -> tuple[Samples, Tensor]:
    """Those samples that are not behind the end of their ray, and the weights `[M]` that they will have."""
    with torch.no_grad():
        parts = [field.density(part) for part in torch.split(samples.points, CHUNK)]
        density = torch.cat(parts) if parts else samples.depth
        kept = visible(density, samples.length, samples.ray, samples.rays)
        left = samples.only(kept)
        weights = composite(density[kept], left.length, left.ray, left.rays).weights
    return left, weights
