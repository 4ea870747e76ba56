"""One object of a picture, cut out of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
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
