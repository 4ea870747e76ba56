"""Pixels: out of Blender's images, and into PNG and .npy files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..ground.glb_pictures import picture_size

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # channels -> PNG colour type: grey, RGB, RGBA


def png(pixels: Any) -> bytes:
    """A PNG file of (H, W) grey or (H, W, 3 or 4) pixels, upper row first; 8 bits for uint8, 16 bits for uint16."""
    pixels = np.asarray(pixels)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    height, width, channels = pixels.shape
    if pixels.dtype not in (np.uint8, np.uint16) or channels not in _COLOR_TYPES or not pixels.size:
        raise ValueError(f"no PNG can be made of {pixels.dtype} pixels of shape {pixels.shape}")
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)  # filter 0: every row as it is
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.dtype.itemsize, _COLOR_TYPES[channels], 0, 0, 0)
    data = zlib.compress(filtered.tobytes(), 4)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def check_png(path: Path, most_pixels: int) -> None:
    """Raises ValueError unless the file is a whole PNG, no side longer than `most_pixels`: Blender's reader would take
    any kind of picture, of any size, and what a broken one leaves behind."""
    data = path.read_bytes()
    size = picture_size(data) if data.startswith(PNG_SIGNATURE) else None
    if size is None or not 0 < min(size) <= max(size) <= most_pixels:
        raise ValueError(f"{path.name} is no PNG of at most {most_pixels} pixels a side")
    position, kind = len(PNG_SIGNATURE), b""
    while kind != b"IEND":
        (length,) = struct.unpack(">I", data[position : position + 4].rjust(4, b"\xff"))
        end = position + 8 + length
        kind, code = data[position + 4 : position + 8], data[end : end + 4]
        if len(code) < 4 or struct.unpack(">I", code)[0] != zlib.crc32(data[position + 4 : end]):
            raise ValueError(f"{path.name} is cut off or damaged")
        position = end + 4


def npy(array: Any) -> bytes:
    """A .npy file of the array."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder inside the folder, on the same file system, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".capture-", dir=folder) as name:
        yield Path(name)


def move(files: list[Path], folder: Path) -> list[Path]:
    """Move files that are complete into the folder; returns where they are then."""
    return [file.replace(folder / file.name) for file in files]


def pixels_of(image: Any) -> Any:
    """(H, W, channels) float32 as Blender holds them, lower row first."""
    width, height = image.size
    values = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(height, width, image.channels)


def read_floats(path: Path) -> Any:
    """(H, W, 4) float32, upper row first, exactly as they are in the file."""
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        return pixels_of(image)[::-1]
    finally:
        bpy.data.images.remove(image)
