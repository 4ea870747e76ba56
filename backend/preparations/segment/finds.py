"""Boxes around objects: those that were drawn, those that were detected, and which of them mean the same object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.preparations.segment import Box

SMALLEST_SIDE = 4.0
"""Pixels. In a smaller box no outline can be found."""

MEMBER_INSIDE = 0.9
MEMBER_SHARE = 2 / 3
GROUP_AGREEMENT = 0.8


@dataclass(frozen=True)
class Find:
    """An object as a box in the picture.

    box: left, top, right, bottom in pixels, inside the picture.
    score: how certain the detector is, 0 to 1; None for a box that was drawn.
    """

    name: str
    box: tuple[float, float, float, float]
    score: float | None = None

    @property
    def certainty(self) -> float:
        """What finds are ordered by; a drawn box is more certain than any detection."""
        return 2.0 if self.score is None else self.score


def drawn_finds(boxes: Sequence[Box], size: tuple[int, int]) -> list[Find]:
    """The boxes that were drawn, cut at the borders of the picture.

    Args:
        boxes: as they came in.
        size: (width, height) of the picture.

    Raises:
        Problem: parameters-invalid, if a box lies outside of the picture or is too small to show anything.
    """
    finds = []
    for number, box in enumerate(boxes, start=1):
        called = f"The box '{box.name}'" if box.name.strip() else f"Box {number}"
        clipped = clip((box.left, box.top, box.right, box.bottom), size)
        across, down = clipped[2] - clipped[0], clipped[3] - clipped[1]
        if across <= 0 or down <= 0:
            detail = (
                f"{called} ({box.left:.0f}, {box.top:.0f} to {box.right:.0f}, {box.bottom:.0f}) lies outside of the "
                f"picture, which has {size[0]} × {size[1]} pixels."
            )
            raise Problem("parameters-invalid", detail, "Draw it again on this picture, or remove it.")
        if min(across, down) < SMALLEST_SIDE:
            detail = f"{called} covers {across:.0f} × {down:.0f} pixels of the picture, too little to show an object."
            raise Problem("parameters-invalid", detail, "Draw it around the whole object, or remove it.")
        finds.append(Find(" ".join(box.name.split()) or "Object", clipped))
    return finds


def scaled_finds(finds: Sequence[Find], across: float, down: float) -> list[Find]:
    """The same finds on the picture at another size."""
    factors = (across, down, across, down)
    boxes = (tuple(side * factor for side, factor in zip(find.box, factors, strict=True)) for find in finds)
    return [replace(find, box=(box[0], box[1], box[2], box[3])) for find, box in zip(finds, boxes, strict=True)]


def clip(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box cut at the borders of a picture of (width, height); a box outside of it comes back without area."""
    width, height = size
    left, top = (min(max(box[0], 0.0), width), min(max(box[1], 0.0), height))
    return left, top, min(max(box[2], left), width), min(max(box[3], top), height)


def without_duplicates(finds: Sequence[Find], share: float) -> list[Find]:
    """The finds without those that another one, more certain, already means; whatever their names.

    Two finds mean one object if intersection over union of their boxes exceeds `share`. A drawn box always stays.

    Returns:
        The most certain first.
    """
    ordered = sorted(finds, key=lambda find: find.certainty, reverse=True)
    if not ordered:
        return []
    corners = _corners(ordered)
    kept: list[int] = []
    for index, find in enumerate(ordered):
        shared, areas = _shared(corners[index], corners[kept])
        alike = shared > share * (areas + _areas(corners[index : index + 1]) - shared)
        if find.score is None or not alike.any():
            kept.append(index)
    return [ordered[index] for index in kept]


def without_groups(finds: Sequence[Find]) -> list[Find]:
    """The finds without boxes that hold several objects of one name, each of which was found as well.

    Such a box is filled by at least two others of its name, none of which is most of it, and is no more certain than
    the best of them. A drawn box always stays.
    """
    if not finds:
        return []
    corners = _corners(finds)
    areas = _areas(corners)
    certainty = np.array([find.certainty for find in finds])
    names = np.array([find.name.casefold() for find in finds])
    kept = []
    for index, find in enumerate(finds):
        shared, _ = _shared(corners[index], corners)
        members = (names == names[index]) & (shared >= MEMBER_INSIDE * areas) & (areas <= MEMBER_SHARE * areas[index])
        members[index] = False
        if find.score is not None and members.sum() >= 2 and certainty[index] <= certainty[members].max():
            hull = np.concatenate([corners[members, :2].min(axis=0), corners[members, 2:].max(axis=0)])[None]
            common, hull_area = _shared(corners[index], hull)
            if common[0] >= GROUP_AGREEMENT * (hull_area[0] + areas[index] - common[0]):
                continue
        kept.append(find)
    return kept


def _corners(finds: Sequence[Find]) -> NDArray[np.float64]:
    return np.array([find.box for find in finds], dtype=np.float64).reshape(-1, 4)


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return areas


def _shared(box: NDArray[np.float64], others: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The area that a box (4,) has in common with each of the others (N, 4), and the areas of those."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    return np.prod(np.maximum(high - low, 0.0), axis=1), _areas(others)
