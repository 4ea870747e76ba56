"""The surface of a NeRF variant: where its density reaches a threshold, by marching cubes.

As published: 256 planes of lattice points along each axis from −1 to 1, level 10. `models.isosurface` asks for the
points near the surface only, where the lattice can be halved: 257 is much cheaper than 256 and a little finer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.isosurface import Bounds, Triangles, surface
from models.isosurface.sampling import Report
from models.lrm.fields import DensityField

BOUNDS = Bounds.of(-1.0, 1.0)
THRESHOLD = 10.0
RESOLUTION = 257
PUBLISHED_RESOLUTION = 256


def density_surface(
    field: DensityField,
    resolution: int = RESOLUTION,
    threshold: float = THRESHOLD,
    *,
    progress: Report | None = None,
) -> Triangles:
    """The surface at which the density falls below a threshold, in the field's own units, facing outwards.

    Args:
        field: of a NeRF variant.
        resolution: lattice points along each axis, 2 to 513; 129, 257 and 513 are efficient.
        threshold: density; a higher one gives a thinner object.
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
    return surface(outside, BOUNDS, resolution, passes=1, chunk=field.chunk, device=lattice, progress=progress)
