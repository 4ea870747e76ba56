"""Which boxes mean the same object, which hold several, and which boxes cannot be used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Problem
from backend.preparations.segment import MOST_OBJECTS, SEGMENT, Box, split_labels
from backend.preparations.segment.finds import (
    Find,
    clip,
    drawn_finds,
    scaled_finds,
    without_duplicates,
    without_groups,
)

SIZE = (640, 480)
SHARE = 0.7


@st.composite
def finds(draw: st.DrawFn) -> Find:
    left, top = draw(st.integers(0, 80)), draw(st.integers(0, 80))
    box = (left, top, left + draw(st.integers(5, 40)), top + draw(st.integers(5, 40)))
    return Find(draw(st.sampled_from(["chair", "armchair", "Chair"])), box, draw(st.floats(0.1, 1)))


def agreement(first: Find, second: Find) -> float:
    (a, b, c, d), (e, f, g, h) = first.box, second.box
    common = max(min(c, g) - max(a, e), 0) * max(min(d, h) - max(b, f), 0)
    return common / ((c - a) * (d - b) + (g - e) * (h - f) - common)


@given(st.lists(finds(), max_size=12))
def test_no_two_that_are_left_mean_one_object(found: list[Find]) -> None:
    kept = without_duplicates(found, SHARE)
    assert all(agreement(a, b) <= SHARE for i, a in enumerate(kept) for b in kept[:i])
    for lost in (find for find in found if find not in kept):
        assert any(agreement(lost, other) > SHARE and other.certainty >= lost.certainty for other in kept)
    assert without_duplicates(kept, SHARE) == kept


@given(st.lists(finds(), min_size=1, max_size=12, unique_by=lambda find: find.score), st.randoms())
def test_the_order_of_the_finds_does_not_matter(found: list[Find], chance) -> None:
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert without_duplicates(found, SHARE) == without_duplicates(shuffled, SHARE)
    assert without_duplicates(found, SHARE)[0] == max(found, key=lambda find: find.certainty)


@given(st.lists(finds(), max_size=12))
def test_groups_go_and_their_members_stay(found: list[Find]) -> None:
    kept = without_groups(found)
    assert set(kept) <= set(found)
    for group in (find for find in found if find not in kept):
        inside = [find for find in found if find.name.casefold() == group.name.casefold() and find != group]
        assert sum(agreement(find, group) > 0 for find in inside) >= 2
        assert max(find.certainty for find in inside) >= group.certainty


def test_one_object_under_two_names_keeps_the_better_one() -> None:
    chair, armchair = Find("chair", (10, 10, 110, 200), 0.5), Find("armchair", (12, 9, 112, 204), 0.8)
    assert without_duplicates([chair, armchair], SHARE) == [armchair]


def test_a_box_around_a_row_of_chairs_goes() -> None:
    chairs = [Find("chair", (left, 100, left + 80, 220), 0.6) for left in (0, 100, 200)]
    row = Find("chair", (0, 98, 282, 222), 0.45)
    assert without_groups([*chairs, row]) == chairs
    assert row in without_groups([chairs[0], row]), "one member is no group"
    bench = Find("bench", row.box, 0.45)
    assert without_groups([*chairs, bench]) == [*chairs, bench], "another name is another thing"
    certain = Find("chair", row.box, 0.9)
    assert certain in without_groups([*chairs, certain]), "what is surer than its parts is no group"


def test_what_was_drawn_always_stays() -> None:
    drawn = [Find("left", (0, 0, 100, 100)), Find("again", (1, 0, 100, 100))]
    detected = Find("chair", (0, 0, 99, 100), 0.99)
    assert without_duplicates([detected, *drawn], SHARE) == drawn
    members = [Find("left", (0, 0, 45, 100), 0.9), Find("left", (50, 0, 100, 100), 0.9)]
    assert drawn[0] in without_groups([*members, drawn[0]])


def test_boxes_on_a_picture_that_was_reduced_are_reduced_with_it() -> None:
    drawn = drawn_finds([Box(left=100, top=200, right=300, bottom=900, name="chair")], (4000, 1000))
    assert scaled_finds(drawn, 0.5, 0.25) == [Find("chair", (50, 50, 150, 225))]
    assert scaled_finds(drawn, 1, 1) == drawn


def test_drawn_boxes_are_cut_at_the_border() -> None:
    box = Box(left=-20, top=400, right=100, bottom=900, name="  my   rug ")
    assert drawn_finds([box], SIZE) == [Find("my rug", (0, 400, 100, 480))]
    assert drawn_finds([Box(left=1, top=1, right=9, bottom=9)], SIZE)[0].name == "Object"


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (Box(left=700, top=10, right=900, bottom=90, name="sofa"), "The box 'sofa' (700, 10 to 900, 90) lies outside"),
        (Box(left=10, top=-90, right=90, bottom=-1), "Box 1 .* lies outside .* 640 × 480"),
        (Box(left=638, top=10, right=900, bottom=90), "Box 1 covers 2 × 80 pixels"),
    ],
)
def test_a_box_without_a_picture_in_it_is_named(box: Box, words: str) -> None:
    with pytest.raises(Problem, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        drawn_finds([box], SIZE)
    assert caught.value.code == "parameters-invalid"


@given(st.tuples(*[st.floats(-1e6, 1e6)] * 4))
def test_a_clipped_box_lies_in_the_picture(box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = clip(box, SIZE)
    assert 0 <= left <= right <= SIZE[0] and 0 <= top <= bottom <= SIZE[1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "name the objects to look for"),
        ({"labels": " , ;. "}, "name the objects to look for"),
        ({"labels": "a chair and " + "a very " * 20 + "long table"}, "too long for a name"),
        ({"boxes": [{"left": 9, "top": 0, "right": 3, "bottom": 5}]}, "right side must lie right"),
        ({"boxes": [{"left": 0, "top": 0, "right": float("nan"), "bottom": 5}]}, "finite"),
        ({"boxes": [{"left": 0, "top": 0, "right": 9, "bottom": 9}] * (MOST_OBJECTS + 1)}, "at most 60"),
        ({"labels": "chair", "score_threshold": 0}, "score_threshold"),
    ],
)
def test_parameters_that_cannot_work_are_refused_with_a_sentence(values: dict, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        SEGMENT.check(values)
    assert caught.value.code == "parameters-invalid"


def test_labels_are_read_as_people_write_them() -> None:
    assert split_labels(" Chair,table  lamp;\nrug., chair ,, what? ") == ["Chair", "table lamp", "rug", "what"]
    assert SEGMENT.check({"labels": "chair"}).needed_weights() == ("grounding-dino",)
    assert SEGMENT.check({"labels": "chair", "detector": "tiny"}).needed_weights() == ("grounding-dino-tiny",)
    drawn = {"boxes": [{"left": 0, "top": 0, "right": 9, "bottom": 9}]}
    assert SEGMENT.check(drawn).needed_weights() == (), "boxes alone need no detector"
