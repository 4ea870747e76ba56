"""Pictures, instance maps and depth files made to do harm, each from a seed."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from backend.errors import Problem
from backend.imaging.depth import read_depth
from backend.imaging.instances import read_instances
from backend.imaging.reading import check_picture, read_picture
from tests.backend.imaging.pictures import chunk, saved

SIDES = (0, 1, 5, 8, 65_535, 65_536, 100_000, 8_000_000, 64_000_000, 2**31 - 1, 2**32 - 1)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK", "YCbCr")


def sound(chance: random.Random) -> tuple[bytes, str]:
    """A small picture of a kind of its own, and its format."""
    form = chance.choice(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PNG"])
    pixels = np.random.default_rng(chance.randrange(2**32)).integers(0, 256, (9, 12, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for mode in chance.sample(MODES, len(MODES)):
        try:
            options = {"exif": odd_exif(chance)} if form in ("JPEG", "PNG", "WEBP") and chance.random() < 0.4 else {}
            if form in ("JPEG", "PNG", "TIFF") and chance.random() < 0.3:
                options["icc_profile"] = chance.randbytes(chance.choice([0, 3, 128, 3000]))
            return saved(image.convert(mode), form, **options), form
        except (OSError, ValueError, KeyError):
            continue
    return saved(image), "PNG"


def odd_exif(chance: random.Random) -> bytes:
    """An EXIF block with an orientation that may be none, or a block of noise."""
    if chance.random() < 0.4:
        return b"Exif\0\0" + chance.randbytes(chance.choice([0, 4, 60]))
    entries = struct.pack(
        "<HHII", 0x0112, chance.choice([3, 4, 2, 99]), chance.choice([1, 0, 2**31]), chance.choice(SIDES)
    )
    return b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entries + struct.pack("<I", chance.choice([0, 8, 2**32 - 1]))


def torn(chance: random.Random) -> bytes:
    data = bytearray(sound(chance)[0])
    for _ in range(chance.choice([0, 1, 1, 3, 20])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.5:
        del data[chance.randrange(len(data)) :]
    return bytes(data)


def noise(chance: random.Random) -> bytes:
    starts = [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\xff\xff\xff\x7fWEBPVP8X",
        b"II*\0\x08\0\0\0",
        b"BM",
        b"GIF89a",
    ]
    return chance.choice(starts) + chance.randbytes(chance.choice([0, 1, 30, 500, 20_000]))


def lying_png(chance: random.Random) -> bytes:
    """Sides, depths and kinds that its samples do not bear out; chunks of every kind and order."""
    width, height = chance.choice(SIDES), chance.choice(SIDES)
    if chance.random() < 0.3:
        width, height = chance.choice([(8000, 8000), (7000, 7000), (65_535, 900), (1, 60_000), (60_000, 1)])
    header = struct.pack(
        ">IIBBBBB",
        width,
        height,
        chance.choice([1, 2, 4, 8, 16, 3]),
        chance.choice([0, 2, 3, 4, 6, 5]),
        0,
        0,
        chance.choice([0, 0, 0, 1, 9]),
    )
    samples = zlib.compress(bytes(chance.choice([0, 10, 5000, 1_000_000])))
    odd = [
        chunk(b"PLTE", chance.randbytes(chance.choice([0, 3, 5, 768, 900]))),
        chunk(b"tRNS", chance.randbytes(chance.choice([0, 2, 6, 300]))),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000))),
        chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80_000_000))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"<x:a>" * 1_000_000)),
        chunk(b"eXIf", odd_exif(chance)[6:]),
        chunk(b"gAMA", chance.randbytes(4)),
        chunk(b"acTL", struct.pack(">II", 2**31, 0)),
        chunk(b"fcTL", bytes(26)),
        struct.pack(">I", 2**31) + b"tEXt",
        chunk(b"IHDR", header),
        chunk(b"sBIT", b"\1"),
        chunk(b"tEXt", b"k\0" + bytes(100_000)),
    ]
    parts = [chunk(b"IHDR", header), *chance.sample(odd, chance.randint(0, 3)), chunk(b"IDAT", samples)]
    if chance.random() < 0.2:
        chance.shuffle(parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + (chunk(b"IEND", b"") if chance.random() < 0.8 else b"")


def lying_others(chance: random.Random) -> bytes:
    """Sides in the headers of the other formats."""
    width, height = chance.choice(SIDES), chance.choice(SIDES)
    kind = chance.randrange(5)
    rest = bytes(chance.choice([0, 100, 100_000]))
    if kind == 0:
        bits, compression = chance.choice([1, 4, 8, 24, 32, 99]), chance.choice([0, 1, 2, 3])
        fields = (40, width, height % 2**31, 1, bits, compression, 0, 0, 0, 0, 0)
        return b"BM" + struct.pack("<IHHI", 54 + len(rest), 0, 0, 54) + struct.pack("<IIiHHIIIIII", *fields) + rest
    if kind == 1:
        screen = struct.pack("<HHBBB", width % 65536, height % 65536, chance.choice([0, 0xF7]), 0, 0)
        block = b"," + struct.pack("<HHHHB", 0, 0, width % 65536, height % 65536, 0) + b"\x08"
        return b"GIF89a" + screen + rest[:768] + block * chance.choice([1, 1, 40]) + b"\x02\x4c\x01\0;"
    if kind == 2:
        canvas = (width % 2**24).to_bytes(3, "little") + (height % 2**24).to_bytes(3, "little")
        body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([chance.choice([0, 2, 0x10, 0xFF]), 0, 0, 0]) + canvas + rest
        return b"RIFF" + struct.pack("<I", len(body)) + body
    if kind == 3:
        data = bytearray(saved(Image.new("RGB", (16, 16)), "JPEG", progressive=chance.random() < 0.5))
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        struct.pack_into(">HH", data, at + 5, height % 65536, width % 65536)
        return bytes(data)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, chance.choice([1, 8, 16, 32])),
        (259, 3, 1, chance.choice([1, 5, 7, 8, 50000])),
    ]
    tags += [
        (262, 3, 1, chance.choice([0, 1, 2, 3, 6])),
        (273, 4, 1, 8),
        (277, 3, 1, chance.choice([1, 3, 4, 99])),
        (278, 4, 1, height),
    ]
    tags += [(279, 4, chance.choice([1, 2**31]), 100), (339, 3, 1, chance.choice([1, 2, 3]))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    again = chance.choice([0, 8, 2**32 - 1])  # 8: its next page is itself
    return b"II*\0\x08\0\0\0" + directory + struct.pack("<I", again) + rest


def many_pages(chance: random.Random) -> bytes:
    first, *others = [Image.new("L", (8, 8), shade) for shade in range(chance.choice([2, 3, 200]))]
    return saved(first, chance.choice(["GIF", "TIFF", "WEBP", "PNG"]), save_all=True, append_images=others)


def bombs(chance: random.Random) -> bytes:
    """As large as is allowed, in a few kilobytes."""
    mode = chance.choice(["1", "L", "P", "RGB", "RGBA"])
    side = chance.choice([4000, 6900, 7900])
    return saved(Image.new(mode, (side, side)), chance.choice(["PNG", "WEBP"]) if mode in ("RGB", "RGBA") else "PNG")


def odd_arrays(chance: random.Random) -> bytes:
    """Depth files."""
    shape = chance.choice(
        ["(9, 12)", "(9, 12, 1)", "(-1, 2)", "(10**9, 10**9)", "(9, 1000000000000)", "()", "(9L, 12)", "[9, 12]"]
    )
    kind = chance.choice(["<f4", "<f8", ">f2", "|O", "<i4", "|V100", "<f4,<f4", "|S1000000000", "f" * 2000])
    text = f"{{'descr': '{kind}', 'fortran_order': {chance.choice(['False', 'True', '1', 'x'])}, 'shape': {shape}, }}"
    text = chance.choice([text, text, text, "(" * 10_000, "{" + "'a':" * 1000, "9" * 9000, "__import__('os')"])
    length = chance.choice([len(text), len(text), len(text), 0, 65_535])
    return b"\x93NUMPY\x01\0" + struct.pack("<H", length) + text.encode() + bytes(chance.choice([0, 432, 864]))


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    torn,
    torn,
    torn,
    noise,
    lying_png,
    lying_png,
    lying_png,
    lying_others,
    lying_others,
    lying_others,
    many_pages,
    odd_arrays,
)
REFUSALS = (Problem,)


def attempt(seed: int, folder: Path) -> None:
    """Read it as a picture, as the server and as the worker do, as an instance map and as depth."""
    chance = random.Random(seed)
    kind = bombs if seed % 50 == 0 else KINDS[seed % len(KINDS)]
    data = kind(chance)
    refused: list[Problem] = []
    for read in (
        lambda: check_picture(data, "picture.png"),
        lambda: read_picture(data, "picture.png", 2048),
        lambda: read_instances(data, [], (12, 9)),
        lambda: read_depth(data, (12, 9)),
    ):
        try:
            read()
        except Problem as problem:
            assert str(problem.detail).encode("utf-8") and len(problem.detail) < 2000
            refused.append(problem)
    if len(refused) == 4:
        raise refused[0]
