"""The table of what was found, and what a review makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.preparations.segment.finds import Find
from backend.questions import InstancesAnswer

Labels = NDArray[np.uint16]


@dataclass(frozen=True)
class Instance:
    """One object of a label map.

    score: how certain the detector was; None where a box was drawn.
    box: left, top, right, bottom of its pixels; right and bottom are the first beyond it.
    """

    id: int
    name: str
    score: float | None
    pixels: int
    box: tuple[int, int, int, int]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def instances_of(labels: Labels, names: Mapping[int, str], scores: Mapping[int, float | None]) -> list[Instance]:
    """The objects that occur in a label map (HxW), ascending by id."""
    counts = np.bincount(labels.ravel())
    places = ndimage.find_objects(labels)
    return [
        Instance(
            id=number,
            name=names[number],
            score=scores[number],
            pixels=int(counts[number]),
            box=(columns.start, rows.start, columns.stop, rows.stop),
        )
        for number, (rows, columns) in ((label + 1, place) for label, place in enumerate(places) if place is not None)
    ]


def unique_names(names: Iterable[str]) -> list[str]:
    """The names in their order, a number behind each that has occurred before: chair, chair 2, chair 3."""
    wanted = list(names)
    taken: set[str] = set()
    reserved = {name.casefold() for name in wanted}
    unique = []
    for name in wanted:
        chosen, number = name, 1
        while chosen.casefold() in taken or (number > 1 and chosen.casefold() in reserved):
            number += 1
            chosen = f"{name} {number}"
        taken.add(chosen.casefold())
        unique.append(chosen)
    return unique


def numbered(labels: Labels, finds: Sequence[Find], least: float) -> tuple[Labels, list[Instance], list[Find]]:
    """A painted label map with its small objects made background, and the others numbered and named.

    Args:
        labels: HxW, where the find at index 0 is 1, the next one 2, ...; a find may have lost all of its pixels.
        finds: what each label was found as.
        least: pixels that an object must have.

    Returns:
        The label map with ids from 1 on without a gap, in the order of the finds; its objects; what was left out.
    """
    pixels = np.bincount(labels.ravel(), minlength=len(finds) + 1)[1:]
    stays = pixels >= max(least, 1)
    table = np.zeros(len(finds) + 1, dtype=np.uint16)
    table[1:][stays] = np.arange(1, np.count_nonzero(stays) + 1)
    kept = [find for find, keep in zip(finds, stays, strict=True) if keep]
    names = dict(enumerate(unique_names(find.name for find in kept), start=1))
    scores = dict(enumerate((find.score for find in kept), start=1))
    compact = table[labels]
    left_out = [find for find, keep in zip(finds, stays, strict=True) if not keep]
    return compact, instances_of(compact, names, scores), left_out


def apply_review(
    labels: Labels, instances: Sequence[Instance], answer: InstancesAnswer
) -> tuple[Labels, list[Instance]]:
    """The label map and its objects after a review.

    Several ids become one object under the smallest of them, ids that are not mentioned become background; the others
    keep their id, so the colours of the overlay still hold. A merged object is as certain as its best part. An empty
    name leaves the one that was there.

    Args:
        answer: fits the question (see `InstancesQuestion.check`): each id is known and mentioned once.
    """
    known = {instance.id: instance for instance in instances}
    rows = sorted(answer.instances, key=lambda row: min(row.ids))
    table = np.zeros(max(known) + 1, dtype=np.uint16)
    scores: dict[int, float | None] = {}
    for row in rows:
        first = min(row.ids)
        table[row.ids] = first
        certain = [known[number].score for number in row.ids]
        scores[first] = None if None in certain else max(score for score in certain if score is not None)
    wanted = (" ".join(row.name.split()) or known[min(row.ids)].name for row in rows)
    names = dict(zip(scores, unique_names(wanted), strict=True))
    merged = table[labels]
    return merged, instances_of(merged, names, scores)
