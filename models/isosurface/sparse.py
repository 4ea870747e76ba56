"""A cubic lattice of values of which only blocks near the surface exist.

Values known at a coarse lattice everywhere, and at finer points inside blocks. Where a value is missing, the point
takes the value of the next coarser lattice point below it, found inside its own block: the decoder sees to it that
no surface lies between the two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.isosurface.sampling import Bounds

SMALLEST_BLOCK = 8


class SparseGrid:
    """Values on `resolution`³ lattice points over `bounds`, axis order x, y, z; missing ones are NaN.

    Args:
        bounds: the box whose corners are the first and last lattice points.
        resolution: lattice points along each axis.
        coarse: values `[n, n, n]` at every `stride`-th point, n = (resolution - 1) / stride + 1, rounded up: what lies
            beyond the last lattice point serves the search and is not given out.
        stride: a power of two.
    """

    def __init__(self, bounds: Bounds, resolution: int, coarse: Tensor, stride: int) -> None:
        self.bounds = bounds
        self.resolution = resolution
        self.coarse = coarse
        self.stride = stride
        self.edge = max(stride, SMALLEST_BLOCK)
        self.queries = 0
        """Field values asked for so far; set by the decoder."""
        self.cells = (len(coarse) - 1) * stride
        """Cells along each axis, those beyond the last lattice point too."""
        self._side = self.cells // self.edge + 1
        device = coarse.device
        self._first_slot = torch.full((self._side**3,), -1, dtype=torch.int64, device=device)
        self.blocks = torch.empty((0, 3), dtype=torch.int64, device=device)
        """Block coordinates `[B, 3]`; block b begins at lattice point `blocks[b] * edge`."""
        self.values = torch.empty((0, self.edge, self.edge, self.edge), device=device)
        """Values of the blocks, `[B, edge, edge, edge]`, float32."""

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """Distance between neighbouring points along each axis, `[3]`."""
        return self.bounds.size / (self.resolution - 1)

    def make_room(self, cells: Tensor, stride: int) -> None:
        """Makes the blocks that hold the corners, and so every point, of cells `[M, 3]` of `stride`."""
        corners = torch.stack([cells, cells + 1]).permute(2, 0, 1) * stride
        key = _combine(corners.div(self.edge, rounding_mode="floor"), self._side)
        wanted = torch.zeros(len(self._first_slot), dtype=torch.bool, device=key.device)
        wanted[key] = True
        key = (wanted & (self._first_slot < 0)).nonzero().squeeze(1)
        if not len(key):
            return
        self._first_slot[key] = torch.arange(len(self.blocks), len(self.blocks) + len(key), device=key.device) * (
            self.edge**3
        )
        side = self._side
        fresh = torch.stack([key // (side * side), key // side % side, key % side], dim=1)
        values = torch.full((len(key), *self.values.shape[1:]), torch.nan, device=key.device)
        per_block = self.edge // self.stride
        axis = torch.arange(per_block, device=key.device)
        last = len(self.coarse) - 1  # points beyond the lattice fill up the last blocks; they are never read
        x, y, z = ((fresh[:, i, None] * per_block + axis).clamp(max=last) for i in range(3))
        values[:, :: self.stride, :: self.stride, :: self.stride] = self.coarse[
            x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]
        ]
        self.blocks = torch.cat([self.blocks, fresh])
        self.values = torch.cat([self.values, values])

    def slots(self, coordinates: Tensor) -> Tensor:
        """Where the points lie in `values.flatten()`, `[A, A, A, M]`; negative without a block.

        Args:
            coordinates: `[3, A, M]`: along each axis A coordinates of each of M little lattices.
        """
        block = coordinates.div(self.edge, rounding_mode="floor")
        first = self._first_slot[_combine(block, self._side)]
        return torch.where(first < 0, first, first + _combine(coordinates - block * self.edge, self.edge))

    def points(self, slots: Tensor) -> Tensor:
        """The lattice points `[P, 3]` of slots `[P]`."""
        edge = self.edge
        local = torch.stack([slots // (edge * edge) % edge, slots // edge % edge, slots % edge], dim=1)
        return self.blocks[slots // edge**3] * edge + local

    def filled(self, coordinates: Tensor, stride: int) -> Tensor:
        """Values `[A, A, A, M]` at points of the lattice of `stride`, missing ones taken from coarser lattices.

        Args:
            coordinates: `[3, A, M]`, as in `slots`.
        """
        at = coordinates.div(self.stride, rounding_mode="floor")
        x, y, z = at[0, :, None, None], at[1, None, :, None], at[2, None, None, :]
        values = self.coarse[x, y, z]
        coarser = self.stride
        while coarser > stride and len(self.values):
            coarser //= 2
            slots = self.slots(coordinates.div(coarser, rounding_mode="floor") * coarser)
            known = self.values.view(-1)[slots]
            values = torch.where((slots < 0) | known.isnan(), values, known)
        return values

    def close(self) -> None:
        """Fills in all missing values, as the first lines of this module say. The decoder calls it last."""
        stride = self.stride
        while stride > 1:
            half = stride // 2
            fine = self.values[:, ::half, ::half, ::half]
            rough = self.values[:, ::stride, ::stride, ::stride]
            for axis in (1, 2, 3):
                rough = rough.repeat_interleave(2, dim=axis)
            fine.copy_(torch.where(fine.isnan(), rough, fine))
            stride = half

    def slab(self, start: int, stop: int) -> Tensor:
        """Planes `start` to `stop` - 1 along x as a dense array `[stop - start, resolution, resolution]`, float32.

        Equal to a dense evaluation in the sign of every point, and in the value of every corner of a cell that the
        surface passes. `start` is a multiple of `edge`.
        """
        if self.stride == 1:
            return self.coarse[start:stop]
        count = (stop - 1 - start) // self.edge + 1
        side, edge = self._side, self.edge
        background = self._background()[start // edge : start // edge + count]
        for axis in range(3):
            background = background.repeat_interleave(edge, dim=axis)
        inside = (self.blocks[:, 0] >= start // edge) & (self.blocks[:, 0] < start // edge + count)
        x, y, z = self.blocks[inside].unbind(1)
        view = background.view(count, edge, side, edge, side, edge)
        view[x - start // edge, :, y, :, z, :] = self.values[inside]
        return background[: stop - start, : self.resolution, : self.resolution]

    def dense(self) -> Tensor:
        """All planes: `[resolution, resolution, resolution]`, float32. 540 MB at 513."""
        return self.slab(0, self.resolution)

    def inside(self) -> tuple[Tensor, Tensor] | None:
        """Lowest and highest lattice indices `[3]` of points that are inside (value at most zero); None without any."""
        points = torch.cat(
            [
                (self.coarse <= 0).nonzero() * self.stride,
                self.points((self.values <= 0).flatten().nonzero().squeeze(1)),
            ]
        )
        # The last blocks are filled up with rubbish; what lies beyond the wall before that is as on it.
        points = points[(points <= self.cells).all(1)].clamp(max=self.resolution - 1)
        return (points.amin(0), points.amax(0)) if len(points) else None

    def _background(self) -> Tensor:
        """The value of each block's first point, `[side, side, side]`; blocks that do not exist are uniform in sign."""
        step = self.edge // self.stride
        return self.coarse[::step, ::step, ::step].contiguous()


def _combine(parts: Tensor, base: int) -> Tensor:
    """`(x * base + y) * base + z` for all combinations: `[3, A, M]` -> `[A, A, A, M]`."""
    x, y, z = parts[0] * base**2, parts[1] * base, parts[2]
    return x[:, None, None] + y[None, :, None] + z[None, None, :]
