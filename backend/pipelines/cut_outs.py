"""One object of a picture, cut out of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Frame:
    """A square in a picture with an object in its middle, and the piece of the picture that is the object's box.

    Attributes:
        top, bottom, left, right: of the object's box, see `extent`.
        square: pixels of the picture along a side of the square.
    """

    top: int
    bottom: int
    left: int
    right: int
    square: float

    @classmethod
    def around(cls, cut: Pixels, fill: float) -> Frame:
        """The square around what is to be seen of a picture HxWx4; its longer side takes the share `fill`."""
        top, bottom, left, right = extent(cut)
        return cls(top, bottom, left, right, max(bottom - top, right - left) / fill)

    @property
    def margins(self) -> tuple[int, int]:
        """Whole pixels above and below the object's box, and beside it on either side, that hold the square."""
        return (
            math.ceil((self.square - (self.bottom - self.top)) / 2),
            math.ceil((self.square - (self.right - self.left)) / 2),
        )

    def of_object(self, channels: Pixels, side: int, ground: int) -> Pixels:
        """What a picture HxW or HxWxC shows within the object's box, on a ground of one value: SxS or SxSxC."""
        (above, beside), piece = self.margins, channels[self.top : self.bottom, self.left : self.right]
        margins = ((above, above), (beside, beside), (0, 0))[: channels.ndim]
        return self._resampled(np.pad(piece, margins, constant_values=ground), side)

    def of_picture(self, channels: Pixels, side: int) -> Pixels:
        """What a picture HxW or HxWxC shows within the square; beyond its border its border goes on: SxS or SxSxC."""
        above, beside = self.margins
        rows = np.clip(np.arange(self.top - above, self.bottom + above), 0, channels.shape[0] - 1)
        columns = np.clip(np.arange(self.left - beside, self.right + beside), 0, channels.shape[1] - 1)
        return self._resampled(channels[rows[:, None], columns], side)

    def _resampled(self, padded: Pixels, side: int) -> Pixels:
        y, x = ((extent - self.square) / 2 for extent in padded.shape[:2])
        box = (x, y, x + self.square, y + self.square)
        return np.asarray(Image.fromarray(padded).resize((side, side), Image.Resampling.BICUBIC, box))


def framed(cut: Pixels, side: int, fill: float) -> tuple[Pixels, NDArray[np.float32]]:
    """The object on white in the middle of a square, and how much of each pixel it covers, 0 to 1.

    Args:
        cut: HxWx4, straight alpha; something of it is to be seen.
        side: pixels of the square, S.
        fill: share of the square that the object's longer side takes.

    Returns:
        SxSx3 and SxS.
    """
    frame = Frame.around(cut, fill)
    cover = frame.of_object(cut[..., 3], side, 0).astype(np.float32) / np.float32(255)
    return frame.of_object(on_white(cut), side, 255), cover


def framed_as_taken(picture: Pixels, cut: Pixels, side: int, fill: float) -> Pixels:
    """The same square of the picture with what is around the object, SxSx3; white where the picture is transparent.

    picture: HxWx4, from which `cut` was cut out.
    """
    return Frame.around(cut, fill).of_picture(on_white(picture), side)


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
