"""The depth file: planar metres per pixel as NumPy writes them."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.headers import MAXIMUM_PIXELS

FARTHEST = 1e9
"""Renderers write a huge number (Blender 1e10, 65504 in half floats counts as infinity) where nothing is seen."""

HALF_FLOAT_MAXIMUM = 65504.0


def read_depth(data: bytes, size: tuple[int, int]) -> NDArray[np.float32]:
    """Read planar depth from a `.npy` file without ever unpickling.

    Args:
        data: the file; a 2-D array of 16-, 32- or 64-bit floats, one row per image row, upper row first.
        size: (width, height) of the picture it belongs to.

    Returns:
        HxW float32, metres along the viewing axis; NaN where nothing is seen: values that are not finite, not
        positive, or 1e9 and more (in half floats: their largest number).

    Raises:
        Problem: depth-unreadable, depth-mismatch.
    """
    shape, fortran_order, dtype, start = _read_header(data)
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise Problem("depth-unreadable", f"The depth file holds {dtype}, not 16-, 32- or 64-bit floats.")
    if len(shape) != 2:
        raise Problem("depth-unreadable", f"The depth file has {len(shape)} dimensions {shape}, not 2.")
    height, width = shape
    if (width, height) != tuple(size):
        detail = f"The depth is {width} × {height} pixels and the picture {size[0]} × {size[1]}."
        raise Problem("depth-mismatch", detail)
    count = math.prod(shape)
    if count > MAXIMUM_PIXELS:
        raise Problem("depth-unreadable", f"The depth file claims {width} × {height} pixels.")
    missing = count * dtype.itemsize - (len(data) - start)
    if missing > 0:
        raise Problem("depth-unreadable", f"The depth file is cut off: {missing} bytes are missing at its end.")
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=start)
    values = flat.reshape(shape, order="F" if fortran_order else "C")
    limit = HALF_FLOAT_MAXIMUM if dtype.itemsize == 2 else FARTHEST
    seen = np.isfinite(values) & (values > 0) & (values < limit)
    depth = np.full(shape, np.nan, dtype=np.float32)
    depth[seen] = values[seen]
    depth[depth == 0] = np.nan  # what is positive in 64 bits may be nothing in 32
    if np.isnan(depth).all():
        raise Problem("depth-unreadable", "The depth file holds no distance at all: nowhere is anything seen.")
    return depth


def _read_header(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Shape, Fortran order, dtype and offset of the numbers."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran_order, dtype = readers[version](stream)
        if any(length < 0 for length in shape):
            raise ValueError("negative length")
    except Exception as error:
        # numpy parses the header as a Python literal, and hostile text makes that fail in many ways.
        raise Problem("depth-unreadable", "The depth file is not a .npy file that can be read.") from error
    return shape, fortran_order, dtype, stream.tell()
