"""Which picture a prop is made of: the size in the frame, what is cut or hidden, and from how high it is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from blender_addon.capture.best_views import View, measured, projected, ranked, read, reason, several, worth

LIKED = (-10.0, 40.0)


def test_of_whole_views_the_largest_is_the_best():
    views = [View(0.02), View(0.08), View(0.05)]
    assert ranked(views) == [1, 2, 0]
    assert reason(views, 1) == "largest and whole"
    assert reason(views, 2) == "whole"


@pytest.mark.parametrize(
    ("views", "best", "why"),
    [
        ([View(0.2, cut=True), View(0.02)], 1, "whole"),
        ([View(0.1, seen=0.3), View(0.05)], 1, "whole"),
        ([View(0.05, elevation=80), View(0.02, elevation=15)], 1, "whole and from 15° above"),
        ([View(0.05, elevation=80), View(0.04, cut=True)], 0, "largest and whole, from 80° above"),
        ([View(0.0), View(0.03, cut=True)], 1, "the only one that sees it, cut by the frame"),
        ([View(0.3), View(0.6)], 0, "whole"),
    ],
    ids=["cut", "hidden", "steep", "steep but whole", "only one", "large enough"],
)
def test_what_is_cut_hidden_or_seen_from_too_high_gives_way(views, best, why):
    assert ranked(views, LIKED)[0] == best
    assert reason(views, best, LIKED) == why


def test_much_size_makes_up_for_a_cut_and_a_little_hidden_for_nothing():
    assert ranked([View(0.25, cut=True), View(0.01)])[0] == 0
    assert ranked([View(0.1, seen=0.9), View(0.09)])[0] == 1


def test_nothing_is_chosen_of_views_that_show_nothing():
    assert ranked([View(0.0), View(0.0)]) == []
    assert ranked([]) == []


def test_a_view_is_worth_less_the_farther_it_is_from_what_is_liked():
    heights = [worth(View(0.1, elevation=angle), LIKED) for angle in (-60, -30, 0, 40, 60, 85, 90)]
    assert heights[2] == heights[3] == worth(View(0.1))
    assert heights[0] < heights[1] < heights[2] > heights[4] > heights[5] == heights[6] > 0


def test_of_equal_views_the_first_is_taken():
    views = [View(0.1), View(0.1), View(0.1)]
    assert ranked(views) == [0, 1, 2]
    assert reason(views, 0) == "as large as any and whole"


def test_a_method_that_takes_several_gets_the_best_in_their_order():
    views = [View(0.02), View(0.2, cut=True), View(0.0), View(0.05), View(0.06)]
    assert several(views, 8) == [0, 1, 3, 4]
    assert several(views, 2) == [3, 4]


def test_a_view_is_kept_as_it_is():
    view = View(0.1, 0.7, True, -12.5)
    assert read(view.document()) == view
    with pytest.raises(ValueError, match="numbers"):
        read({**view.document(), "share": math.nan})


CAMERA = {
    **{"fx": 100.0, "fy": 100.0, "cx": 50.0, "cy": 40.0, "width": 100, "height": 80},
    "world_from_camera": [[1, 0, 0, 0], [0, 0, -1, -10], [0, 1, 0, 3], [0, 0, 0, 1]],
}
"""At (0, -10, 3), looking along +Y."""


def test_a_picture_tells_how_it_shows_each_object():
    labels = np.zeros((80, 100), np.uint16)
    labels[10:30, 20:40] = 1
    labels[70:, 60:80] = 2
    labels[40:50, 40:50] = 3
    outline = np.zeros_like(labels)
    outline[40:60, 40:50] = 3
    views = measured(labels, [outline], {1: (0, 0, 3), 2: (0, 0, -7), 3: (0, 0, 13), 4: (0, 0, 0)}, CAMERA)
    assert views.keys() == {1, 2, 3}, "nothing is seen of the fourth"
    assert views[1] == View(400 / 8000, 1.0, False, 0.0)
    assert views[2].cut and views[2].elevation == pytest.approx(45)
    assert views[3] == View(100 / 8000, 0.5, False, pytest.approx(-45))


def test_an_outline_that_the_frame_cuts_behind_another_object_is_cut():
    labels, outline = np.zeros((80, 100), np.uint16), np.zeros((80, 100), np.uint16)
    labels[40:50, 40:50], outline[40:, 40:50] = 1, 1
    assert measured(labels, [outline], {1: (0, 0, 0)}, CAMERA)[1].cut


def test_a_box_is_seen_where_it_lies_in_the_frame():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (2, 4)], float)
    view = projected(corners, CAMERA)
    assert not view.cut and view.elevation == pytest.approx(0)
    assert view.share == pytest.approx((200 / 9) ** 2 / 8000)
    assert projected(corners + np.array([5, 0, 0]), CAMERA).cut
    assert projected(corners + np.array([50, 0, 0]), CAMERA).share == 0
    assert projected(corners - np.array([0, 30, 0]), CAMERA).share == 0, "behind the camera"
    around = projected(corners - np.array([0, 10, 0]), CAMERA)
    assert around.cut and around.share == pytest.approx(1), "the camera stands in it"
