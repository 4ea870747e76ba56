"""Outlined objects: their masks made clean, told apart, and painted into one label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.preparations.segment.finds import Find

Mask = NDArray[np.bool_]

SPECK = 0.01
"""Pieces below this share of an object's largest piece are noise of the network, never part of the object."""

PIN_HOLE = 0.01
"""Holes below this share of an object are noise; the opening of a handle or a chair's back is larger."""

PART_INSIDE = 0.85
"""Of two finds with one name, one that lies in the other by this share is a part of it, or the other a group."""

TOUCHING = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Cutout:
    """An object and its pixels.

    mask: its bounding box only, True where the object is; never empty.
    left, top: the pixel of the picture that mask[0, 0] is.
    """

    find: Find
    left: int
    top: int
    mask: Mask

    @property
    def pixels(self) -> int:
        """Number of its pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def place(self) -> tuple[slice, slice]:
        """Where `mask` lies in an array of the picture's size."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def cut_out(find: Find, mask: Mask, largest_only: bool = False, close_holes: bool = False) -> Cutout | None:
    """An object's cleaned mask, reduced to its bounding box; None if there is nothing in it.

    Args:
        mask: HxW, of the picture's size.
        largest_only: keep the largest connected piece alone; otherwise specks alone are dropped.
        close_holes: close pin-holes.
    """
    rows, columns = _extent(mask)
    if rows is None or columns is None:
        return None
    cleaned = clean(mask[rows, columns], largest_only, close_holes)
    inner_rows, inner_columns = _extent(cleaned)
    assert inner_rows is not None and inner_columns is not None  # the largest piece always stays
    left, top = columns.start + inner_columns.start, rows.start + inner_rows.start
    return Cutout(find, left, top, np.ascontiguousarray(cleaned[inner_rows, inner_columns]))


def clean(mask: Mask, largest_only: bool, close_holes: bool) -> Mask:
    """A mask (HxW) without specks, or with its largest piece alone, and with its pin-holes closed."""
    pieces, count = ndimage.label(mask, structure=TOUCHING)
    if count > 1:
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        stays = np.zeros(count + 1, dtype=bool)
        stays[sizes >= SPECK * sizes.max()] = True
        stays[0] = False
        if largest_only:
            stays[:] = False
            stays[sizes.argmax()] = True
        mask = stays[pieces]
    if close_holes:
        gaps, _ = ndimage.label(~np.pad(mask, 1))
        sizes = np.bincount(gaps.ravel())
        closes = sizes < PIN_HOLE * np.count_nonzero(mask)
        closes[[0, gaps[0, 0]]] = False  # the object itself, and what is around it
        mask = mask | closes[gaps][1:-1, 1:-1]
    return mask


def without_duplicates(cutouts: Sequence[Cutout], share: float) -> list[Cutout]:
    """The cutouts without those that another one, more certain, already shows.

    Two show one object if intersection over union of their masks exceeds `share`; or, where they have the same name,
    if one lies in the other. What was drawn always stays.

    Returns:
        The most certain first.
    """
    kept: list[Cutout] = []
    for cutout in sorted(cutouts, key=lambda one: one.find.certainty, reverse=True):
        if cutout.find.score is None or not any(_same_object(cutout, other, share) for other in kept):
            kept.append(cutout)
    return kept


def shared_pixels(first: Cutout, second: Cutout) -> int:
    """How many pixels two cutouts have in common."""
    windows = []
    for one, other in ((first, second), (second, first)):
        rows = slice(max(other.top - one.top, 0), max(other.top + other.mask.shape[0] - one.top, 0))
        columns = slice(max(other.left - one.left, 0), max(other.left + other.mask.shape[1] - one.left, 0))
        windows.append(one.mask[rows, columns])
    return int(np.count_nonzero(windows[0] & windows[1])) if windows[0].size and windows[1].size else 0


def left_to_right(cutouts: Sequence[Cutout]) -> list[Cutout]:
    """Ordered by the middle of their bounding boxes, so that ids do not depend on scores."""
    return sorted(cutouts, key=lambda one: (2 * one.left + one.mask.shape[1], 2 * one.top + one.mask.shape[0]))


def label_map(cutouts: Sequence[Cutout], size: tuple[int, int]) -> NDArray[np.uint16]:
    """HxW labels: the first cutout is 1, the second 2, ...

    A pixel that several claim goes to the smallest of them. The mask of a table often takes in the cup on it, the mask
    of the cup never the table; and the network's values for different boxes are not comparable, so they cannot decide.

    Args:
        size: (width, height) of the picture.
    """
    labels = np.zeros((size[1], size[0]), dtype=np.uint16)
    largest_first = sorted(enumerate(cutouts, start=1), key=lambda item: item[1].pixels, reverse=True)
    for label, cutout in largest_first:
        labels[cutout.place][cutout.mask] = label
    return labels


def _same_object(first: Cutout, second: Cutout, share: float) -> bool:
    common = shared_pixels(first, second)
    smaller, larger = sorted((first.pixels, second.pixels))
    if common > share * (smaller + larger - common):
        return True
    return first.find.name.casefold() == second.find.name.casefold() and common >= PART_INSIDE * smaller


def _extent(mask: Mask) -> tuple[slice | None, slice | None]:
    """The rows and columns of the bounding box; None, None for an empty mask."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None, None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
