"""A field looked at while it is optimised, and its surface when it is done."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.isosurface.meshing import surface
from models.isosurface.sampling import Bounds, Report
from models.magic123.cameras import Orbit
from models.magic123.drawing import draw
from models.magic123.field import RadianceField
from models.optimisation.chance import generator
from models.radiance.marching import MarchSettings
from models.radiance.occupancy import Occupancy, OccupancySettings


@dataclass(frozen=True)
class Picture:
    """What N cameras see.

    colour: `[N, S, S, 3]`, on a background. normals: `[N, S, S, 3]`, as colours, 0 where nothing is.
    alpha, depth: `[N, S, S]`; depth is planar, weighted and not divided by alpha.
    """

    colour: Tensor
    normals: Tensor
    alpha: Tensor
    depth: Tensor


RAYS = 1 << 14
"""Drawn at once."""


def render(
    field: RadianceField,
    orbit: Orbit,
    size: int,
    occupancy: Occupancy | None = None,
    march: MarchSettings | None = None,
    background: float = 1.0,
) -> Picture:
    """Pictures to look at. The caller sees to it that no gradients are asked for.

    Args:
        occupancy: where the field is dense; None: it is found.
        march: how fine; None: as published.
    """
    device, march = field.grid.table.device, march or MarchSettings()
    occupancy = occupancy or occupancy_of(field)
    cells = occupancy.occupied().view(*[occupancy.settings.resolution] * 3)
    origins, directions = (each.reshape(-1, 3).to(device) for each in orbit.rays(size))
    parts = []
    for begin in range(0, len(origins), RAYS):
        some = origins[begin : begin + RAYS], directions[begin : begin + RAYS]
        seen = draw(field, *some, cells, march, background=background, normals=True, faint=1e-3)
        assert seen.normals is not None
        parts.append((seen.colour, seen.normals, seen.alpha[:, None], seen.depth[:, None]))
    colour, normals, alpha, depth = (
        torch.cat(each).view(len(orbit), size, size, -1) for each in zip(*parts, strict=True)
    )
    return Picture(colour, normals, alpha[..., 0], depth[..., 0])


def occupancy_of(field: RadianceField, settings: OccupancySettings | None = None) -> Occupancy:
    """Where a field is dense, found anew. The caller sees to it that no gradients are asked for."""
    occupancy = Occupancy(settings or OccupancySettings(resolution=64)).to(field.grid.table.device)
    for turn in range(2):
        occupancy.update(field.density, 0, generator(0, "occupancy", turn))
    return occupancy


WALL = 0.99
"""What is dense beyond is cut off, so that the surface is closed."""


def export(
    field: RadianceField,
    resolution: int = 257,
    threshold: float | None = None,
    progress: Report | None = None,
) -> tuple[Tensor, Tensor]:
    """The surface of a field. The caller sees to it that no gradients are asked for.

    Args:
        resolution: lattice points along each axis of the box around what is there; see `isosurface.surface`.
        threshold: the density at the surface; None: as published, 10, or the mean of the box where that is less.
        progress: see `isosurface.surface`.

    Returns:
        Vertices `[V, 3]` and faces `[F, 3]` int64 that face outwards, on the CPU.

    Raises:
        EmptySurface: the field is nowhere so dense.
    """
    level = float(occupancy_of(field).threshold) if threshold is None else threshold
    device = field.grid.table.device

    def value(points: Tensor) -> Tensor:
        # The logarithm changes evenly, so the surface between lattice points is found where it is.
        inside = field.log_density(points) - math.log(max(level, 1e-12))
        beyond = (points.abs().amax(1) - WALL) * 100
        return torch.maximum(-inside, beyond)

    found = surface(value, Bounds.of(-1.0, 1.0), resolution, device=device, progress=progress)
    return torch.from_numpy(found.vertices).float(), torch.from_numpy(found.faces).long()
