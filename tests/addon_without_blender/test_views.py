"""The arithmetic of picks: which view is in which slot, and what is said of it. Nothing of Blender's."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from blender_addon.answers import picks as views
from blender_addon.answers.questions import Question, Slot, View
from blender_addon.ground.messages import SetDresserError

SLOTS = [Slot(30.0 + 60 * number, 20.0 if number % 2 == 0 else -10.0) for number in range(6)]

azimuths = some.floats(-720, 720)
seen = some.lists(some.tuples(azimuths, some.floats(-90, 90)), min_size=1, max_size=6)


@some.composite
def picks(draw: Any, views_there: int = 12) -> views.Picks:
    chosen = draw(some.lists(some.integers(0, views_there - 1), unique=True, max_size=6))
    rest: list[int | None] = [None] * (6 - len(chosen))
    return tuple(draw(some.permutations(chosen + rest)))


def view(azimuth: float, elevation: float = 20.0) -> View:
    return View("a.png", "A", "", 0, 0, azimuth, elevation)


def document(seeds: tuple[int, ...] = (4, 4)) -> dict[str, Any]:
    """A question for views of photos with these seeds."""
    return {
        "kind": "views",
        "title": "Pick the views",
        "photos": [
            {"name": f"P{number}", "file": f"p{number}.png", "seed": seed, "azimuth": 40.0 * number, "known": True}
            for number, seed in enumerate(seeds)
        ],
        "choices": [
            {
                "file": f"v{photo}-{number}.png",
                "label": f"P{photo} {number}",
                "note": "",
                "photo": photo,
                "view": number,
                "azimuth": (40.0 * photo + SLOTS[number].azimuth) % 360,
                "elevation": SLOTS[number].elevation,
            }
            for photo in range(len(seeds))
            for number in range(6)
        ],
        "slots": [{"azimuth": slot.azimuth, "elevation": slot.elevation} for slot in SLOTS],
        "default": [0, 1, 2, 3, 4, 5],
        "true_cameras": True,
    }


# filling


@given(picks(), some.integers(0, 11))
def test_a_click_fills_the_first_empty_slot_or_empties_its_own(before: views.Picks, index: int) -> None:
    after = views.clicked(before, index)
    changed = [slot for slot in range(6) if before[slot] != after[slot]]
    if index in before:
        assert changed == [before.index(index)] and after[changed[0]] is None
    elif None in before:
        assert changed == [before.index(None)] and after[changed[0]] == index
    else:
        assert after == before


@given(picks(), some.lists(some.tuples(some.sampled_from(["click", "move", "clear"]), some.integers(0, 11))))
def test_no_view_is_ever_in_two_slots(before: views.Picks, acts: list[tuple[str, int]]) -> None:
    for act, number in acts:
        if act == "click":
            before = views.clicked(before, number)
        elif act == "move":
            before = views.moved(before, number % 6, 1 if number > 5 else -1)
        else:
            before = views.cleared(before, number % 6)
        filled = [index for index in before if index is not None]
        assert (len(before), len(set(filled))) == (6, len(filled))


@given(picks(), some.integers(0, 5), some.sampled_from([-1, 1]))
def test_a_move_exchanges_two_neighbours_and_the_way_back_undoes_it(before: views.Picks, slot: int, steps: int) -> None:
    after = views.moved(before, slot, steps)
    if not 0 <= slot + steps < 6:
        assert after == before
    else:
        assert (after[slot], after[slot + steps]) == (before[slot + steps], before[slot])
        assert views.moved(after, slot + steps, -steps) == before


@given(picks())
def test_only_full_slots_can_be_reconstructed_from(before: views.Picks) -> None:
    assert (views.hindrance(before) == "") == (None not in before)
    assert views.hindrance(views.cleared(before)) == "Choose 6 views"


def test_the_hindrance_counts() -> None:
    assert views.hindrance((1, None, 2)) == "Choose 1 more view"
    assert views.hindrance((None, None, 2)) == "Choose 2 more views"


# what is said


@given(seen)
def test_every_pair_of_the_same_side_is_told_once_and_no_other(places: list[tuple[float, float]]) -> None:
    chosen = {number: view(*place) for number, place in enumerate(places, 1)}
    same = {
        (a, b)
        for a, b in combinations(chosen, 2)
        if views.apart(chosen[a].azimuth, chosen[b].azimuth) <= 15
        and (chosen[a].elevation < 0) == (chosen[b].elevation < 0)
    }
    groups = views.same_sides(chosen)
    assert same <= {pair for group in groups for pair in combinations(group, 2)}
    assert {(group[0], other) for group in groups for other in group[1:]} <= same
    assert not any(set(one) <= set(other) for one, other in combinations(groups[::-1], 2))


@given(some.lists(azimuths, min_size=1, max_size=6))
def test_a_gap_is_the_widest_one_and_nothing_is_seen_in_it(around: list[float]) -> None:
    widest = max(
        min(((other - one) % 360 or 360.0) for other in around if other % 360 != one % 360 or len(around) == 1)
        if any(other % 360 != one % 360 for other in around)
        else 360.0
        for one in around
    )
    gap = views.widest_gap(around)
    assert (gap is not None) == (widest > 120 + 1e-6)
    if gap is not None:
        begin, end = gap
        width = (end - begin) % 360 or 360.0
        assert width == pytest.approx(widest, abs=1e-6)
        assert not [one for one in around if 1e-6 < (one - begin) % 360 < width - 1e-6]


@given(azimuths, azimuths, some.integers(-3, 3))
def test_the_angle_between_two_sides_knows_no_turn(one: float, other: float, turns: int) -> None:
    angle = views.apart(one, other)
    assert 0 <= angle <= 180
    assert views.apart(other, one) == pytest.approx(angle, abs=1e-9)
    assert views.apart(one + 360 * turns, other) == pytest.approx(angle, abs=1e-9)


def test_the_sentences() -> None:
    looking = [view(30), view(90, -10), view(150), view(210, -10), view(270), view(330, -10)]
    assert views.notes((0, 1, 2, 3, 4, 5), looking, SLOTS, False) == []
    looking[4] = view(40)
    looking[5] = view(44.9)
    assert views.notes((0, 1, 2, 3, 4, 5), looking, SLOTS, True) == [
        "Views 1, 5 and 6 show the same side, 30°",
        "Nothing shows the side from 210° to 30°",
    ]
    assert views.notes((None, 1, None, 3, None, None), looking, SLOTS, True) == [
        "Nothing shows the side from 210° to 90°"
    ]
    assert views.notes((None, 1, None, None, None, None), looking, SLOTS, True) == []
    same = [view(359.9), view(359.9, -10)]
    assert views.notes((0, 1), same, SLOTS, True) == ["Only the side at 0° is shown"]
    off = [view(50.0), view(110.1, -10), view(150), view(210, -10), view(270), view(330, -10)]
    sentence = "View 2 shows the side at 110° and counts as the one at 90°"
    assert views.notes((0, 1, 2, 3, 4, 5), off, SLOTS, False) == [sentence]
    assert views.notes((0, 1, 2, 3, 4, 5), off, SLOTS, True) == []


def test_a_camera_reads_well() -> None:
    assert [views.camera(slot) for slot in SLOTS[:2]] == ["30° · +20°", "90° · −10°"]
    assert views.camera(Slot(359.7, -0.2)) == "0° · +0°"


# kept, and asked anew


@given(picks())
def test_picks_come_back_from_a_file(before: views.Picks) -> None:
    question = Question("job", document())
    assert views.resumed(views.written(before, question), question) == before


@given(picks(), some.integers(0, 1))
def test_views_made_anew_leave_their_slots_and_the_others_stay(before: views.Picks, photo: int) -> None:
    rows = views.written(before, Question("job", document()))
    anew = Question("job", document((5, 4) if photo == 0 else (4, 5)))
    wanted = tuple(None if index is None or index // 6 == photo else index for index in before)
    assert views.resumed(rows, anew) == wanted


def test_rows_that_fit_nothing_are_left() -> None:
    question = Question("job", document())
    assert views.resumed([None] * 4, question) is None
    row = views.written((3,), question)[0]
    assert views.resumed([row, row, "x", 3, None, {}], question) == (3, None, None, None, None, None)


def test_pairs_name_views() -> None:
    question = Question("job", document())
    assert views.indices(question, [(1, 0), (0, 5)]) == [6, 5]
    for wrong in ((2, 0), (0, 6), (-1, 0)):
        with pytest.raises(SetDresserError, match="no view") as caught:
            views.indices(question, [wrong])
        assert caught.value.code == "answer-invalid"


BROKEN = [
    {"slots": []},
    {"default": [0, 1, 2, 3, 4]},
    {"default": [0, 1, 2, 3, 4, 4]},
    {"default": [0, 1, 2, 3, 4, 12]},
    {"photos": []},
    {"photos": [{"name": "x", "file": "../x.png", "seed": 1, "azimuth": 0, "known": True}] * 2},
    {"slots": [{"azimuth": float("nan"), "elevation": 0}] * 6},
    {"choices": [{"file": "a.png"}]},
    {"choices": None},
]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_question_that_cannot_be_read_is_of_no_kind(fault: dict[str, Any]) -> None:
    assert Question("job", document()).kind == "views"
    assert Question("job", {**document(), **fault}).kind == ""
