"""Pictures as PNG files."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def as_png(picture: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """HxWx3 or HxWx4 colours, or HxW labels, as a PNG file; packed for speed rather than size."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()


def from_png(data: bytes) -> NDArray[np.uint8]:
    """What `as_png` was given: a file that this program has written itself."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.array(picture)
