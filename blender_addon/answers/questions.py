"""What a running job asks, and what counts as an answer: plain values, nothing of Blender's.

Three kinds can be answered in the panel. "choose": choose among pictures; the answer is {"chosen": [indices]}, in the
order of the choice. "views": fill the slots of a sheet with generated views; the answer is {"chosen": [indices]}, in
the order of the slots, or {"regenerate": {"photo": index, "seed": number}}, after which it is asked again. "instances":
look through the objects that were found; the answer is {"instances": [{"ids": [2, 5], "name": "sofa"}]}, where several
ids become one object and an id that is not mentioned becomes background. A question of another kind, or one that cannot
be read, can be answered by a script.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..ground.messages import SetDresserError, as_error

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""A job's files have plain names; nothing else may become part of a path here."""


@dataclass(frozen=True)
class Choice:
    """One of several pictures, with a word or two, and what was measured of it."""

    file: str
    label: str
    note: str


@dataclass(frozen=True)
class View(Choice):
    """One generated view of a photo's object: which of its views, and from where it shows it, in degrees. Azimuths are
    counter-clockwise seen from above, from the first photo's camera."""

    photo: int
    view: int
    azimuth: float
    elevation: float


@dataclass(frozen=True)
class Photo:
    """A photo that views were generated of; `file` is its object, cut out. `known`: its azimuth was given."""

    name: str
    file: str
    seed: int
    azimuth: float
    known: bool


@dataclass(frozen=True)
class Slot:
    """A place on the sheet that is reconstructed, and the camera that it stands for, in degrees."""

    azimuth: float
    elevation: float


@dataclass(frozen=True)
class Found:
    """An object that was found. `score` is from 0 to 1, `color` sRGB from 0 to 1; `ids` are several after a merge."""

    ids: tuple[int, ...]
    name: str
    pixels: int
    score: float | None
    color: tuple[float, float, float]


@dataclass
class Question:
    """A question of a job, and how far it has come.

    job, document: whose it is, and what the server says, as it came.
    shown: its pictures are fetched, or have been.
    sending: an answer is on its way.
    problem: why an answer was refused, or why a picture is missing.
    """

    job: str
    document: dict[str, Any]
    shown: bool = False
    sending: bool = False
    problem: SetDresserError | None = None
    choices: list[Choice] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    true_cameras: bool = False
    found: list[Found] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    least: int = 1
    most: int = 1
    default: list[int] = field(default_factory=list)
    kind: str = ""

    def __post_init__(self) -> None:
        self.title = str(self.document.get("title") or "The job asks something")
        self.text = str(self.document.get("text") or "")
        self.digest = hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()[:16]
        try:
            if self.document.get("kind") == "choose":
                self._read_choices()
            elif self.document.get("kind") == "views":
                self._read_views()
            elif self.document.get("kind") == "instances":
                self._read_instances()
        except (KeyError, TypeError, ValueError):
            self.kind = ""

    @property
    def key(self) -> str:
        """Tells it from every other question."""
        return f"{self.job}-{self.digest}"

    @property
    def files(self) -> list[str]:
        """The pictures it mentions, each once."""
        mentioned = [each.file for kind in (self.choices, self.photos, self.views) for each in kind]
        return list(dict.fromkeys(mentioned + self.pictures)) if self.kind else []

    def default_answer(self) -> dict[str, Any]:
        """What the question itself proposes. Raises SetDresserError for a kind that is not known here."""
        if self.kind in ("choose", "views"):
            return {"chosen": list(self.default)}
        if self.kind == "instances":
            return instances_answer(self.found)
        hint = "Update the add-on, answer with a dictionary from Python, or cancel the job."
        raise SetDresserError(f"The add-on cannot answer by itself: {self.title}.", hint, "question-unknown")

    def fail(self, error: Exception) -> None:
        self.problem = as_error(error)

    def _read_choices(self) -> None:
        rows = [
            Choice(_file(row["file"]), str(row["label"]), str(row.get("note", ""))) for row in self.document["choices"]
        ]
        least, most = int(self.document.get("least", 1)), int(self.document.get("most", 1))
        default = [int(index) for index in self.document["default"]]
        if not rows or any(not 0 <= index < len(rows) for index in default):
            raise ValueError("the proposal is not among the choices")
        self.kind, self.choices, self.least, self.most, self.default = "choose", rows, least, most, default

    def _read_views(self) -> None:
        photos = [
            Photo(str(row["name"]), _file(row["file"]), int(row["seed"]), float(row["azimuth"]), bool(row["known"]))
            for row in self.document["photos"]
        ]
        slots = [Slot(float(row["azimuth"]), float(row["elevation"])) for row in self.document["slots"]]
        views = [
            View(
                _file(row["file"]),
                str(row["label"]),
                str(row.get("note", "")),
                int(row["photo"]),
                int(row["view"]),
                float(row["azimuth"]),
                float(row["elevation"]),
            )
            for row in self.document["choices"]
        ]
        default = [int(index) for index in self.document["default"]]
        if not slots or any(not 0 <= view.photo < len(photos) for view in views):
            raise ValueError("a view of no photo, or no slot")
        numbers = [number for view in views for number in (view.azimuth, view.elevation)]
        numbers += [number for slot in slots for number in (slot.azimuth, slot.elevation)]
        if not all(map(math.isfinite, [*numbers, *(photo.azimuth for photo in photos)])):
            raise ValueError("an angle that is no number")
        if len(set(default)) != len(slots) or any(not 0 <= index < len(views) for index in default):
            raise ValueError("the proposal does not fill the slots")
        self.kind, self.views, self.photos, self.slots, self.default = "views", views, photos, slots, default
        self.true_cameras = bool(self.document.get("true_cameras", False))

    def _read_instances(self) -> None:
        rows = []
        for row in self.document["instances"]:
            red, green, blue = (min(max(float(channel) / 255, 0.0), 1.0) for channel in row["color"])
            score = None if row.get("score") is None else float(row["score"])
            rows.append(Found((int(row["id"]),), str(row["name"]), int(row["pixels"]), score, (red, green, blue)))
        pictures = [_file(self.document["overlay"]), _file(self.document["picture"])]
        self.kind, self.found, self.pictures = "instances", rows, pictures


def toggled(chosen: Sequence[int], index: int, most: int) -> list[int]:
    """The choice after a click: off if it was on, else last in order. Where one is asked for a click replaces it; where
    as many are chosen as may be, nothing changes."""
    if index in chosen:
        return [each for each in chosen if each != index]
    if most == 1:
        return [index]
    return [*chosen, index] if len(chosen) < most else list(chosen)


def choice_hindrance(count: int, least: int, most: int) -> str:
    """Why so many cannot be used; "" if they can."""
    if count < least:
        return (
            f"Choose {least - count} more"
            if count
            else f"Choose {least}"
            if least == most
            else f"Choose {least} or more"
        )
    return f"Choose {most} at most" if count > most else ""


def merged(rows: Sequence[Found], ticked: Sequence[int]) -> list[Found]:
    """The rows with the ticked ones made one, in the place and under the name of the first of them."""
    indices = sorted(set(ticked))
    if len(indices) < 2:
        return list(rows)
    parts = [rows[index] for index in indices]
    scores = [part.score for part in parts if part.score is not None]
    whole = replace(
        parts[0],
        ids=tuple(number for part in parts for number in part.ids),
        pixels=sum(part.pixels for part in parts),
        score=min(scores, default=None),
    )
    return [whole if index == indices[0] else row for index, row in enumerate(rows) if index not in indices[1:]]


def regrouped(found: Sequence[Found], rows: Sequence[tuple[Sequence[int], str]]) -> list[Found] | None:
    """The objects merged and named as `rows` of (ids, name) say; None unless each object is in just one of them."""
    by_id = {number: row for row in found for number in row.ids}
    if sorted(number for ids, _ in rows for number in ids) != sorted(by_id) or not all(ids for ids, _ in rows):
        return None
    groups = [merged([by_id[number] for number in ids], range(len(ids)))[0] for ids, _ in rows]
    return [replace(group, name=name) for group, (_, name) in zip(groups, rows, strict=True)]


def instances_answer(rows: Sequence[Found]) -> dict[str, Any]:
    """The answer that keeps these rows."""
    return {"instances": [{"ids": list(row.ids), "name": row.name} for row in rows]}


def pixel_count(pixels: int) -> str:
    """Few characters: 950, 12k, 1.3M."""
    if pixels < 1000:
        return str(pixels)
    return f"{pixels / 1000:.0f}k" if pixels < 999_500 else f"{pixels / 1_000_000:.1f}M"


def _file(name: Any) -> str:
    if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
        raise ValueError("not a plain file name")
    return name
