"""Which side of the object each generated view shows, which ones to propose, and what a choice lacks.

Azimuths are in degrees, counter-clockwise seen from above, and those of views count from the first photo's camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from backend.contract import Warning
from models.zero123plus.pictures import AZIMUTHS, ELEVATIONS

ALIKE = 15.0
"""Two views of one elevation that differ by less show the same side."""

WIDEST_GAP = 120.0
"""Degrees between neighbouring views, beyond which something of the object is not shown."""

OFF_SLOT = 20.0
"""A view may be so far from the camera that its slot stands for before it is worth a word."""

ELEVATION_WEIGHT = 0.5
"""Of a degree of elevation against one of azimuth, in a proposal."""

INVENTION_WEIGHT = 0.25
"""The same for each degree by which a view is turned away from its photo: the farther, the more of it is invented."""


@dataclass(frozen=True)
class View:
    """One generated view of one photo: where it was seen from."""

    photo: int
    view: int
    azimuth: float
    elevation: float


@dataclass(frozen=True)
class Azimuths:
    """Of the photos, the first one at 0. `known`: whether all were given, or there is but one."""

    values: tuple[float, ...]
    known: bool


def photo_azimuths(given: Sequence[float | None]) -> Azimuths:
    """The azimuths of photos; where one is not known it is assumed that the photos go evenly round the object."""
    first = (given[0] or 0.0) if given else 0.0
    even = (360.0 * index / len(given) for index in range(len(given)))
    values = tuple(
        assumed if azimuth is None else (azimuth - first) % 360.0 for assumed, azimuth in zip(even, given, strict=True)
    )
    return Azimuths(values, len(given) == 1 or all(azimuth is not None for azimuth in given))


def views_of(azimuths: Sequence[float]) -> list[View]:
    """Every generated view of every photo, photo by photo."""
    return [
        View(photo, view, (turned + azimuth) % 360.0, elevation)
        for photo, turned in enumerate(azimuths)
        for view, (azimuth, elevation) in enumerate(zip(AZIMUTHS, ELEVATIONS, strict=True))
    ]


def propose(views: Sequence[View], slots: Sequence[int]) -> list[int]:
    """Indices of the views that fit the slots best, in the order of the slots, all different.

    A view near its slot's camera is preferred, and among those one that is turned little away from its photo. Of one
    photo these are the views of the slots themselves.

    Raises:
        ValueError: fewer views than slots.
    """
    if len(views) < len(slots):
        raise ValueError(f"{len(slots)} slots cannot be filled with {len(views)} views")
    cost = np.array(
        [
            [
                turn_between(view.azimuth, AZIMUTHS[slot])
                + ELEVATION_WEIGHT * abs(view.elevation - ELEVATIONS[slot])
                + INVENTION_WEIGHT * turn_between(AZIMUTHS[view.view], 0.0)
                for view in views
            ]
            for slot in slots
        ]
    )
    rows, columns = linear_sum_assignment(cost)
    return [int(columns[row]) for row in np.argsort(rows)]


def remarks(chosen: Sequence[View], slots: Sequence[int], *, true_cameras: bool, azimuths: Azimuths) -> list[Warning]:
    """What is worth saying about a choice: sides shown twice, sides not shown, views in places of other sides."""
    found = []
    for index, one in enumerate(chosen):
        for other in chosen[index + 1 :]:
            if one.elevation == other.elevation and turn_between(one.azimuth, other.azimuth) < ALIKE:
                message = f"{title(one)} and {title(other)} show the same side, at {one.azimuth:.0f}°."
                found.append(Warning(code="views-alike", message=message, hint="Choose views of different sides."))
    start, gap = widest_gap([view.azimuth for view in chosen])
    if round(gap) > WIDEST_GAP:  # the gaps of the four published views are allowed, however they are rounded
        message = f"No chosen view shows the side from {start:.0f}° to {(start + gap) % 360:.0f}°; it is guessed."
        found.append(Warning(code="views-gap", message=message, hint="Choose a view from there."))
    if not true_cameras and azimuths.known:
        for number, (slot, view) in enumerate(zip(slots, chosen, strict=True), 1):
            off = turn_between(view.azimuth, AZIMUTHS[slot])
            if off > OFF_SLOT or view.elevation != ELEVATIONS[slot]:
                message = f"{title(view)} lies in place {number}, which stands for the side at {AZIMUTHS[slot]:.0f}°."
                hint = "Set View cameras to true, or put it into the place of its own side."
                found.append(Warning(code="view-off-slot", message=message, hint=hint))
    return found


def title(view: View) -> str:
    """How to speak of a view; people count from 1."""
    return f"View {view.view + 1} of photo {view.photo + 1}"


def turn_between(one: float, other: float) -> float:
    """The angle between two azimuths, 0 to 180."""
    return abs((one - other + 180.0) % 360.0 - 180.0)


def widest_gap(azimuths: Sequence[float]) -> tuple[float, float]:
    """Where the widest part of the circle without any of these azimuths begins, and how wide it is."""
    ordered = sorted(azimuth % 360.0 for azimuth in azimuths)
    following = [*ordered[1:], ordered[0] + 360.0]
    width, start = max((after - before, before) for before, after in zip(ordered, following, strict=True))
    return start, width
