"""Boxes on a picture: what drags and clicks make of them."""

from __future__ import annotations

from typing import Any

import pytest

from blender_addon.settings.boxes import Box, Drawing, clipped, from_drag, hit

SIZE = (100, 80)


@pytest.mark.parametrize(
    ("start", "end", "box"),
    [
        ((10, 20), (30, 50), Box(10, 20, 30, 50)),
        ((30, 50), (10, 20), Box(10, 20, 30, 50)),
        ((30.4, 20.6), (10.2, 49.5), Box(10, 21, 30, 50)),
        ((-40, -9), (130, 90), Box(0, 0, 100, 80)),
        ((90, 70), (300, 75), Box(90, 70, 100, 75)),
        ((120, 10), (140, 30), None),
        ((10, 10), (10.3, 40), None),
    ],
)
def test_a_drag_in_any_direction_is_a_box_on_the_picture(start: Any, end: Any, box: Box | None) -> None:
    assert from_drag(start, end, SIZE) == box


def test_a_box_of_another_picture_is_cut_or_gone() -> None:
    assert clipped(Box(50, 40, 200, 200), SIZE) == Box(50, 40, 100, 80)
    assert clipped(Box(100, 0, 200, 80), SIZE) is None


def test_a_point_belongs_to_the_smallest_box_around_it() -> None:
    boxes = [Box(0, 0, 90, 70), Box(10, 10, 20, 20), Box(15, 15, 60, 60)]
    assert [hit(boxes, point) for point in ((5, 5), (16, 16), (30, 30), (95, 5), (20, 12))] == [0, 1, 2, -1, 0]


def test_a_drag_adds_a_click_selects_and_delete_removes() -> None:
    drawing = Drawing([Box(0, 0, 50, 50)], 7, SIZE)
    assert drawing.active == -1, "there is no seventh box"
    drawing.press((60, 10))
    drawing.move((70, 20))
    assert (drawing.dragging, drawing.growing) == (True, Box(60, 10, 70, 20))
    assert drawing.release((90, 30), reach=2)
    assert (drawing.dragging, drawing.growing) == (False, None)
    assert (drawing.boxes[1], drawing.active) == (Box(60, 10, 90, 30), 1)
    drawing.press((20, 20))
    assert not drawing.release((21, 21.5), reach=2)
    assert (len(drawing.boxes), drawing.active) == (2, 0)
    assert drawing.delete() == 0
    assert (drawing.boxes, drawing.active) == ([Box(60, 10, 90, 30)], 0)
    drawing.press((1, 1))
    drawing.release((1, 1), reach=2)
    assert (drawing.active, drawing.delete()) == (-1, -1)
    assert not drawing.release((50, 50), reach=2), "a release without a press"
