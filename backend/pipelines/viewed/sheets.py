"""Views side by side in one picture, to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = 8


def sheet(views: NDArray[Any], columns: int = COLUMNS) -> NDArray[Any]:
    """Views [V, h, w, channels] in rows of `columns`, the first at the upper left; places that are left over are 0."""
    count, height, width, channels = views.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    filled = np.zeros((rows * columns, height, width, channels), views.dtype)
    filled[:count] = views
    tiles = filled.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(rows * height, columns * width, channels)
