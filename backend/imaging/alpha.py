"""Pictures without transparency."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def on_white(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """HxWx3 of HxWx4 with straight alpha, white where it is transparent, as the networks have seen cut-out objects."""
    if picture[..., 3].min() == 255:
        return np.ascontiguousarray(picture[..., :3])
    alpha = picture[..., 3:].astype(np.uint16)
    mixed = picture[..., :3] * alpha + 255 * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)
