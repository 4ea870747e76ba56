"""Boxes on a picture: what drags and clicks make of them. Plain numbers, nothing of Blender's.

Points and boxes are in pixels of the picture, (0, 0) at the upper left, y down. `Drawing` is the whole behaviour of the
tool without its window; points may lie outside the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Point = tuple[float, float]
Size = tuple[int, int]


class Box(NamedTuple):
    """left < right and top < bottom; the right and lower edges lie outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)


def from_drag(start: Point, end: Point, size: Size) -> Box | None:
    """The box between two corners, in whole pixels and clipped to a picture of (width, height); None if nothing of it
    is left."""
    (left, right), (top, bottom) = (sorted((start[axis], end[axis])) for axis in (0, 1))
    return clipped(Box(round(left), round(top), round(right), round(bottom)), size)


def clipped(box: Box, size: Size) -> Box | None:
    """The part of a box that lies on the picture; None if there is none."""
    width, height = size
    part = Box(max(box.left, 0), max(box.top, 0), min(box.right, width), min(box.bottom, height))
    return part if part.left < part.right and part.top < part.bottom else None


def hit(boxes: Sequence[Box], point: Point) -> int:
    """The index of the smallest box around the point; -1 if there is none."""
    x, y = point
    around = [index for index, box in enumerate(boxes) if box.left <= x < box.right and box.top <= y < box.bottom]
    return min(around, key=lambda index: boxes[index].area, default=-1)


class Drawing:
    """A drag makes a box, a click selects one.

    boxes: all of them; active: index of the selected one, -1 for none.
    """

    def __init__(self, boxes: Sequence[Box], active: int, size: Size) -> None:
        self.boxes = list(boxes)
        self.active = active if 0 <= active < len(self.boxes) else -1
        self.size = size
        self._start: Point | None = None
        self._end: Point = (0.0, 0.0)

    @property
    def dragging(self) -> bool:
        return self._start is not None

    @property
    def growing(self) -> Box | None:
        """The box that would come if the button were released now."""
        return None if self._start is None else from_drag(self._start, self._end, self.size)

    def press(self, point: Point) -> None:
        self._start = self._end = point

    def move(self, point: Point) -> None:
        self._end = point

    def release(self, point: Point, reach: float) -> bool:
        """The button is released; returns whether a box was made."""
        start, self._start = self._start, None
        if start is None:
            return False
        if max(abs(point[0] - start[0]), abs(point[1] - start[1])) <= reach:
            self.active = hit(self.boxes, start)
            return False
        made = from_drag(start, point, self.size)
        if made is not None:
            self.boxes.append(made)
            self.active = len(self.boxes) - 1
        return made is not None

    def delete(self) -> int:
        """Remove the selected box; returns its index, -1 if none was selected."""
        removed = self.active
        if removed >= 0:
            del self.boxes[removed]
            self.active = min(removed, len(self.boxes) - 1)
        return removed
