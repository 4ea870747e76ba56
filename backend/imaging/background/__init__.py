"""One object cut out of its background: by a network, or, on a plain ground, by what stands out from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.background.network import Cutter, best_network
from backend.imaging.background.plain import cover_by_border, is_plain

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

Way = Literal["auto", "network", "plain", "none"]

SOLID, RIM = 0.07, 1 / 60
"""The two ways agree if what only one of them takes for object, without what is narrower than RIM of the longer side,
is less than SOLID of what either takes for it; then the one that is finer on a plain ground is taken. Along an
outline and of thin parts a network's cover is coarse, so differences there say nothing."""

SMALLEST_SHARE, LARGEST_SHARE = 0.002, 0.97
"""Of the picture: what covers less, or more, is no object."""


@dataclass(frozen=True)
class Found:
    """An object in a picture.

    cover: HxW uint8, how much of each pixel it covers.
    record: for result.json: the way that was taken, the network that was run, and how far both ways agree.
    """

    cover: NDArray[np.uint8]
    record: Mapping[str, Any]

    @property
    def mask(self) -> Mask:
        """HxW, True on the object."""
        mask: Mask = self.cover > 127
        return mask

    @property
    def way(self) -> str:
        """The way that was taken: network, plain or none."""
        return str(self.record["way"])


class Remover:
    """Removes the backgrounds of pictures, in one way; opens a network when it is first needed, and only once.

    way: "network": by the best network that is on this machine. "plain": by what stands out from the border, without a
        network. "auto": by the network, unless the ground is plain and both agree. "none": all of it is the object.
    """

    def __init__(self, way: Way = "auto") -> None:
        self._way = way
        self._cutter: Cutter | None = None

    def find(self, picture: Pixels) -> Found:
        """The object of a picture HxWx3 or HxWx4 uint8 sRGB, of which alpha is ignored.

        Raises:
            Problem: background-unclear if nothing stands out; engine-missing, weights-damaged.
        """
        colours = picture[..., :3]
        match self._way:
            case "none":
                return Found(np.full(colours.shape[:2], 255, np.uint8), {"way": "none"})
            case "plain":
                return _checked(cover_by_border(colours), way="plain")
            case "network":
                return self._by_network(colours)
        return self._by_both(colours)

    def _by_both(self, colours: Pixels) -> Found:
        """What the ground is asks for the way; where one finds nothing, what the other finds."""
        try:
            by_network = self._by_network(colours)
        except Problem as problem:
            if problem.code not in ("background-unclear", "engine-missing"):
                raise
            return _checked(cover_by_border(colours), way="plain")
        if not is_plain(colours):
            return by_network
        try:
            by_border = _checked(cover_by_border(colours), way="plain")
        except Problem as problem:
            if problem.code != "background-unclear":
                raise
            return by_network
        either = by_border.mask | by_network.mask
        agreement = float((by_border.mask & by_network.mask).sum() / either.sum())
        apart = _without_rims(by_border.mask ^ by_network.mask).sum() / either.sum()
        taken = by_border if apart <= SOLID else by_network
        return Found(taken.cover, {**by_network.record, **taken.record, "agreement": round(agreement, 3)})

    def _by_network(self, colours: Pixels) -> Found:
        if self._cutter is None:
            self._cutter = Cutter(best_network())
        return _checked(self._cutter.cover(colours), way="network", network=self._cutter.identifier)


def _without_rims(mask: Mask) -> Mask:
    """What of a mask is as broad as RIM in all directions."""
    from scipy import ndimage

    half = max(1, round(RIM * max(mask.shape) / 2))
    broad = ndimage.minimum_filter(mask.astype(np.uint8), 2 * half + 1, mode="constant")
    return np.asarray(ndimage.maximum_filter(broad, 2 * half + 1) > 0)


def _checked(cover: Floats, **record: Any) -> Found:
    """Raises Problem("background-unclear") for what is too small or too large to be an object."""
    share = float((cover > 0.5).mean())
    if not SMALLEST_SHARE <= share <= LARGEST_SHARE:
        what = "Hardly anything stands out" if share < SMALLEST_SHARE else "Nearly everything stands out"
        raise Problem("background-unclear", f"{what} from the background of the picture ({share:.1%} of it).")
    return Found(np.rint(255 * np.clip(cover, 0, 1)).astype(np.uint8), record)
