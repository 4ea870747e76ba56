"""From a photo to what the encoders see, and from the sheet to its six views.

Arrays are numpy, rows downwards; photos are uint8 [H, W, 3] or, with opacity, [H, W, 4]. The sheet is two views wide
and three high; view k lies in row k // 2, column k % 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.image_processor import Pixels

FILL = 0.85
"""The share of the square's side that the object's longer side takes."""

VIEW_SIZE = 320
ROWS, COLUMNS = 3, 2

AZIMUTHS = (30.0, 90.0, 150.0, 210.0, 270.0, 330.0)
"""Degrees by which the camera of each view is turned from the photo's, to its right: counter-clockwise from above."""

ELEVATIONS = (20.0, -10.0, 20.0, -10.0, 20.0, -10.0)
"""Degrees above the horizontal, whatever the photo's camera had."""

FIELD_OF_VIEW = 30.0
"""Degrees across a view, both ways (model card of v1.2)."""

WHITE = 255


def prepared(photo: Pixels, fill: float = FILL, reference: bool = False) -> Pixels:
    """The picture that the encoders are shown: the object in the middle of a white square [side, side, 3].

    A photo with opacity is cut out (`cut_out`) and laid on white; one without is padded with white to a square, nothing
    of it cropped and nothing resized.

    Args:
        photo: uint8 [H, W, 3] or [H, W, 4].
        fill, reference: see `cut_out`. With `reference`, a photo without opacity stays as it is: the encoders will see
            its middle only.

    Raises:
        ValueError: not such an array, or nothing of the photo is visible.
    """
    check_photo(photo)
    if photo.shape[2] == 4:
        return on_white(cut_out(photo, fill, reference))
    return photo if reference else _centred(photo, max(photo.shape[:2]), WHITE)


def cut_out(photo: Pixels, fill: float = FILL, reference: bool = False) -> Pixels:
    """Crops to what is visible and pads it, transparent, to a square that it fills to `fill` of the side.

    Pixels keep their size: only the frame changes.

    Args:
        photo: uint8 [H, W, 4]; visible is what is not fully transparent.
        fill: 0 … 1.
        reference: lose the last visible row and column, as the published code does; for comparing numbers.

    Raises:
        ValueError: nothing is visible, or `fill` is out of range.
    """
    if not 0.0 < fill <= 1.0:
        raise ValueError(f"the object can fill more than 0 and at most 1 of the square, not {fill}")
    visible = photo[..., 3] > 0
    rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
    beyond = 0 if reference else 1
    if len(rows) < 2 - beyond or len(columns) < 2 - beyond:
        raise ValueError("nothing of the photo is visible: its opacity is 0 everywhere")
    cropped = photo[rows[0] : rows[-1] + beyond, columns[0] : columns[-1] + beyond]
    square = _centred(cropped, max(cropped.shape[:2]), 0)
    return _centred(square, int(square.shape[0] / fill), 0)


def on_white(photo: Pixels) -> Pixels:
    """Lays a photo with opacity [H, W, 4] on white → [H, W, 3], rounded as Pillow does."""
    paper = Image.new("RGB", (photo.shape[1], photo.shape[0]), (WHITE,) * 3)
    layer = Image.fromarray(photo)
    paper.paste(layer.convert("RGB"), mask=layer.getchannel("A"))
    return np.asarray(paper)


def split(sheet: NDArray[Any]) -> NDArray[Any]:
    """A sheet [3·h, 2·w, channels] → its views [6, h, w, channels].

    Raises:
        ValueError: the sheet cannot be divided so.
    """
    height, width, channels = sheet.shape
    if height % ROWS or width % COLUMNS:
        raise ValueError(
            f"a sheet of {height} × {width} pixels cannot be divided into {ROWS} rows and {COLUMNS} columns"
        )
    tiles = sheet.reshape(ROWS, height // ROWS, COLUMNS, width // COLUMNS, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(ROWS * COLUMNS, height // ROWS, width // COLUMNS, channels)


def tile(views: NDArray[Any]) -> NDArray[Any]:
    """Six views [6, h, w, channels] → the sheet [3·h, 2·w, channels].

    Raises:
        ValueError: not six.
    """
    count, height, width, channels = views.shape
    if count != ROWS * COLUMNS:
        raise ValueError(f"a sheet holds {ROWS * COLUMNS} views, not {count}")
    tiles = views.reshape(ROWS, COLUMNS, height, width, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(ROWS * height, COLUMNS * width, channels)


def as_pixels(picture: NDArray[np.float32]) -> Pixels:
    """0 … 1 to 8 bit, rounded, as pictures are stored: what is read back differs by 1/510 at most."""
    return np.rint(np.clip(picture, 0.0, 1.0) * WHITE).astype(np.uint8)


def check_photo(photo: Pixels) -> None:
    """Raises ValueError unless it is uint8 [H, W, 3] or [H, W, 4] with at least one pixel."""
    if photo.ndim != 3 or photo.shape[2] not in (3, 4) or photo.dtype != np.uint8 or photo.size == 0:
        raise ValueError(f"a photo is uint8 [height, width, 3 or 4], not {photo.dtype} {list(photo.shape)}")


def _centred(picture: Pixels, side: int, value: int) -> Pixels:
    """In the middle of a square, an odd pixel of padding at the right and at the bottom."""
    height, width, channels = picture.shape
    square = np.full((side, side, channels), value, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square
