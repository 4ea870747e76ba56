"""What is reconstructed: each object of the shot with its photos, cut out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import Problem
from backend.imaging.background import Remover, Way
from backend.imaging.intake import find_the_object
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels, cut_out, remark
from backend.shot import Shot


@dataclass(frozen=True, eq=False)
class Subject:
    """One object and the photos of it, HxWx4 with straight alpha, transparent where the object is not.

    Compared by identity: a shot has each object once.
    """

    instance: int
    title: str
    photos: tuple[Pixels, ...]


def subjects(shot: Shot, context: Context, background: Way = "auto") -> tuple[list[Subject], list[Mapping[str, Any]]]:
    """The objects of a shot, in the order of their ids, and how the background of each further photo was removed.

    Of one picture every instance is an object of its own; of several pictures there is one object, and in all but the
    first it is found as `backend/imaging/intake.py` finds it.

    Raises:
        Problem: instances-too-many for several instances on several pictures; image-empty, background-unclear,
            engine-missing, weights-damaged.
    """
    numbers = sorted(shot.instances.names)
    if len(shot.images) > 1 and len(numbers) > 1:
        detail = f"{len(shot.images)} photos came with {len(numbers)} objects; several photos show one object."
        raise Problem("instances-too-many", detail, "Select one object, or send one picture.")
    others, records = [], []
    remover = Remover(background)
    for index, picture in enumerate(shot.images[1:], 2):
        context.progress((index - 1) / len(shot.images), f"Photo {index}")
        try:
            cut = find_the_object(picture, remover)
        except Problem as problem:
            raise Problem(problem.code, f"Photo {index}: {problem.detail}", problem.hint, **problem.extra) from problem
        others.append(cut.on_nothing(picture))
        records.append(cut.record)
    found = []
    for number in numbers:
        subject = Subject(number, shot.title(number), (cut_out(shot, number), *others))
        _remark(subject, context)
        found.append(subject)
    return found, records


def _remark(subject: Subject, context: Context) -> None:
    for index, photo in enumerate(subject.photos, 1):
        where = "" if len(subject.photos) == 1 else f" in photo {index}"
        remark(photo, subject.title, subject.instance, context, "its views will be blurred", where)
