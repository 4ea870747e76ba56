"""Masks made clean, told apart and painted."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.preparations.segment.cutouts import (
    Cutout,
    clean,
    cut_out,
    label_map,
    left_to_right,
    shared_pixels,
    without_duplicates,
)
from backend.preparations.segment.finds import Find

SIZE = (40, 30)
masks = arrays.arrays(np.bool_, (SIZE[1], SIZE[0]))


def rectangle(left: int, top: int, right: int, bottom: int, name: str = "box", score: float | None = 0.5) -> Cutout:
    mask = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    mask[top:bottom, left:right] = True
    cutout = cut_out(Find(name, (left, top, right, bottom), score), mask)
    assert cutout is not None
    return cutout


def whole(cutout: Cutout) -> np.ndarray:
    full = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    full[cutout.place] = cutout.mask
    return full


@given(masks, st.booleans(), st.booleans())
def test_a_cutout_is_the_cleaned_mask_in_its_place(mask: np.ndarray, largest: bool, holes: bool) -> None:
    cutout = cut_out(Find("thing", (0, 0, *SIZE)), mask, largest, holes)
    if cutout is None:
        assert not mask.any()
    else:
        np.testing.assert_array_equal(whole(cutout), clean(mask, largest, holes))
        assert all(side.any() for edge in (cutout.mask, cutout.mask.T) for side in (edge[0], edge[-1]))


@given(masks, masks)
def test_common_pixels_are_counted_wherever_the_masks_lie(first: np.ndarray, second: np.ndarray) -> None:
    pair = [cut_out(Find("thing", (0, 0, 1, 1)), mask) for mask in (first, second)]
    if pair[0] is not None and pair[1] is not None:
        assert shared_pixels(pair[0], pair[1]) == (whole(pair[0]) & whole(pair[1])).sum()


def test_specks_go_and_real_pieces_stay() -> None:
    mask = np.zeros((60, 60), dtype=bool)
    mask[5:45, 5:35] = True  # 1200 pixels
    mask[5:45, 40:50] = True  # a second leg
    mask[55, 55] = True
    kept = clean(mask, largest_only=False, close_holes=False)
    assert kept[20, 20] and kept[20, 45] and not kept[55, 55]
    kept = clean(mask, largest_only=True, close_holes=False)
    assert kept[20, 20] and not kept[20, 45]


def test_pin_holes_close_and_handles_stay_open() -> None:
    mask = np.ones((50, 50), dtype=bool)
    mask[10:12, 10:12] = False
    mask[20:40, 20:40] = False
    mask[0, 25] = False  # open to the outside: no hole
    closed = clean(mask, largest_only=False, close_holes=True)
    assert closed[10:12, 10:12].all() and not closed[20:40, 20:40].any() and not closed[0, 25]
    np.testing.assert_array_equal(clean(mask, False, False), mask)


def test_masks_of_one_object_become_one() -> None:
    chair, armchair = rectangle(5, 5, 25, 25, "chair", 0.6), rectangle(5, 5, 25, 24, "armchair", 0.7)
    assert without_duplicates([chair, armchair], 0.75) == [armchair]
    part = rectangle(8, 8, 16, 16, "chair", 0.4)
    assert without_duplicates([chair, part], 0.75) == [chair], "a part of a chair is no second chair"
    cushion = rectangle(8, 8, 16, 16, "cushion", 0.4)
    assert without_duplicates([chair, cushion], 0.75) == [chair, cushion], "another thing on it stays"
    drawn = rectangle(5, 5, 25, 25, "mine", None)
    assert without_duplicates([chair, drawn, drawn], 0.75) == [drawn, drawn]


def test_what_stands_on_a_table_is_not_lost_in_it() -> None:
    table, cup, lamp = rectangle(0, 10, 40, 30), rectangle(10, 12, 14, 16), rectangle(12, 0, 20, 14)
    for order in ([table, cup, lamp], [lamp, cup, table]):
        labels = label_map(order, SIZE)
        counts = {id(one): int((labels == number).sum()) for number, one in enumerate(order, start=1)}
        assert counts[id(cup)] == cup.pixels, "the smallest is in front, in whatever order they come"
        assert counts[id(lamp)] == lamp.pixels - shared_pixels(lamp, cup)
        assert sum(counts.values()) == (whole(table) | whole(cup) | whole(lamp)).sum()


def test_ids_go_from_left_to_right() -> None:
    cutouts = [rectangle(20, 0, 30, 9), rectangle(0, 0, 40, 30), rectangle(2, 3, 6, 9)]
    assert left_to_right(cutouts) == left_to_right(cutouts[::-1]) == [cutouts[2], cutouts[1], cutouts[0]]
