"""One object of a picture, cut out of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.errors import Problem
from backend.imaging.alpha import on_white
from backend.pipelines.context import Context
from backend.shot import Shot

Pixels = NDArray[np.uint8]

SMALL = 128
"""Pixels: an object whose longer side in the picture has fewer comes out blurred."""


def cut_out(shot: Shot, instance: int) -> Pixels:
    """The first picture, HxWx4 with straight alpha, transparent where an instance is not; with soft rims where they are
    known.

    Raises:
        Problem: "image-empty" if nothing is left.
    """
    cut = shot.image
    if shot.instance_source != "alpha":
        cut = shot.image.copy()
        mask = shot.instances.mask(instance)
        cover = np.where(mask, np.uint8(255), np.uint8(0)) if shot.cover is None else shot.cover
        cut[..., 3] = np.minimum(shot.image[..., 3], cover)
    if not cut[..., 3].any():
        raise Problem("image-empty", f"The picture is transparent where {shot.title(instance)} is.")
    return cut


def extent(picture: Pixels) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is not transparent; bottom and right are the first that are outside."""
    seen = picture[..., 3] > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def framed(cut: Pixels, side: int, fill: float) -> tuple[Pixels, NDArray[np.float32]]:
    """The object on white in the middle of a square, and how much of each pixel it covers, 0 to 1.

    Args:
        cut: HxWx4, straight alpha; something of it is to be seen.
        side: pixels of the square, S.
        fill: share of the square that the object's longer side takes.

    Returns:
        SxSx3 and SxS.
    """
    top, bottom, left, right = extent(cut)
    height, width = bottom - top, right - left
    square = max(height, width) / fill
    above, beside = math.ceil((square - height) / 2), math.ceil((square - width) / 2)
    x, y = beside + (width - square) / 2, above + (height - square) / 2
    box = (x, y, x + square, y + square)
    piece = cut[top:bottom, left:right]

    def resampled(channels: Pixels, around: int) -> Pixels:
        margins = ((above, above), (beside, beside), (0, 0))[: channels.ndim]
        image = Image.fromarray(np.pad(channels, margins, constant_values=around))
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box))

    return resampled(on_white(piece), 255), resampled(piece[..., 3], 0).astype(np.float32) / np.float32(255)


def remark(picture: Pixels, title: str, instance: int, context: Context, consequence: str, where: str = "") -> None:
    """Tell of an object that is small in its picture, or cut by the border.

    Args:
        consequence: what comes of being small, as a half-sentence: "its views will be blurred".
        where: which picture, " in photo 2", where there are several.
    """
    top, bottom, left, right = extent(picture)
    longest = max(bottom - top, right - left)
    if longest < SMALL:
        message = f"{title} is only {longest} pixels large{where}; {consequence}."
        context.warn("instance-small", message, "Bring the camera closer, or render larger.", instance)
    if top == 0 or left == 0 or bottom == picture.shape[0] or right == picture.shape[1]:
        message = f"{title} is cut by the border{where}; its missing part will be guessed."
        context.warn("instance-cut", message, "Move the camera until all of it is seen.", instance)
