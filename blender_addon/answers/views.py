"""A question of kind "views": fill the slots of a sheet with generated views.

The answer is {"chosen": [indices]}, in the order of the slots, or {"regenerate": {"photo": index, "seed": number}},
after which it is asked again. What clicks make of the slots is in `picks.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ground.messages import SetDresserError
from . import picks as arithmetic
from .kind import Asked, Column, Rows, plain_file, set_order
from .picks import Picks, Slot, View


@dataclass(frozen=True)
class Photo:
    """A photo that views were generated of; `file` is its object, cut out. `known`: its azimuth was given."""

    name: str
    file: str
    seed: int
    azimuth: float
    known: bool


@dataclass(frozen=True)
class Views(Asked):
    """default: the view in each slot that is proposed; true_cameras: each view is reconstructed as seen from where it
    was, not from where its slot is."""

    photos: list[Photo]
    views: list[View]
    slots: list[Slot]
    default: list[int]
    true_cameras: bool

    KIND = "views"
    DRAFT = {
        "views": Rows(
            "Views",
            "The views to pick from",
            {"order": Column("Order", "The number of its slot, from 1; 0 if it is in none", 0)},
        ),
        "photos": Rows(
            "Photos",
            "The photos that views were made of",
            {"unfolded": Column("Show Views", "Show the views of this photo", True)},
        ),
    }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Views:
        photos = [
            Photo(
                str(row["name"]), plain_file(row["file"]), int(row["seed"]), float(row["azimuth"]), bool(row["known"])
            )
            for row in document["photos"]
        ]
        slots = [Slot(float(row["azimuth"]), float(row["elevation"])) for row in document["slots"]]
        views = [_view(row) for row in document["choices"]]
        default = [int(index) for index in document["default"]]
        if not slots or any(not 0 <= view.photo < len(photos) for view in views):
            raise ValueError("a view of no photo, or no slot")
        angles = [angle for view in views for angle in (view.azimuth, view.elevation)]
        angles += [angle for slot in slots for angle in (slot.azimuth, slot.elevation)]
        if not all(map(math.isfinite, [*angles, *(photo.azimuth for photo in photos)])):
            raise ValueError("an angle that is no number")
        if len(set(default)) != len(slots) or any(not 0 <= index < len(views) for index in default):
            raise ValueError("the proposal does not fill the slots")
        return cls(photos, views, slots, default, bool(document.get("true_cameras", False)))

    @property
    def files(self) -> list[str]:
        return [photo.file for photo in self.photos] + [view.file for view in self.views]

    def default_answer(self) -> dict[str, Any]:
        return {"chosen": list(self.default)}

    def begin(self, draft: Any) -> None:
        draft.views.clear()
        for _ in self.views:
            draft.views.add()
        while len(draft.photos) < len(self.photos):  # what is folded stays folded
            draft.photos.add()
        set_order(draft.views, self.default)

    def picks(self, draft: Any) -> Picks:
        """What is in the slots."""
        filled = {row.order: index for index, row in enumerate(draft.views) if row.order}
        return tuple(filled.get(slot + 1) for slot in range(len(self.slots)))

    def pick(self, draft: Any, picks: Picks) -> None:
        """Fill the slots."""
        set_order(draft.views, picks)

    def hindrance(self, draft: Any) -> str:
        return arithmetic.hindrance(self.picks(draft))

    def notes(self, picks: Picks) -> list[str]:
        """What should be known of the picks before they are reconstructed from, in sentences."""
        return arithmetic.notes(picks, self.views, self.slots, self.true_cameras)

    def answer(self, draft: Any) -> dict[str, Any]:
        """As many indices as there are slots, where nothing hinders sending."""
        return {"chosen": [index for index in self.picks(draft) if index is not None]}

    def values(self, draft: Any) -> dict[str, Any]:
        return {"slots": self.written(self.picks(draft))}

    def resume(self, draft: Any, values: Mapping[str, Any], same: bool) -> None:
        if (former := self.resumed(values["slots"])) is not None:
            self.pick(draft, former)

    def indices(self, pairs: Iterable[tuple[int, int]]) -> list[int]:
        """The views that (photo, view) pairs mean. Raises SetDresserError("answer-invalid") for one that is not
        there."""
        known = {(view.photo, view.view): index for index, view in enumerate(self.views)}
        found = []
        for pair in pairs:
            if tuple(pair) not in known:
                hint = f"There are: {', '.join(f'{photo}:{view}' for photo, view in known)}."
                raise SetDresserError(f"There is no view {':'.join(map(str, pair))}.", hint, "answer-invalid")
            found.append(known[pair[0], pair[1]])
        return found

    def written(self, picks: Picks) -> list[dict[str, Any] | None]:
        """Picks as they are kept in a file: by what tells a view from one of another seed."""
        return [None if index is None else self._identity(self.views[index]) for index in picks]

    def resumed(self, rows: Any) -> Picks | None:
        """Kept picks in this question, which may have been asked anew meanwhile: what is not there any more leaves its
        slot empty. None if the rows do not fit the question's slots at all."""
        if len(rows) != len(self.slots):
            return None
        known = [self._identity(view) for view in self.views]
        picks: Picks = ()
        for row in rows:
            index = known.index(row) if row in known else None
            picks = (*picks, None if index in picks else index)
        return picks

    def _identity(self, view: View) -> dict[str, Any]:
        return {"photo": view.photo, "view": view.view, "file": view.file, "seed": self.photos[view.photo].seed}


def _view(row: Mapping[str, Any]) -> View:
    return View(
        plain_file(row["file"]),
        str(row["label"]),
        str(row.get("note", "")),
        int(row["photo"]),
        int(row["view"]),
        float(row["azimuth"]),
        float(row["elevation"]),
    )
