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
        coarse: values `[n, n, n]` at every `stride`-th point, n = (resolution - 1) / stride + 1.
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
        self._side = (resolution - 1) // self.edge + 1
        device = coarse.device
        self._block_at = torch.full((self._side**3,), -1, dtype=torch.int64, device=device)
        self.blocks = torch.empty((0, 3), dtype=torch.int64, device=device)
        """Block coordinates `[B, 3]`; block b begins at lattice point `blocks[b] * edge`."""
        self.values = torch.empty((0, self.edge, self.edge, self.edge), device=device)
        """Values of the blocks, `[B, edge, edge, edge]`, float32."""

    @property
    def spacing(self) -> npt.NDArray[np.float64]:
        """Distance between neighbouring points along each axis, `[3]`."""
        return self.bounds.size / (self.resolution - 1)

    def make_room(self, points: Tensor) -> None:
        """Makes the blocks that hold these points `[P, 3]`."""
        block = points.div(self.edge, rounding_mode="floor")
        key = (block[:, 0] * self._side + block[:, 1]) * self._side + block[:, 2]
        key = torch.unique(key[self._block_at[key] < 0])
        if not len(key):
            return
        self._block_at[key] = torch.arange(len(self.blocks), len(self.blocks) + len(key), device=key.device)
        side = self._side
        fresh = torch.stack([key // (side * side), key // side % side, key % side], dim=1)
        values = torch.full((len(key), *self.values.shape[1:]), torch.nan, device=key.device)
        per_block = self.edge // self.stride
        axis = torch.arange(per_block, device=key.device)
        x, y, z = (fresh[:, i, None] * per_block + axis for i in range(3))
        last = len(self.coarse) - 1  # points beyond the lattice fill up the last blocks; they are never read
        x, y, z = (index.clamp(max=last) for index in (x, y, z))
        values[:, :: self.stride, :: self.stride, :: self.stride] = self.coarse[
            x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]
        ]
        self.blocks = torch.cat([self.blocks, fresh])
        self.values = torch.cat([self.values, values])

    def slots(self, points: Tensor) -> Tensor:
        """Where the values of points `[P, 3]` lie in `values.flatten()`, `[P]`; negative without a block."""
        block = points.div(self.edge, rounding_mode="floor")
        at = self._block_at[(block[:, 0] * self._side + block[:, 1]) * self._side + block[:, 2]]
        local = points - block * self.edge
        slot = ((at * self.edge + local[:, 0]) * self.edge + local[:, 1]) * self.edge + local[:, 2]
        return torch.where(at < 0, -1, slot)

    def points(self, slots: Tensor) -> Tensor:
        """The lattice points `[P, 3]` of slots `[P]`."""
        edge = self.edge
        local = torch.stack([slots // (edge * edge) % edge, slots // edge % edge, slots % edge], dim=1)
        return self.blocks[slots // edge**3] * edge + local

    def filled(self, points: Tensor, stride: int) -> Tensor:
        """Values `[P]` at points `[P, 3]` of the lattice of `stride`, missing ones taken from coarser lattices."""
        values = torch.full((len(points),), torch.nan, device=self.coarse.device)
        while stride < self.stride:
            at = torch.div(points, stride, rounding_mode="floor") * stride
            slots = self.slots(at)
            known = torch.where(slots < 0, torch.nan, self.values.view(-1)[slots]) if len(self.values) else values
            values = torch.where(values.isnan(), known, values)
            stride *= 2
        x, y, z = torch.div(points, self.stride, rounding_mode="floor").unbind(1)
        return torch.where(values.isnan(), self.coarse[x, y, z], values)

    def close(self) -> None:
        """Frees nothing and asks nothing: fills the missing values of all blocks (see the module's first lines)."""
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

    def _background(self) -> Tensor:
        """The value of each block's first point, `[side, side, side]`; blocks that do not exist are uniform in sign."""
        step = self.edge // self.stride
        return self.coarse[::step, ::step, ::step].contiguous()
