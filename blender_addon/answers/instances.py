"""A question of kind "instances": look through the objects that were found.

The answer is {"instances": [{"ids": [2, 5], "name": "sofa"}]}, where several ids become one object and an id that is
not mentioned becomes background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .kind import Asked, Colour, Column, Rows, plain_file


@dataclass(frozen=True)
class Found:
    """An object that was found. `score` is from 0 to 1; `ids` are several after a merge."""

    ids: tuple[int, ...]
    name: str
    pixels: int
    score: float | None
    color: Colour


@dataclass(frozen=True)
class Instances(Asked):
    """overlay: the picture with the objects in their colours; picture: without them."""

    found: list[Found]
    overlay: str
    picture: str

    KIND = "instances"
    DRAFT = {
        "found": Rows(
            "Found",
            "The objects that were found; the name is what the prop will be called",
            {
                "ids": Column("Ids", "What it was made of, by number", ""),
                "pixels": Column("Pixels", "How many pixels of the picture it has", 0),
                "score": Column("Score", "How sure the finder is, up to 1", -1.0),
                "color": Column("Colour", "Its colour in the picture above", (0.0, 0.0, 0.0)),
                "keep": Column("Keep", "Make a prop of it; what is not kept becomes background", True),
                "ticked": Column("Select", "Select it for Merge Selected", False),
            },
        )
    }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Instances:
        rows = []
        for row in document["instances"]:
            red, green, blue = (min(max(float(channel) / 255, 0.0), 1.0) for channel in row["color"])
            score = None if row.get("score") is None else float(row["score"])
            rows.append(Found((int(row["id"]),), str(row["name"]), int(row["pixels"]), score, (red, green, blue)))
        return cls(rows, plain_file(document["overlay"]), plain_file(document["picture"]))

    @property
    def files(self) -> list[str]:
        return [self.overlay, self.picture]

    @property
    def colours(self) -> list[Colour]:
        return [row.color for row in self.found]

    def default_answer(self) -> dict[str, Any]:
        return _answer(self.found)

    def begin(self, draft: Any) -> None:
        _set(draft, self.found)
        draft.index = 0

    def ticked(self, draft: Any) -> list[int]:
        """Indices of the rows that are ticked."""
        return [index for index, row in enumerate(draft.found) if row.ticked]

    def merge(self, draft: Any) -> None:
        """Make one object of those that are ticked; nothing happens for fewer than two."""
        if len(indices := self.ticked(draft)) < 2:
            return
        dropped = {number for row in draft.found if not row.keep and not row.ticked for number in _ids(row)}
        _set(draft, merged(_rows(draft), indices))
        for row in draft.found:
            row.keep = not dropped.issuperset(_ids(row))
        draft.index = indices[0]

    def hindrance(self, draft: Any) -> str:
        return "" if any(row.keep for row in draft.found) else "Keep at least one object, or cancel"

    def answer(self, draft: Any) -> dict[str, Any]:
        return _answer([row for row, each in zip(_rows(draft), draft.found, strict=True) if each.keep])

    def values(self, draft: Any) -> dict[str, Any]:
        return {"rows": [{"ids": list(_ids(row)), "name": row.name, "keep": row.keep} for row in draft.found]}

    def resume(self, draft: Any, values: Mapping[str, Any], same: bool) -> None:
        if not same:
            return
        rows = regrouped(self.found, [(row["ids"], str(row["name"])) for row in values["rows"]])
        if rows is not None:
            _set(draft, rows)
            for row, value in zip(draft.found, values["rows"], strict=True):
                row.keep = bool(value["keep"])


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


def pixel_count(pixels: int) -> str:
    """Few characters: 950, 12k, 1.3M."""
    if pixels < 1000:
        return str(pixels)
    return f"{pixels / 1000:.0f}k" if pixels < 999_500 else f"{pixels / 1_000_000:.1f}M"


def _answer(rows: Sequence[Found]) -> dict[str, Any]:
    """The answer that keeps these rows."""
    return {"instances": [{"ids": list(row.ids), "name": row.name} for row in rows]}


def _rows(draft: Any) -> list[Found]:
    return [
        Found(_ids(row), row.name, row.pixels, None if row.score < 0 else row.score, tuple(row.color))
        for row in draft.found
    ]


def _set(draft: Any, rows: Sequence[Found]) -> None:
    draft.found.clear()
    for row in rows:
        item = draft.found.add()
        item.name, item.pixels, item.color = row.name, row.pixels, row.color
        item.score = -1.0 if row.score is None else row.score
        item.ids = " ".join(map(str, row.ids))


def _ids(row: Any) -> tuple[int, ...]:
    return tuple(int(number) for number in row.ids.split())
