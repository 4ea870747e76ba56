"""Gaps filled and details blurred in one walk through a pyramid of means, in a picture as well as in space.

Push-pull (Gortler, Grzeszczuk, Szeliski, Cohen: The Lumigraph, 1996): weighted means of ever larger blocks are built,
and on the way back what is not known is filled from the next coarser level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


def push_pull(sums: Values, levels: Values | None = None, enough: float = 0.25) -> tuple[Values, Values]:
    """Fill and blur.

    Args:
        sums: (..., 4), a grid of two or three axes: colours times weight, and weight; weight 0 where the colour is
            unknown, 1 where it is certain, between where coarser levels are to be mixed in.
        levels: (...), pyramid level from which each place of the blurred grid is taken; None: it is not wanted.
        enough: mean weight of a block from which its colour counts fully.

    Returns:
        The filled grid and the blurred grid, both (..., 3).
    """
    shape = sums.shape[:-1]
    weight = sums[..., 3:]
    if max(shape) <= 1:
        mean = sums[..., :3].sum(axis=tuple(range(len(shape)))) / max(float(weight.sum()), 1e-12)
        filled = np.where(weight > 0, sums[..., :3] / np.maximum(weight, 1e-12), mean).astype(np.float32)
        return filled, filled
    coarse_levels = None if levels is None else _halved(levels[..., None])[..., 0] - 1
    coarse_filled, coarse_soft = push_pull(_halved(sums), coarse_levels, enough)
    known = np.minimum(weight / enough, 1)
    own = sums[..., :3] / np.maximum(weight, 1e-12)
    filled = _doubled(coarse_filled, shape)
    filled += (own - filled) * known
    if levels is None:
        return filled, filled
    sharp = np.clip(1 - levels, 0, 1)[..., None]
    soft = _doubled(coarse_soft, shape)
    soft += (filled - soft) * sharp
    return filled, soft


def _halved(values: Values) -> Values:
    """Means of blocks of 2 along every axis but the last; what is odd is completed by its last row."""
    axes = values.ndim - 1
    for axis in range(axes):
        if values.shape[axis] % 2:
            last = values[(slice(None),) * axis + (slice(-1, None),)]
            values = np.concatenate([values, last], axis=axis)
        even, odd = ((slice(None),) * axis + (slice(start, None, 2),) for start in (0, 1))
        values = values[even] + values[odd]
    return values * np.float32(0.5**axes)


def _doubled(values: Values, shape: tuple[int, ...]) -> Values:
    """Linear enlargement to the shape that `_halved` came from."""
    for axis in range(len(shape)):
        low, high = np.roll(values, 1, axis), np.roll(values, -1, axis)
        first, last = ((slice(None),) * axis + (part,) for part in (slice(0, 1), slice(-1, None)))
        low[first], high[last] = values[first], values[last]
        pairs = np.stack([0.75 * values + 0.25 * low, 0.75 * values + 0.25 * high], axis=axis + 1)
        values = pairs.reshape(*values.shape[:axis], -1, *values.shape[axis + 1 :])
    return np.ascontiguousarray(values[tuple(slice(length) for length in shape)])
