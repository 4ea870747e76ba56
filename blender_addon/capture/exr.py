"""The passes of a render out of a multilayer EXR file as Blender writes it.

Blender shows the layers of such a file to its compositor only. What is read here is the one layout that a capture asks
for (`compat.set_layers_format`): a single part, scan lines, 32-bit floats, each line compressed by zlib (ZIPS).
The format: https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC, _VERSION, _LONG_NAMES = 20000630, 2, 0x400
_ZIPS, _INCREASING_Y, _FLOAT = 2, 0, 2


class UnexpectedLayout(ValueError):
    """The file is none of those that a capture writes."""


def read_channels(path: Path) -> dict[str, Any]:
    """Name, as "ViewLayer.Depth.Z" -> (H, W) float32, upper row first.

    Raises UnexpectedLayout: for any other kind of file, and for one that is cut short.
    """
    data = path.read_bytes()
    try:
        return _read(data)
    except (struct.error, zlib.error, ValueError, KeyError, IndexError) as error:
        raise UnexpectedLayout(f"{path.name}: {error}") from error


def _read(data: bytes) -> dict[str, Any]:
    magic, version = struct.unpack_from("<ii", data)
    if magic != _MAGIC or version & ~_LONG_NAMES != _VERSION:
        raise ValueError(f"no EXR file of a single part with scan lines ({magic}, {version:#x})")
    attributes, offset = _header(data, 8)
    names = _channels(attributes["channels"])
    if attributes["compression"][0] != _ZIPS or attributes["lineOrder"][0] != _INCREASING_Y:
        raise ValueError("its lines are not compressed one by one")
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    planes = np.empty((height, len(names), width), np.float32)
    line_bytes = planes[0].nbytes
    for start in struct.unpack_from(f"<{height}Q", data, offset):
        row, size = struct.unpack_from("<ii", data, start)
        packed = data[start + 8 : start + 8 + size]
        line = packed if size == line_bytes else _unpacked(packed, line_bytes)
        planes[row - top] = np.frombuffer(line, "<f4").reshape(len(names), width)
    return {name: planes[:, number] for number, name in enumerate(names)}


def _header(data: bytes, offset: int) -> tuple[dict[str, bytes], int]:
    """The attributes' values by name, and where the table of lines begins."""
    attributes = {}
    while data[offset]:
        name, offset = _text(data, offset)
        _, offset = _text(data, offset)
        (size,) = struct.unpack_from("<i", data, offset)
        attributes[name] = data[offset + 4 : offset + 4 + size]
        offset += 4 + size
    return attributes, offset + 1


def _text(data: bytes, offset: int) -> tuple[str, int]:
    end = data.index(0, offset)
    return data[offset:end].decode("utf-8", "replace"), end + 1


def _channels(data: bytes) -> list[str]:
    """The channels' names in the order in which they lie in each line."""
    names, offset = [], 0
    while data[offset]:
        name, offset = _text(data, offset)
        kind, _, across, down = struct.unpack_from("<4i", data, offset)
        if (kind, across, down) != (_FLOAT, 1, 1):
            raise ValueError(f"channel {name} does not hold a float for every pixel")
        names.append(name)
        offset += 16
    return names


def _unpacked(packed: bytes, size: int) -> bytes:
    """A line as it was: zlib, then each byte is the difference to the one before plus 128, then the first half holds
    every second byte from the first on, the other half the rest."""
    coded = np.frombuffer(zlib.decompress(packed), np.uint8)
    if len(coded) != size:
        raise ValueError(f"a line of {len(coded)} bytes in place of {size}")
    steps = coded.copy()
    steps[1:] -= 128  # wraps, as bytes do
    values = np.cumsum(steps, dtype=np.uint8)
    half = (size + 1) // 2
    line = np.empty(size, np.uint8)
    line[0::2], line[1::2] = values[:half], values[half:]
    return line.tobytes()
