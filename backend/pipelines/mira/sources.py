"""What the network sees of each object: cut out, on white, in the middle of a square.

As in OpenLRM's own preparation: what is not transparent, its longer side `FILL` of the square, the rest white. There
it goes to 512 pixels first and from there to the size of the network; here it is resampled once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.imaging.alpha import on_white
from backend.pipelines.cut_outs import Pixels, extent

FILL = 0.8
"""Share of the square that the object's longer side takes."""


@dataclass(frozen=True, eq=False)
class Source:
    """One object.

    picture: SxSx3, the object on white.
    cover: SxS, 0 to 1, how much of each pixel the object covers.
    """

    instance: int
    title: str
    picture: Pixels
    cover: NDArray[np.float32]


def framed(cut: Pixels, side: int) -> tuple[Pixels, NDArray[np.float32]]:
    """Picture and cover of a `Source`.

    Args:
        cut: HxWx4, straight alpha; something of it is to be seen.
        side: pixels of the square, S.
    """
    top, bottom, left, right = extent(cut)
    height, width = bottom - top, right - left
    square = max(height, width) / FILL
    above, beside = math.ceil((square - height) / 2), math.ceil((square - width) / 2)
    x, y = beside + (width - square) / 2, above + (height - square) / 2
    box = (x, y, x + square, y + square)
    piece = cut[top:bottom, left:right]

    def resampled(channels: Pixels, around: int) -> Pixels:
        margins = ((above, above), (beside, beside), (0, 0))[: channels.ndim]
        image = Image.fromarray(np.pad(channels, margins, constant_values=around))
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box))

    return resampled(on_white(piece), 255), resampled(piece[..., 3], 0).astype(np.float32) / np.float32(255)
