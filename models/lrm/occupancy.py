"""Where in the box of a density field something may be seen, so that pictures of it need not ask elsewhere.

One lattice of raw densities per object: the centres of the planes' pixels, between which the features are linear, and
the walls of the box. A cell is empty if at its corners, and at those of all cells around it, the density is so low that
a ray right through the box would hardly gather anything. What "hardly" is, the floor says; that no peak hides between
the corners of 27 cells is not proved, but it holds for planes interpolated between the points that are looked at.

With InstantMesh's and OpenLRM's planes that are 66³ points, a thousandth of what one orbit of pictures asks for.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d

from models.lrm.decoders import raw_density
from models.lrm.fields import DensityField
from models.lrm.triplane import CHUNK
from models.lrm.volume import RadianceField

FLOOR = 1 / 1024
"""Opacity of a ray right through the box, along its diagonal, at or below which space is empty: a quarter of a step of
8-bit colours."""


class OccupiedSpace:
    """Asked with points, tells which of them lie where something may be seen (`volume.Occupied`).

    Args:
        field: is asked for (resolution + 2)³ points.
        resolution: cells along each axis, best that of the planes; the outermost ones are halved by the walls.
        half_extent: of the box.
        floor: see `FLOOR`.
        chunk: points that the field is asked for at once.

    Attributes:
        cells: bool [resolution + 1, resolution + 1, resolution + 1] along x, y, z, False where a cell is empty.
        queries: points that the field was asked for.
    """

    def __init__(
        self,
        field: RadianceField,
        resolution: int,
        half_extent: float = 1.0,
        floor: float = FLOOR,
        chunk: int = CHUNK,
        device: torch.device | None = None,
    ) -> None:
        self._resolution, self._half_extent = resolution, half_extent
        centres = (torch.arange(resolution, device=device) + 0.5) * (2 / resolution) - 1
        wall = torch.ones(1, device=device)
        axis = torch.cat([-wall, centres, wall]) * half_extent
        points = torch.cartesian_prod(axis, axis, axis)
        raw = torch.cat([field(part)[1] for part in torch.split(points, chunk)])
        self.queries = len(points)
        corners = raw.view(1, *[len(axis)] * 3)
        highest = max_pool3d(max_pool3d(corners, 2, stride=1), 3, stride=1, padding=1)[0]
        self.cells = highest > faintest(floor, half_extent)

    @classmethod
    def of(cls, field: DensityField, floor: float = FLOOR) -> OccupiedSpace:
        """That of a field, at the resolution of its planes."""
        return cls(field, field.planes.shape[-1], floor=floor, chunk=field.chunk, device=field.planes.device)

    def __call__(self, points: Tensor) -> Tensor:
        """[P, 3] → bool [P]."""
        place = (points / self._half_extent + 1) * (self._resolution / 2) + 0.5
        x, y, z = place.floor().clamp(0, self._resolution).long().unbind(1)
        return self.cells[x, y, z]


def faintest(opacity: float, half_extent: float = 1.0) -> float:
    """The raw density that gives the diagonal of the box an opacity, if the box is full of it."""
    return raw_density(-math.log1p(-opacity) / (2 * math.sqrt(3) * half_extent))
