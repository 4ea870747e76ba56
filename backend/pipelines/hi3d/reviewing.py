"""Which views of an object its surface is made of: all that show it, without those that the user marks as bad."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from backend.contract import MAXIMUM_SEED
from backend.imaging.png import as_png
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels
from backend.pipelines.hi3d import Hi3DParameters
from backend.pipelines.hi3d.painting import Wanted
from backend.pipelines.hi3d.subjects import Subject
from backend.pipelines.viewed.sheets import sheet
from backend.questions import Choice, ChooseQuestion
from models.hi3d.files import ORBIT

FEWEST = 4
"""Views that a surface is made of."""

SHEET_SIDE = 96
"""Pixels of a view on the sheet that stands for painting all of them anew."""


class Reviewed(NamedTuple):
    """The views of the first stage, [T, S, S, 3], from which seed they are, and those that are not used."""

    wanted: Wanted
    views: Pixels
    bad: tuple[int, ...] = ()


def review(
    subject: Subject,
    parameters: Hi3DParameters,
    context: Context,
    paint: Callable[[Wanted], Pixels],
) -> Reviewed:
    """Have the views of one object looked at, as often as others are asked for.

    paint: gives the views of a seed; those of another seed take time.

    Raises:
        Problem: "geometry-failed" if the views cannot be used.
    """
    wanted = Wanted(subject, context.seed)
    while True:
        views = paint(wanted)
        if not parameters.review:
            return Reviewed(wanted, views)
        question = _question(wanted, len(views))
        context.keep(question.choices[-1].file, as_png(sheet(_small(views))))
        with context.stage("review"):
            chosen = context.ask(question)["chosen"]
        if len(views) not in chosen:
            return Reviewed(wanted, views, tuple(sorted(chosen)))
        wanted = Wanted(subject, (wanted.seed + 1) % (MAXIMUM_SEED + 1))


def _question(wanted: Wanted, count: int) -> ChooseQuestion:
    files = wanted.names(ORBIT, count)
    choices = [
        Choice(file=file, label=f"View {index + 1}", note=f"{360 * index / count:.0f}°")
        for index, file in enumerate(files)
    ]
    anew = Choice(file=f"{wanted.sampling(ORBIT)}.png", label="Paint all anew", note="from another seed")
    return ChooseQuestion(
        title="Look at the views",
        text=(
            f"{wanted.subject.title} from all sides, seed {wanted.seed}. Choose the views that are bad: they are left "
            "out. Choose none to go on with all of them, or the last picture to have all of them painted anew."
        ),
        choices=[*choices, anew],
        least=0,
        most=max(count - FEWEST, 1),
        default=[],
    )


def _small(views: Pixels) -> Pixels:
    side = (SHEET_SIDE, SHEET_SIDE)
    return np.stack([np.asarray(Image.fromarray(view).resize(side, Image.Resampling.BOX)) for view in views])
