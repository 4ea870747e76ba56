"""Which views are proposed, and what is said of a choice."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("scipy")

from backend.pipelines.instantmesh import MOST_PHOTOS, SLOTS
from backend.pipelines.instantmesh.picks import (
    ALIKE,
    OFF_SLOT,
    WIDEST_GAP,
    Azimuths,
    View,
    photo_azimuths,
    propose,
    remarks,
    turn_between,
    views_of,
    widest_gap,
)
from models.zero123plus.pictures import AZIMUTHS, ELEVATIONS

angles = some.floats(-360, 360, allow_nan=False)
given_azimuths = some.lists(some.none() | angles, min_size=1, max_size=MOST_PHOTOS)
ALL = SLOTS["6"]


def views(*azimuths: float) -> list[View]:
    return views_of(azimuths)


def said(
    chosen: list[View], slots: tuple[int, ...] = ALL, *, true_cameras: bool = True, known: bool = True
) -> list[str]:
    azimuths = Azimuths((0.0,), known)
    return [each.code for each in remarks(chosen, slots, true_cameras=true_cameras, azimuths=azimuths)]


@given(given_azimuths, some.sampled_from(sorted(SLOTS)))
def test_a_proposal_fills_every_slot_with_another_view(azimuths: list[float | None], count: str) -> None:
    slots = SLOTS[count]
    offered = views_of(photo_azimuths(azimuths).values)
    assert len(offered) == len(azimuths) * len(AZIMUTHS)
    chosen = propose(offered, slots)
    assert len(chosen) == len(set(chosen)) == len(slots) == int(count)
    assert all(0 <= index < len(offered) for index in chosen)


@given(some.none() | angles, some.sampled_from(sorted(SLOTS)))
def test_of_one_photo_the_slots_themselves_are_proposed(azimuth: float | None, count: str) -> None:
    azimuths = photo_azimuths([azimuth])
    assert azimuths == Azimuths((0.0,), True), "one photo is the front, wherever it was taken"
    chosen = propose(views_of(azimuths.values), SLOTS[count])
    assert chosen == list(SLOTS[count])
    offered = views_of(azimuths.values)
    assert remarks([offered[i] for i in chosen], SLOTS[count], true_cameras=False, azimuths=azimuths) == []
    assert remarks([offered[i] for i in chosen], SLOTS[count], true_cameras=True, azimuths=azimuths) == []


def test_photos_from_three_sides_give_the_two_views_next_to_each() -> None:
    offered = views(0, 120, 240)
    chosen = [offered[index] for index in propose(offered, ALL)]
    assert sorted((view.photo, AZIMUTHS[view.view]) for view in chosen) == [
        (photo, azimuth) for photo in range(3) for azimuth in (30, 330)
    ]
    for slot, view in zip(ALL, chosen, strict=True):
        assert (view.azimuth, view.elevation) == (AZIMUTHS[slot], ELEVATIONS[slot])
    assert said(chosen) == [] and said(chosen, true_cameras=False) == []


def test_a_second_photo_of_the_back_shows_the_back() -> None:
    offered = views(0, 180)
    by_photo = {slot: offered[index].photo for slot, index in zip(ALL, propose(offered, ALL), strict=True)}
    assert (by_photo[0], by_photo[5]) == (0, 0), "the front from the photo of the front"
    assert (by_photo[2], by_photo[3]) == (1, 1), "the back from that of the back"


@given(given_azimuths, some.floats(-180, 180))
def test_turning_the_whole_set_changes_no_azimuth(azimuths: list[float | None], turn: float) -> None:
    known = [azimuth or 0.0 for azimuth in azimuths]
    one, other = photo_azimuths(known), photo_azimuths([azimuth + turn for azimuth in known])
    assert one.known and other.known and one.values[0] == other.values[0] == 0.0
    assert all(turn_between(a, b) < 1e-6 for a, b in zip(one.values, other.values, strict=True))


def test_photos_of_unknown_sides_are_taken_to_go_evenly_round() -> None:
    assert photo_azimuths([None, None, None]) == Azimuths((0.0, 120.0, 240.0), False)
    assert photo_azimuths([30, None, 100, None]) == Azimuths((0.0, 90.0, 70.0, 270.0), False)
    assert photo_azimuths([350, 10]) == Azimuths((0.0, 20.0), True)


@given(angles, angles, angles)
def test_the_angle_between_two_sides_does_not_depend_on_where_counting_begins(a: float, b: float, turn: float) -> None:
    between = turn_between(a, b)
    assert 0 <= between <= 180
    assert turn_between(b, a) == pytest.approx(between, abs=1e-9)
    assert turn_between(a + turn, b + turn) == pytest.approx(between, abs=1e-6)
    assert turn_between(a + 360, b - 720) == pytest.approx(between, abs=1e-6)


@given(some.lists(some.integers(-360, 360), min_size=1, max_size=12), some.integers(-360, 360))
def test_the_widest_gap_holds_no_view_and_turns_with_the_views(azimuths: list[int], turn: int) -> None:
    start, gap = widest_gap(azimuths)
    assert any(turn_between(start, azimuth) == 0 for azimuth in azimuths)
    assert all((azimuth - start) % 360 in {0} or (azimuth - start) % 360 >= gap for azimuth in azimuths)
    assert 360 / len(azimuths) <= gap <= 360
    assert widest_gap([azimuth + turn for azimuth in azimuths])[1] == gap


def test_views_of_the_same_side_are_remarked_once_for_each_pair() -> None:
    apart = View(1, 0, 30 + ALIKE, 20)
    assert said([*views(0), apart]) == [], "so far apart they show different sides"
    near = View(1, 0, 30 + ALIKE - 0.5, 20)
    assert said([*views(0), near]) == ["views-alike"]
    assert said([*views(0), View(1, 1, near.azimuth, -10)]) == [], "seen from above and from below is not alike"
    across = [View(0, 0, 358, 20), View(1, 0, 5, 20), *views(0)[1:]]
    assert said(across) == ["views-alike"], "across the front, too"
    (message,) = (each.message for each in remarks(across, (), true_cameras=True, azimuths=Azimuths((0.0,), True)))
    assert "View 1 of photo 1" in message and "View 1 of photo 2" in message, "people count from 1"


@given(angles)
def test_a_side_that_no_view_shows_is_remarked_wherever_it_is(turn: float) -> None:
    def seen(*azimuths: float) -> list[str]:
        return said([View(index, 0, (azimuth + turn) % 360, 20) for index, azimuth in enumerate(azimuths)], ())

    assert seen(0, 120, 240) == [], f"gaps of {WIDEST_GAP:.0f} degrees are those of four published views"
    assert seen(0, 115, 240) == ["views-gap"]
    assert seen(0, 60, 120, 180) == ["views-gap"]
    assert seen(7) == ["views-gap"]


def test_a_view_in_the_place_of_another_side_is_remarked_where_places_count() -> None:
    chosen = views(0)
    chosen[0], chosen[2] = chosen[2], chosen[0]
    assert said(chosen, true_cameras=False) == ["view-off-slot"] * 2
    assert said(chosen, true_cameras=True) == [], "true cameras know which side it is"
    assert said(chosen, true_cameras=False, known=False) == [], "of unknown sides nothing can be said"
    turned = views(OFF_SLOT - 1)
    assert said(turned, true_cameras=False) == []
    assert said(views(OFF_SLOT + 1), true_cameras=False) == ["view-off-slot"] * 6
    lower = views(0)
    lower[0] = View(1, 1, 30, -10)
    assert said(lower, true_cameras=False) == ["view-off-slot"]


def test_more_slots_than_views_is_an_error() -> None:
    with pytest.raises(ValueError, match="6 slots"):
        propose(views(0)[:5], ALL)
