"""The surface of a density field: where its density reaches a threshold, by marching cubes.

As published: lattice points from −1 to 1 along each axis, 256 and level 10 for the NeRF variants of InstantMesh, 384
and level 3 for OpenLRM and MIRA. `models.isosurface` asks for the points near the surface only, with the triangles
of the whole lattice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.isosurface import Bounds, Triangles, surface
from models.isosurface.coarse_to_fine import COARSE
from models.isosurface.sampling import Report
from models.lrm.fields import DensityField

BOUNDS = Bounds.of(-1.0, 1.0)
THRESHOLD = 10.0
RESOLUTION = 257
PUBLISHED_RESOLUTION = 256
SINGLE_VIEW_THRESHOLD, SINGLE_VIEW_RESOLUTION = 3.0, 384
"""Of OpenLRM and MIRA."""


def density_surface(
    field: DensityField,
    resolution: int = RESOLUTION,
    threshold: float = THRESHOLD,
    *,
    coarse: int = COARSE,
    progress: Report | None = None,
) -> Triangles:
    """The surface at which the density falls below a threshold, in the field's own units, facing outwards.

    Args:
        field: of a NeRF variant, of OpenLRM or of MIRA.
        resolution: lattice points along each axis, 2 to 513.
        threshold: density; a higher one gives a thinner object.
        coarse: fewest lattice points along each axis that are all asked for; smaller pieces than its cells may be lost.
        progress: is told the fraction done; an exception from it ends the work.

    Raises:
        EmptySurface: the density is above the threshold nowhere, or everywhere.
        FieldError: the network gave values that are not finite.
        ValueError: the resolution is out of range.
    """

    def outside(points: Tensor) -> Tensor:
        return threshold - field.density(points)

    device = field.planes.device
    # No float64 on MPS to calibrate slopes in; the field moves points to its own device.
    lattice = torch.device("cpu") if device.type == "mps" else device
    return surface(
        outside, BOUNDS, resolution, passes=1, coarse=coarse, chunk=field.chunk, device=lattice, progress=progress
    )
