"""Small picture files made by hand, among them kinds that Pillow cannot write."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = Path(os.environ.get("SET_DRESSER_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The image as a file."""
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png(
    samples: Any, kind: int = GREY, bits: int = 8, extra: bytes = b"", size: tuple[int, int] | None = None
) -> bytes:
    """A PNG from raw samples, HxW or HxWxC, of 1, 2, 4, 8 or 16 bits; `size` lies about (width, height)."""
    samples = np.asarray(samples)
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if bits == 16:
        packed = [row.astype(">u2").tobytes() for row in rows]
    elif bits == 8:
        packed = [row.astype(np.uint8).tobytes() for row in rows]
    else:
        packed = [
            np.packbits(((row[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).ravel()).tobytes()
            for row in rows
        ]
    header = struct.pack(">IIBBBBB", *(size or (width, height)), bits, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in packed))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
