"""How a picture file asks to be turned, and what that makes of places in it.

Cameras store a photograph as the sensor saw it and note beside it which way is up (Exif 2.32, tag 274; or in XMP).
Blender shows pictures as they are stored; the backend, as every viewer does, turns them upright. Boxes and cameras
that were made on what Blender shows are turned along by what stands here.

Orientations are the numbers 1 to 8 of Exif; points are in pixels, (0, 0) at the upper left corner, y down.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

UPRIGHT = 1
MIRRORED = (2, 4, 5, 7)
ON_ITS_SIDE = (5, 6, 7, 8)

ORIENTATION_TAG, XMP_TAG = 274, 700
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_XMP_IN_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_LONGEST_BLOCK = 16 * 1024 * 1024
"""Bytes of Exif or XMP that are looked at; what is longer is no such thing."""


def of_file(path: Path) -> int:
    """The orientation of a JPEG, PNG, WebP or TIFF file; 1 for all others, and for one that cannot be read."""
    try:
        with path.open("rb") as stream:
            return of_stream(stream)
    except OSError:
        return UPRIGHT  # whoever uses the file says so


def of_stream(stream: BinaryIO) -> int:
    """The same of an open file. Exif counts before XMP."""
    try:
        exif, xmp = _blocks(stream)
    except (struct.error, ValueError, zlib.error):
        return UPRIGHT
    found = exif if exif is not None else _in_xmp(xmp)
    return found if found is not None and 1 <= found <= 8 else UPRIGHT


def upright_size(orientation: int, width: int, height: int) -> tuple[int, int]:
    """The size that a stored picture has when it is turned."""
    return (height, width) if orientation in ON_ITS_SIDE else (width, height)


def upright_point(orientation: int, size: tuple[int, int], x: float, y: float) -> tuple[float, float]:
    """Where a point of a stored picture of (width, height) comes to lie when it is turned."""
    width, height = size
    turned = {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }
    return turned.get(orientation, (x, y))


def upright_box(orientation: int, size: tuple[int, int], box: dict[str, Any]) -> dict[str, Any]:
    """A box {"left", "top", "right", "bottom", …} of a stored picture of (width, height), when that is turned."""
    first = upright_point(orientation, size, box["left"], box["top"])
    second = upright_point(orientation, size, box["right"], box["bottom"])
    (left, right), (top, bottom) = (sorted((first[axis], second[axis])) for axis in (0, 1))
    return {**box, "left": left, "top": top, "right": right, "bottom": bottom}


def upright_camera(orientation: int, camera: dict[str, Any]) -> dict[str, Any]:
    """The camera of the contract that took the turned picture, of the one that took the picture as stored: the same
    one, rolled. Raises ValueError: for a mirrored orientation, which no camera can have."""
    if orientation in MIRRORED:
        raise ValueError("a mirrored picture has no camera")
    fx, fy, cx, cy = (camera[name] for name in ("fx", "fy", "cx", "cy"))
    width, height, pose = camera["width"], camera["height"], camera["world_from_camera"]
    # Which of the old axes, and with which sign, the new right and the new up are.
    (right, right_sign), (up, up_sign) = {
        1: ((0, 1), (1, 1)),
        3: ((0, -1), (1, -1)),
        6: ((1, 1), (0, -1)),
        8: ((1, -1), (0, 1)),
    }[orientation]
    rolled = [[right_sign * row[right], up_sign * row[up], row[2], row[3]] for row in pose[:3]]
    new_width, new_height = upright_size(orientation, width, height)
    new_cx, new_cy = upright_point(orientation, (width, height), cx, cy)
    if orientation in ON_ITS_SIDE:
        fx, fy = fy, fx
    return {
        **camera,
        **{"fx": fx, "fy": fy, "cx": new_cx, "cy": new_cy, "width": new_width, "height": new_height},
        "world_from_camera": [*rolled, list(pose[3])],
    }


def png_as_shown(data: bytes) -> bytes:
    """A PNG file without what would have it turned: it shows what Blender shows of it."""
    if of_stream(io.BytesIO(data)) == UPRIGHT:
        return data
    kept = [data[:8]]
    for kind, start, length in _png_chunks(io.BytesIO(data)):
        if kind not in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[start - 8 : start + length + 4])
    return b"".join(kept)


def _blocks(stream: BinaryIO) -> tuple[int | None, bytes]:
    """The orientation that Exif gives, None if it gives none, and the XMP packet."""
    head = stream.read(12)
    if head[:2] == b"\xff\xd8":
        return _of_jpeg(stream)
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return _of_png(stream)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _of_webp(stream)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tag(stream, 0, ORIENTATION_TAG), _tag(stream, 0, XMP_TAG) or b""
    return None, b""


def _of_jpeg(stream: BinaryIO) -> tuple[int | None, bytes]:
    exif, xmp = None, b""
    stream.seek(2)
    while len(marker := stream.read(2)) == 2 and marker[0] == 0xFF and marker[1] != 0xDA:  # the picture itself begins
        if marker[1] == 0xFF or marker[1] == 0x01 or 0xD0 <= marker[1] <= 0xD8:
            stream.seek(-1 if marker[1] == 0xFF else 0, io.SEEK_CUR)  # fill bytes, and markers without a length
            continue
        (length,) = struct.unpack(">H", stream.read(2))
        if length < 2:
            break
        if marker[1] != 0xE1:
            stream.seek(length - 2, io.SEEK_CUR)
            continue
        block = stream.read(length - 2)
        if block.startswith(b"Exif\0") and exif is None:
            exif = _tag(io.BytesIO(block), 6, ORIENTATION_TAG)
        elif block.startswith(_XMP_IN_JPEG):
            xmp = block[len(_XMP_IN_JPEG) :]
    return exif, xmp


def _of_png(stream: BinaryIO) -> tuple[int | None, bytes]:
    exif, xmp = None, b""
    for kind, start, length in _png_chunks(stream):
        if kind not in (b"eXIf", b"iTXt", b"tEXt", b"zTXt") or length > _LONGEST_BLOCK:
            continue
        stream.seek(start)
        block = stream.read(length)
        if kind == b"eXIf":
            exif = _tag(io.BytesIO(block), 6 if block.startswith(b"Exif\0") else 0, ORIENTATION_TAG)
        elif block.startswith(b"XML:com.adobe.xmp\0") and kind == b"iTXt":
            flag = block[18:19] == b"\1"
            text = block[20:].split(b"\0", 2)[-1]  # after language and translated keyword
            xmp = _inflated(text) if flag else text
        elif block.startswith(b"Raw profile type exif\0") and exif is None:
            text = _inflated(block[23:]) if kind == b"zTXt" else block[22:]
            exif = _tag(io.BytesIO(bytes.fromhex("".join(text.decode("ascii").split("\n")[3:]))), 6, ORIENTATION_TAG)
    return exif, xmp


def _png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of each chunk's body."""
    position = 8
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, position + 8, length
        position += 12 + length


def _of_webp(stream: BinaryIO) -> tuple[int | None, bytes]:
    exif, xmp, position = None, b"", 12
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            return exif, xmp
        kind, length = struct.unpack("<4sI", head)
        if kind in (b"EXIF", b"XMP ") and length <= _LONGEST_BLOCK:
            block = stream.read(length)
            if kind == b"XMP ":
                xmp = block
            else:
                exif = _tag(io.BytesIO(block), 6 if block.startswith(b"Exif\0") else 0, ORIENTATION_TAG)
        position += 8 + length + length % 2


def _tag(stream: BinaryIO, start: int, wanted: int) -> Any:
    """A tag of the first directory of a TIFF structure that begins at `start`: a number, or bytes for XMP; None if it
    is not there."""
    stream.seek(start)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(stream.read(4))
    if order is None:
        return None
    (offset,) = struct.unpack(f"{order}I", stream.read(4))
    stream.seek(start + offset)
    (count,) = struct.unpack(f"{order}H", stream.read(2))
    for _ in range(count):
        tag, kind, length, value = struct.unpack(f"{order}HHI4s", stream.read(12))
        if tag != wanted:
            continue
        if kind in (1, 7) and length > 4:
            (offset,) = struct.unpack(f"{order}I", value)
            stream.seek(start + offset)
            return stream.read(min(length, _LONGEST_BLOCK))
        form = {1: "B", 3: "H", 4: "I"}.get(kind)
        return None if form is None else struct.unpack_from(f"{order}{form}", value)[0]
    return None


def _in_xmp(xmp: bytes) -> int | None:
    found = _IN_XMP.search(xmp)
    return int(found[1]) if found else None


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _LONGEST_BLOCK)
