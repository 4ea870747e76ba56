"""The object of a cut-out picture: what alpha covers.

Alpha is coverage where an outline runs through a pixel, and clearness where the thing itself is of glass. Both count
as seen: the outline lies where alpha falls to half of what the thing inside has. What is black and clear is a shadow,
and what fades over a wide band is a veil: neither belongs to the object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.imaging.reading import VISIBLE, Pixels

Mask = NDArray[np.bool_]

OPAQUE = 127
"""Alpha above this belongs to the object, whatever is beside it."""

CUT_OUT_SHARE = 0.001
"""From this share of transparent pixels on a picture counts as cut out; fewer are an accident."""

SMALLEST_PART = 0.01
"""A clear part smaller than this share of the rest is no part of its own but an edge."""

SPREAD = 16
ALIKE = 0.5
"""Glass has one clearness: so many of its pixels are within the spread of the median. A fading edge has all."""

INSIDE = 0.25
"""Share of a clear part that is farther than two pixels from its edge; a thin seam has less."""

DARKEST = 24
"""A clear part whose mean colour is darker than this is a shadow."""

LEFT_OUT = 0.05
"""Share of the object's pixels from which on it is worth a word that half-transparent ones were left out."""


def covered(picture: Pixels) -> Mask | None:
    """The object of a picture HxWx4 that is not empty: HxW, or None if the picture is opaque or evenly clear."""
    alpha = picture[..., 3]
    highest = int(alpha.max())
    mask: Mask = alpha > (OPAQUE if highest > OPAQUE else (highest - 1) // 2)
    faint = (alpha >= VISIBLE) & ~mask
    if faint.any():
        mask |= _glass(picture, faint, int(np.count_nonzero(mask)))
    return mask if 1 - mask.mean() >= CUT_OUT_SHARE else None


def left_out(picture: Pixels, mask: Mask) -> float:
    """How much half-transparent area the mask leaves out, soft edges aside, as a share of the mask."""
    rest = (picture[..., 3] >= VISIBLE) & ~mask
    return float(_inside(rest).sum() / max(int(mask.sum()), 1)) if rest.any() else 0.0


def _glass(picture: Pixels, faint: Mask, rest: int) -> Mask:
    """Of the faint pixels those that are clear parts of the object."""
    from scipy import ndimage

    parts, count = ndimage.label(faint, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    glass: Mask = np.zeros(faint.shape, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        if sizes[number] < max(SMALLEST_PART * rest, 16):
            continue
        part = parts[box] == number
        alpha = picture[box][..., 3]
        level = float(np.median(alpha[part]))
        alike = (np.abs(alpha[part] - level) <= SPREAD).mean() >= ALIKE
        thick = _inside(part).sum() >= INSIDE * sizes[number]
        if alike and thick and picture[box][..., :3][part].mean(axis=0).max() >= DARKEST:
            glass[box] |= part & (alpha >= level / 2)
    return glass


def _inside(part: Mask) -> Mask:
    """The part without its outermost two pixels."""
    from scipy import ndimage

    inner: Mask = ndimage.binary_erosion(part, np.ones((5, 5)))
    return inner
