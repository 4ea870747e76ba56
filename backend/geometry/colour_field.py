"""A colour for every point in space, carried over from points whose colour is known.

Being a function of the place alone it has no seams, however a surface is cut into triangles, and it needs no
connection between them: known and unknown parts meet in the same colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.geometry.pyramid import push_pull

Floats = NDArray[np.float64]
Values = NDArray[np.float32]

CELLS = 128
"""Along the longest side: what is filled shows details of a hundredth of the thing's size."""


ENOUGH = 1 / 64
"""Known share of a block of cells from which its mean colour is taken: what is known lies on a surface."""


class ColourField:
    """Colours in a box of space.

    Args:
        extent: (M, 3) points that span the box.
        points: (N, 3) places of known colour. colours: (N, 3).
        weights: (N,) how much each counts.
    """

    def __init__(self, extent: Floats, points: Floats, colours: Values, weights: Floats) -> None:
        low, high = extent.min(axis=0), extent.max(axis=0)
        self.cell = max(float((high - low).max()), 1e-12) / CELLS
        self.low = low - self.cell / 2
        shape = np.ceil((high - self.low) / self.cell).astype(np.int64) + 1
        index = np.floor((points - self.low) / self.cell).astype(np.int64).clip(0, shape - 1)
        number = np.ravel_multi_index(tuple(index.T), tuple(shape))
        total = np.bincount(number, weights, minlength=int(shape.prod()))
        sums = [np.bincount(number, weights * colours[:, band], minlength=len(total)) for band in range(3)]
        scale = 1 / np.maximum(total, 1.0)  # a cell counts once, however many points lie in it
        grid = np.stack([*sums, total], axis=1) * scale[:, None]
        self.grid, _ = push_pull(grid.reshape(*shape, 4).astype(np.float32), enough=ENOUGH)

    def at(self, points: Floats) -> Values:
        """(N, 3) colours at (N, 3) places."""
        places = ((points - self.low) / self.cell - 0.5).T
        bands = [ndimage.map_coordinates(self.grid[..., band], places, order=1, mode="nearest") for band in range(3)]
        return np.stack(bands, axis=1)
