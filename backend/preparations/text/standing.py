"""Whether a picture shows one whole object before a plain ground, which is what a prop is best made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.background.plain import cover_by_border, is_plain

CUT = 0.02
"""Share of the picture's border that a whole object may touch: a shadow that runs out of the frame."""


class Standing(NamedTuple):
    """rank: 0 to 2, more is better. note: a few words."""

    rank: int
    note: str


def standing(picture: NDArray[np.uint8]) -> Standing:
    """How the object of a picture HxWx3 uint8 sRGB stands there."""
    if not is_plain(picture):
        return Standing(0, "no plain ground")
    try:
        covered = cover_by_border(picture) > 0.5
    except Problem as problem:
        if problem.code != "background-unclear":
            raise
        return Standing(0, "nothing stands out")
    border = np.concatenate([covered[0], covered[-1], covered[1:-1, 0], covered[1:-1, -1]])
    return Standing(1, "cut off by the frame") if border.mean() > CUT else Standing(2, "stands alone")
