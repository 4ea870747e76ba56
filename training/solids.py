"""Surface → solid: which cells of a cube are inside an object, whether its surface is closed or not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

AT_ONCE = 2_000_000
"""Points in memory at a time."""


def solid(triangles: NDArray[np.floating], side: int = 96) -> NDArray[np.bool_]:
    """Cells of [−1, 1]³ that the surface goes through, and all that cannot be reached from outside.

    From below nothing is reached: furniture often has no underside, because nobody sees it. A surface that encloses
    nothing stays as thick as one cell.

    Args:
        triangles: [T, 3, 3].
        side: cells along each side, n.

    Returns:
        [n, n, n], by x, y, z; cell i spans −1 + 2 i / n … −1 + 2 (i + 1) / n.
    """
    shell = surface_cells(triangles, side)
    if not shell.any():
        return shell
    padded = np.pad(shell, 1)
    lowest = int(np.nonzero(shell.any((0, 1)))[0][0])
    padded[:, :, : lowest + 1] = True  # the ground; padding shifts cells by one
    outside, _ = ndimage.label(~padded)
    filled = outside != outside[0, 0, -1]
    filled[:, :, : lowest + 1] = False
    return np.asarray(filled[1:-1, 1:-1, 1:-1] | shell)


def surface_cells(triangles: NDArray[np.floating], side: int) -> NDArray[np.bool_]:
    """[n, n, n]: cells of [−1, 1]³ that hold points of the surface, sampled closer than half a cell."""
    cells = np.zeros(side**3, bool)
    for points in _sampled(np.asarray(triangles, np.float32), 0.9 / side):
        index = np.clip(((points + 1) * (side / 2)).astype(np.int32), 0, side - 1)
        cells[(index[:, 0] * side + index[:, 1]) * side + index[:, 2]] = True
    return cells.reshape(side, side, side)


def _sampled(triangles: NDArray[np.float32], step: float) -> Iterator[NDArray[np.float32]]:
    """Points on triangles, no farther apart than a step along the longest side and along the height on it."""
    if not len(triangles):
        return
    sides = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
    first = sides.argmax(1)
    rows = np.arange(len(triangles))
    a, b, c = (triangles[rows, (first + shift) % 3] for shift in range(3))
    longest = sides[rows, first]
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    along = np.ceil(longest / step).astype(np.int64) + 1
    up = np.ceil(area / np.maximum(longest, 1e-12) / step).astype(np.int64) + 1
    counts = along * up
    ends = np.cumsum(counts)
    begin = 0
    while begin < len(triangles):
        done = int(ends[begin - 1]) if begin else 0
        end = max(int(np.searchsorted(ends, done + AT_ONCE, side="right")), begin + 1)
        chosen = np.repeat(np.arange(begin, end), counts[begin:end])
        number = np.arange(len(chosen)) - ((ends - counts)[chosen] - done)
        s = ((number % along[chosen]) / np.maximum(along[chosen] - 1, 1)).astype(np.float32)[:, None]
        t = ((number // along[chosen]) / np.maximum(up[chosen] - 1, 1)).astype(np.float32)[:, None]
        yield (1 - t) * ((1 - s) * a[chosen] + s * b[chosen]) + t * c[chosen]
        begin = end
