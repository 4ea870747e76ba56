"""From painted views to what they are views of: cut out of their white ground, with the cameras of the orbit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backend.errors import Problem
from backend.imaging.background import Remover
from backend.imaging.png import as_png, from_png
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.hi3d.painting import HINT
from backend.pipelines.hi3d.reviewing import FEWEST, Reviewed
from backend.pipelines.running import Tell
from models.multiview.views import Views, orbit

CUT = 0.2
"""Share of the time of one object's surface after which its views are cut out."""


@dataclass(frozen=True, eq=False)
class Ring:
    """The views of one object.

    views: those that are used, on the CPU. used: their places on the orbit.
    """

    views: Views
    used: list[int]


def ring_of(reviewed: Reviewed, views: Pixels, context: Context, tell: Tell) -> Ring:
    """Views [T, S, S, 3] that were painted, cut out. One that shows nothing is told and left out.

    Raises:
        Problem: "geometry-failed" if too few are left.
    """
    subject = reviewed.wanted.subject
    covers = _covers(reviewed, views, context, tell)
    used = [index for index, cover in enumerate(covers) if index not in reviewed.bad and cover.max() > 127]
    for index in range(len(views)):
        if index not in used and index not in reviewed.bad:
            message = f"View {index + 1} of {subject.title} shows nothing on white; it was left out."
            context.warn("view-empty", message, HINT, subject.instance)
    if len(used) < FEWEST:
        detail = f"{len(used)} of {len(views)} views of {subject.title} can be used; a surface needs {FEWEST}."
        raise Problem("geometry-failed", detail, HINT)
    cameras = orbit(len(views), subject.elevation, size=views.shape[1]).chosen(used)
    pictures, alpha = (torch.from_numpy(each[used]).float() / 255 for each in (views, covers))
    return Ring(Views(pictures, alpha, cameras), used)


def _covers(reviewed: Reviewed, views: Pixels, context: Context, tell: Tell) -> Pixels:
    """[T, S, S]: how much of each pixel the object covers; zeros where nothing stands out. Kept with the job."""
    wanted = reviewed.wanted
    name = f"cover-{wanted.subject.instance}-{wanted.seed}.png"
    kept = context.recall(name)
    if kept is not None:
        return from_png(kept).reshape(views.shape[:3])
    remover, found = Remover("plain"), []
    for index, view in enumerate(views):
        found.append(_cover(view, remover))
        tell(CUT * (index + 1) / len(views))
    covers = np.stack(found)
    context.keep(name, as_png(covers.reshape(-1, views.shape[2])))
    return covers


def _cover(view: Pixels, remover: Remover) -> Pixels:
    try:
        return remover.find(view).cover
    except Problem as problem:
        if problem.code != "background-unclear":
            raise
        return np.zeros(view.shape[:2], np.uint8)
