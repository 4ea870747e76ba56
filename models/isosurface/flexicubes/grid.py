"""A cube of cells around the origin: where its vertices lie."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DECIMALS = 5
SMALLEST, LARGEST = 5, 512


def corner_offsets(device: torch.device) -> Tensor:
    """Where the corners of a cell are, in cells, `[8, 3]`: corner j is at (j & 1, j >> 1 & 1, j >> 2)."""
    corner = torch.arange(8, device=device)
    return torch.stack([corner & 1, corner >> 1 & 1, corner >> 2], dim=1)


def strides(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Steps along x, y, z in a flat array of this shape, x slowest."""
    return shape[1] * shape[2], shape[2], 1


def unravel(index: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Flat indices `[N]` -> indices along x, y, z `[N, 3]`."""
    row = index.div(shape[2], rounding_mode="floor")
    plane = row.div(shape[1], rounding_mode="floor")
    return torch.stack([plane, row - plane * shape[1], index - row * shape[2]], dim=1)


@dataclass(frozen=True)
class CubicGrid:
    """resolution³ cells, (resolution + 1)³ vertices, both counted with x slowest.

    Args:
        resolution: cells along each axis, 5 to 512.
        scale: edge length of the cube; it reaches from -scale / 2 to scale / 2.

    Raises:
        ValueError: out of range.
    """

    resolution: int
    scale: float

    def __post_init__(self) -> None:
        if not SMALLEST <= self.resolution <= LARGEST:
            raise ValueError(f"A grid has {SMALLEST} to {LARGEST} cells along each axis, not {self.resolution}.")
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"The edge length of a grid is a positive number, not {self.scale}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Vertices along x, y, z."""
        side = self.resolution + 1
        return side, side, side

    @property
    def vertices(self) -> int:
        """How many vertices there are."""
        return (self.resolution + 1) ** 3

    def axis(self, device: torch.device) -> Tensor:
        """Coordinates of the vertices along any axis, `[resolution + 1]` float32.

        The published grid merges the corners of neighbouring cells by rounding them to five decimals of the cube, which
        moves them by up to 1e-5. The networks were trained with it.
        """
        parts = torch.arange(self.resolution + 1, dtype=torch.float32, device=device) / self.resolution
        coordinates: Tensor = ((parts * 10**DECIMALS).round() / 10**DECIMALS - 0.5) * self.scale
        return coordinates

    def points(self, index: Tensor) -> Tensor:
        """Coordinates `[N, 3]` of vertices `[N]` (flat int64 indices)."""
        return self.axis(index.device)[unravel(index, self.shape)]

    def corners(self, cells: Tensor) -> Tensor:
        """Coordinates `[C, 8, 3]` of the corners of cells `[C]` (flat int64 indices)."""
        lowest = unravel(cells, (self.resolution, self.resolution, self.resolution))
        return self.axis(cells.device)[lowest[:, None] + corner_offsets(cells.device)]
