"""What is reconstructed: each object of the shot with its photos, cut out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.background import Remover, Way
from backend.imaging.intake import find_the_object
from backend.pipelines.base import Context
from backend.shot import Shot

Pixels = NDArray[np.uint8]

SMALL = 128
"""Pixels: an object whose longer side in the photo has fewer gives blurred views."""


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
        first = shot.image if shot.instance_source == "alpha" else _cut(shot, number)
        if not first[..., 3].any():
            raise Problem("image-empty", f"The picture is transparent where {shot.title(number)} is.")
        subject = Subject(number, shot.title(number), (first, *others))
        _remark(subject, context)
        found.append(subject)
    return found, records


def _cut(shot: Shot, instance: int) -> Pixels:
    """The first picture, transparent where an instance is not; with soft rims where they are known."""
    cut = shot.image.copy()
    cover = np.where(shot.instances.mask(instance), np.uint8(255), np.uint8(0)) if shot.cover is None else shot.cover
    cut[..., 3] = np.minimum(shot.image[..., 3], cover)
    return cut


def _remark(subject: Subject, context: Context) -> None:
    for index, photo in enumerate(subject.photos, 1):
        seen = photo[..., 3] > 0
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        longest = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
        where = "" if len(subject.photos) == 1 else f" in photo {index}"
        if longest < SMALL:
            message = f"{subject.title} is only {longest} pixels large{where}; its views will be blurred."
            hint = "Bring the camera closer, or render larger."
            context.warn("instance-small", message, hint, subject.instance)
        if rows[0] == 0 or columns[0] == 0 or rows[-1] == seen.shape[0] - 1 or columns[-1] == seen.shape[1] - 1:
            message = f"{subject.title} is cut by the border{where}; its missing part will be guessed."
            hint = "Move the camera until all of it is seen."
            context.warn("instance-cut", message, hint, subject.instance)
