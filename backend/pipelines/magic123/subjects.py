"""What is known of each object before the first step: its picture on white, as the camera of the optimisation would see
it; from which elevation that was taken; what is near and far in it; what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.png import as_png
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels, cut_out, framed, framed_as_taken, remark
from backend.pipelines.facing import elevation
from backend.pipelines.magic123 import FROM_CAMERA, STEEPEST, Magic123Parameters
from backend.pipelines.magic123.wording import learned_words, texts
from backend.pipelines.running import Tell, each
from backend.shot import Shot
from models.magic123.reference import Reference

FILL = 0.85
"""Share of the square that the object's longer side takes."""

Depth = Callable[[Pixels, NDArray[np.float32]], NDArray[np.float32] | None]
"""A picture SxSx3 with its own background, and what of it the object covers, SxS → what is near, SxS, 0 to 1; None
where nothing knows."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One object.

    text: for the 2D prior; "" without one. words: that were learned for it, with their embeddings.
    reference: its picture. record: for result.json.
    """

    instance: int
    title: str
    text: str
    words: Mapping[str, torch.Tensor]
    reference: Reference
    record: dict[str, Any]


def subjects(
    shot: Shot, parameters: Magic123Parameters, side: int, depth: Depth, context: Context
) -> dict[int, Subject]:
    """The objects of a shot, in the order of their ids. One that is not to be seen is told and left out.

    Args:
        side: pixels of their pictures.
        depth: tells what is near.

    Raises:
        Problem: "image-empty" if there is none; "parameters-invalid" where the text speaks of a name that says nothing.
    """
    words = learned_words(shot, parameters)
    told = texts(shot.instances.names, parameters, words)

    def work(number: int, tell: Tell) -> Subject:
        title = shot.title(number)
        cut = cut_out(shot, number)
        remark(cut, title, number, context, "it will be blurred")
        picture, cover = framed(cut, side, FILL)
        if not (cover > 0.5).any():
            raise Problem(
                "image-empty", f"{title} is too faint in the picture: nothing of it is more than half covered."
            )
        angle, record = _elevation(shot, number, parameters, context)
        context.keep(f"source-{number}.png", as_png(picture))
        context.preview("source", picture, title)
        nearness = depth(framed_as_taken(shot.image, cut, side, FILL), cover) if parameters.lambda_depth else None
        reference = Reference(
            torch.tensor(picture, dtype=torch.float32) / 255,
            torch.tensor(cover),
            None if nearness is None else torch.tensor(nearness),
            polar=90.0 - angle,
        )
        text = told.get(number, "")
        facts = {"elevation": record, **({"text": text} if text else {}), "depth": nearness is not None}
        return Subject(number, title, text, words.get(number, {}), reference, facts)

    return each(sorted(shot.instances.names), work, shot, context)


def _elevation(
    shot: Shot, number: int, parameters: Magic123Parameters, context: Context
) -> tuple[float, dict[str, Any]]:
    """Degrees from which the picture was taken, and where that is from, for result.json."""
    if parameters.elevation != FROM_CAMERA:
        return float(parameters.elevation), {"taken": parameters.elevation, "source": "parameter"}
    seen = elevation(shot.camera, shot.whole_mask(number))
    taken = round(min(max(seen, -STEEPEST), STEEPEST), 2)
    if taken != round(seen, 2):
        way = f"{seen:.0f}° down" if seen > 0 else f"{-seen:.0f}° up"
        message = f"The camera looks {way} at {shot.title(number)}; it is taken as {abs(taken):.0f}°."
        context.warn("camera-steep", message, "Take the picture from less far above or below.", number)
    source = "camera" if shot.camera_source == "request" else "assumed"
    return taken, {"taken": taken, "seen": round(seen, 2), "source": source}
