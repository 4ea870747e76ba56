"""Pictures and what belongs to them, made smaller together: to what a pipeline uses of them, before anything else.

Colours are mixed, weighted by their alpha, so that what is transparent leaves no fringe. Labels and distances are
picked, never mixed: between two objects there is no third.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.camera import Camera

Size = tuple[int, int]


def fitting(size: Size, side: int | None) -> Size:
    """The size (width, height) of a picture whose longer side is to have `side` pixels at most; None for any number."""
    longest = max(size)
    if side is None or longest <= side:
        return size
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def reduce_colours(
    colour: Image.Image, alpha: NDArray[np.uint8] | None, size: Size
) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Colour in L, RGB or CMYK and straight alpha HxW, or None, at a smaller size (width, height)."""
    # The Hamming window is as sharp as a cubic one and never rings: no halo along an outline.
    kind = Image.Resampling.HAMMING
    if alpha is None or alpha.min() == 255:
        return colour.resize(size, kind), None if alpha is None else np.full(size[::-1], 255, np.uint8)
    both = colour.copy()
    both.putalpha(Image.fromarray(alpha))
    both = both.resize(size, kind)  # weighted by alpha: that is how Pillow resizes LA and RGBA
    smaller = both.getchannel("A")
    return both.convert(colour.mode), np.asarray(smaller)


def values_at(values: NDArray[Any], size: Size) -> NDArray[Any]:
    """Labels or distances, HxW, at another size (width, height): of each new pixel the value in its middle."""
    height, width = values.shape
    if (width, height) == size:
        return values
    rows = ((np.arange(size[1]) + 0.5) * height / size[1]).astype(np.int64)
    columns = ((np.arange(size[0]) + 0.5) * width / size[0]).astype(np.int64)
    return np.ascontiguousarray(values[rows[:, None], columns])


def reduce_camera(camera: Camera, size: Size) -> Camera:
    """The same camera for its picture at another size (width, height)."""
    across, down = size[0] / camera.width, size[1] / camera.height
    if across == down == 1:
        return camera
    return camera.model_copy(
        update={
            "fx": camera.fx * across,
            "fy": camera.fy * down,
            "cx": camera.cx * across,
            "cy": camera.cy * down,
            "width": size[0],
            "height": size[1],
        }
    )
