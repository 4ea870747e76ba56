"""The values behind a question in the panel."""

from __future__ import annotations

import pytest

from blender_addon.answers.questions import Found, choice_hindrance, merged, pixel_count, toggled


@pytest.mark.parametrize(
    ("chosen", "index", "most", "after"),
    [
        ([], 2, 1, [2]),
        ([0], 2, 1, [2]),
        ([2], 2, 1, []),
        ([4, 1], 2, 3, [4, 1, 2]),
        ([4, 1, 2], 1, 3, [4, 2]),
        ([4, 1, 2], 0, 3, [4, 1, 2]),
    ],
)
def test_a_click_chooses_replaces_or_takes_back(chosen: list, index: int, most: int, after: list) -> None:
    assert toggled(chosen, index, most) == after


@pytest.mark.parametrize(
    ("count", "least", "most", "reason"),
    [
        (0, 1, 1, "Choose 1"),
        (0, 2, 5, "Choose 2 or more"),
        (1, 3, 3, "Choose 2 more"),
        (4, 1, 3, "Choose 3 at most"),
        (0, 0, 2, ""),
        (2, 1, 3, ""),
    ],
)
def test_the_number_of_the_chosen_is_checked(count: int, least: int, most: int, reason: str) -> None:
    assert choice_hindrance(count, least, most) == reason


def test_a_merge_keeps_place_and_name_of_the_first() -> None:
    rows = [Found((number,), f"n{number}", 10 * number, 0.1 * number, (1, 0, 0)) for number in range(1, 5)]
    first, second, third = merged(rows, [3, 1])
    assert (first, third) == (rows[0], rows[2])
    assert (second.ids, second.name, second.pixels, second.score) == ((2, 4), "n2", 60, 0.2)
    assert merged(rows, [2]) == rows


def test_counts_of_pixels_are_short() -> None:
    assert [pixel_count(number) for number in (0, 999, 1000, 54_321, 999_499, 999_500, 2_345_678)] == [
        "0",
        "999",
        "1k",
        "54k",
        "999k",
        "1.0M",
        "2.3M",
    ]
