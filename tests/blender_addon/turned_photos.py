"""Photographs that are stored turned, in every format that can say so."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.blender_addon.conftest import ROOT, backend_python

SIZE, BOX = (48, 36), {"left": 3, "top": 4, "right": 17, "bottom": 20}

MAKE = """
import json, sys
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from backend.imaging.reading import read_image
folder, told = sys.argv[1], {}
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description %s</x:xmpmeta>'
for number in range(1, 9):
    picture = Image.new("RGB", (48, 36), (205, 205, 200))
    ImageDraw.Draw(picture).rectangle((3, 4, 16, 19), fill=(190, 30, 30))
    exif = Image.Exif(); exif[0x0112] = number
    attribute = (XMP % f'tiff:Orientation="{number}"/>').encode()
    element = (XMP % f'><tiff:Orientation>{number}</tiff:Orientation></rdf:Description>').encode()
    text = PngInfo(); text.add_itxt("XML:com.adobe.xmp", attribute.decode(), zip=number % 2 == 0)
    kinds = {
        "jpg": {"exif": exif, "quality": 95}, "xmp.jpg": {"xmp": element, "quality": 95},
        "both.jpg": {"exif": exif, "xmp": (XMP % 'tiff:Orientation="1"/>').encode(), "quality": 95},
        "png": {"exif": exif}, "xmp.png": {"pnginfo": text},
        "webp": {"exif": exif, "lossless": True}, "xmp.webp": {"xmp": attribute, "lossless": True},
        "tif": {"exif": exif},
    }
    for ending, options in kinds.items():
        name = f"{number}.{ending}"
        picture.save(f"{folder}/{name}", **options)
        upright = read_image(open(f"{folder}/{name}", "rb").read(), name)
        red = (upright[..., 0] > 150) & (upright[..., 1] < 110)
        rows, columns = red.any(1).nonzero()[0], red.any(0).nonzero()[0]
        told[name] = {"size": [upright.shape[1], upright.shape[0]], "left": int(columns[0]), "top": int(rows[0]),
                      "right": int(columns[-1]) + 1, "bottom": int(rows[-1]) + 1}
json.dump(told, open(f"{folder}/told.json", "w"))
"""


def write_turned_photos(folder: Path) -> Path:
    """The same stored pixels in every format, and in told.json what the backend sees. Returns the folder."""
    subprocess.run([backend_python(), "-c", MAKE, str(folder)], check=True, cwd=ROOT, timeout=120)
    return folder
