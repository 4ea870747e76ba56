"""Which generated views fill the slots of the sheet that one object is reconstructed from: pure arithmetic.

Picks are a tuple with one entry for each slot, in the order of the slots: the index of a view of the question, or None
for an empty slot. A view is in one slot at most. Angles are degrees; azimuths are counter-clockwise seen from above.
Slots are counted from 1 wherever somebody reads it, in rows from left to right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ..ground.messages import SetDresserError
from .questions import Question, Slot, View

Picks = tuple[int | None, ...]

SAME_SIDE, WIDEST_GAP, MOST_OFF = 15.0, 120.0, 20.0
"""Two views this close show the same side; a side this wide should be seen; a view counts for its slot up to there."""

_ROUNDING = 1e-6


def clicked(picks: Picks, index: int) -> Picks:
    """After a click on a view: taken out if it was in a slot, else in the first empty one. Where none is empty nothing
    changes."""
    if index in picks:
        return tuple(None if each == index else each for each in picks)
    if None not in picks:
        return picks
    empty = picks.index(None)
    return (*picks[:empty], index, *picks[empty + 1 :])


def cleared(picks: Picks, slot: int | None = None) -> Picks:
    """One slot empty, or all of them."""
    return tuple(None if slot in (None, number) else each for number, each in enumerate(picks))


def moved(picks: Picks, slot: int, steps: int) -> Picks:
    """What is in a slot `steps` later, earlier if negative, in exchange for what is there; the ends are the ends."""
    other = min(max(slot + steps, 0), len(picks) - 1)
    swapped = list(picks)
    swapped[slot], swapped[other] = picks[other], picks[slot]
    return tuple(swapped)


def hindrance(picks: Picks) -> str:
    """Why the picks cannot be reconstructed from; "" if they can."""
    missing = picks.count(None)
    if not missing:
        return ""
    if missing == len(picks):
        return f"Choose {missing} views"
    return f"Choose {missing} more view{'' if missing == 1 else 's'}"


def notes(picks: Picks, views: Sequence[View], slots: Sequence[Slot], true_cameras: bool) -> list[str]:
    """What should be known of the picks before they are reconstructed from, in sentences."""
    sentences = []
    chosen = {number: views[index] for number, index in enumerate(picks, 1) if index is not None}
    for group in same_sides(chosen):
        *most, last = map(str, group)
        side = degrees(chosen[group[0]].azimuth)
        sentences.append(f"Views {', '.join(most)} and {last} show the same side, {side}")
    if len(chosen) > 1 and (gap := widest_gap(view.azimuth for view in chosen.values())) is not None:
        begin, end = map(degrees, gap)
        sentences.append(
            f"Only the side at {begin} is shown" if begin == end else f"Nothing shows the side from {begin} to {end}"
        )
    for number, view in chosen.items():
        wanted = slots[number - 1].azimuth
        if not true_cameras and apart(view.azimuth, wanted) > MOST_OFF + _ROUNDING:
            shown, counted = degrees(view.azimuth), degrees(wanted)
            sentences.append(f"View {number} shows the side at {shown} and counts as the one at {counted}")
    return sentences


def same_sides(chosen: Mapping[int, View]) -> list[list[int]]:
    """Groups of keys whose views show the same side as the group's first; each such pair is in one of the groups."""
    groups: list[list[int]] = []
    for number, view in chosen.items():
        alike = [each for each, other in chosen.items() if each > number and _same_side(view, other)]
        group = [number, *alike]
        if alike and not any(set(group) <= set(former) for former in groups):
            groups.append(group)
    return groups


def widest_gap(azimuths: Iterable[float]) -> tuple[float, float] | None:
    """Where the widest gap between neighbouring azimuths begins and ends, 0 up to 360, if it is too wide."""
    around = sorted({azimuth % 360.0 for azimuth in azimuths})
    gaps = [(end - begin, begin, end) for begin, end in pairwise(around)]
    if around:
        gaps.append((around[0] + 360.0 - around[-1], around[-1], around[0]))
    width, begin, end = max(gaps, key=lambda gap: gap[0], default=(0.0, 0.0, 0.0))
    return (begin, end) if width > WIDEST_GAP + _ROUNDING else None


def apart(one: float, other: float) -> float:
    """The angle between two azimuths, 0 to 180."""
    return abs((one - other + 180.0) % 360.0 - 180.0)


def degrees(azimuth: float) -> str:
    """An azimuth to read: "330°"."""
    return f"{round(azimuth) % 360}°"


def camera(place: View | Slot) -> str:
    """Where a camera stands, to read: "30° · +20°"."""
    elevation = round(place.elevation)
    sign = "−" if elevation < 0 else "+"
    return f"{degrees(place.azimuth)} · {sign}{abs(elevation)}°"


def indices(question: Question, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The views that (photo, view) pairs mean. Raises SetDresserError("answer-invalid") for one that is not there."""
    known = {(view.photo, view.view): index for index, view in enumerate(question.views)}
    found = []
    for pair in pairs:
        if tuple(pair) not in known:
            hint = f"There are: {', '.join(f'{photo}:{view}' for photo, view in known)}."
            raise SetDresserError(f"There is no view {':'.join(map(str, pair))}.", hint, "answer-invalid")
        found.append(known[pair[0], pair[1]])
    return found


def written(picks: Picks, question: Question) -> list[dict[str, Any] | None]:
    """Picks as they are kept in a file: by what tells a view from one of another seed."""
    return [None if index is None else _identity(question, question.views[index]) for index in picks]


def resumed(rows: Sequence[Any], question: Question) -> Picks | None:
    """Kept picks in a question, which may have been asked anew meanwhile: what is not there any more leaves its slot
    empty. None if the rows do not fit the question's slots at all."""
    if len(rows) != len(question.slots):
        return None
    known = [_identity(question, view) for view in question.views]
    picks: Picks = ()
    for row in rows:
        index = known.index(row) if row in known else None
        picks = (*picks, None if index in picks else index)
    return picks


def _identity(question: Question, view: View) -> dict[str, Any]:
    return {"photo": view.photo, "view": view.view, "file": view.file, "seed": question.photos[view.photo].seed}


def _same_side(one: View, other: View) -> bool:
    same_height = (one.elevation < 0) == (other.elevation < 0)
    return same_height and apart(one.azimuth, other.azimuth) <= SAME_SIDE + _ROUNDING
