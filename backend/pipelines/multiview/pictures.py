"""The pictures of a shot, each cut out, with the camera that took it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.camera import Camera
from backend.errors import Problem
from backend.imaging.background import Remover, Way
from backend.imaging.intake import find_the_object
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels, cut_out, extent, remark
from backend.pipelines.multiview import FEWEST, MULTIVIEW
from backend.shot import Shot


@dataclass(frozen=True, eq=False)
class Taken:
    """One picture.

    number: of the picture, from 1. cut: HxWx4, straight alpha. camera: in the world.
    """

    number: int
    cut: Pixels
    camera: Camera


def pictures_of(shot: Shot, context: Context, background: Way) -> tuple[list[Taken], list[Mapping[str, Any]]]:
    """The pictures that can be used, and how the background of each further one was removed.

    One in which the object is cut by the border is told and left out: where it ends there, nobody can tell.

    Raises:
        Problem: camera-invalid for a picture without a camera; instances-too-many for several objects; image-empty for
            an empty picture, and if fewer than two show all of the object; background-unclear, engine-missing,
            weights-damaged.
    """
    numbers = sorted(shot.instances.names)
    if len(numbers) > 1:
        detail = f"{len(shot.images)} pictures came with {len(numbers)} objects; several pictures show one object."
        raise Problem("instances-too-many", detail, "Select one object.")
    MULTIVIEW.check_cameras(shot.cameras)
    (instance,) = numbers
    title, remover = shot.title(instance), Remover(background)
    taken, records = [], []
    for number, (picture, camera) in enumerate(zip(shot.images, shot.cameras, strict=True), 1):
        context.progress((number - 1) / len(shot.images), f"Picture {number}")
        if number == 1:
            cut = cut_out(shot, instance)
        else:
            cut, record = _cut(picture, number, remover)
            records.append(record)
        if _ends_at_the_border(cut):
            message = f"{title} is cut by the border of picture {number}, which was left out."
            context.warn("view-cut", message, "Move that camera until all of the object is seen.", instance)
            continue
        remark(cut, title, instance, context, "its shape will be coarse", f" in picture {number}")
        assert camera is not None
        taken.append(Taken(number, cut, camera))
    if len(taken) < FEWEST:
        detail = f"{title} is cut by the border: {len(taken)} of {len(shot.images)} pictures show all of it."
        raise Problem("image-empty", detail, "Move the cameras until each sees all of the object.")
    return taken, records


def _cut(picture: Pixels, number: int, remover: Remover) -> tuple[Pixels, Mapping[str, Any]]:
    try:
        found = find_the_object(picture, remover)
    except Problem as problem:
        raise Problem(problem.code, f"Picture {number}: {problem.detail}", problem.hint, **problem.extra) from problem
    return found.on_nothing(picture), found.record


def _ends_at_the_border(cut: Pixels) -> bool:
    """Whether the object goes on outside of the picture."""
    top, bottom, left, right = extent(cut)
    return top == 0 or left == 0 or bottom == cut.shape[0] or right == cut.shape[1]
