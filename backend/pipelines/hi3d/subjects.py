"""What the networks are told of each object: a square picture of it on white, and from which elevation it was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.imaging.png import as_png
from backend.pipelines.context import Context
from backend.pipelines.cut_outs import Pixels, cut_out, extent, framed, remark
from backend.pipelines.facing import elevation
from backend.pipelines.hi3d import FROM_CAMERA, TRAINED, Hi3DParameters
from backend.pipelines.running import Tell, each
from backend.shot import Shot

FILL = 0.75
"""Share of the square that the object's longer side takes. Of the training's objects the longest side is 1, seen from
1.5 by a lens of 35 mm on 32 mm: in the middle that is 0.73 of the picture, and what is nearer is larger."""

LEAST_FILL, MOST_FILL = 0.6, 0.9
"""Shares at which a picture of one object counts as framed like those of the training."""

STEP = 5.0
"""Degrees from a trained elevation to where the next one begins."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One object.

    cut: HxWx4, straight alpha. elevation: of `TRAINED`, of its camera and of its orbit. record: for result.json.
    """

    instance: int
    title: str
    cut: Pixels
    elevation: int
    record: dict[str, Any]

    def picture(self, side: int) -> Pixels:
        """SxSx3, on white, as the training's objects lie in their pictures."""
        return framed(self.cut, side, FILL)[0]


def subjects(shot: Shot, parameters: Hi3DParameters, side: int, context: Context) -> dict[int, Subject]:
    """The objects of a shot, in the order of their ids. One that is not to be seen is told and left out.

    Args:
        side: pixels of the picture that the first network sees.

    Raises:
        Problem: "image-empty" if there is none.
    """

    def work(number: int, tell: Tell) -> Subject:
        title = shot.title(number)
        cut = cut_out(shot, number)
        remark(cut, title, number, context, "its views will be blurred")
        top, bottom, left, right = extent(cut)
        longest = max(bottom - top, right - left)
        share, factor = longest / max(cut.shape[:2]), FILL * side / longest
        if shot.instance_source != "map" and not LEAST_FILL <= share <= MOST_FILL:
            message = (
                f"{title} takes {share:.0%} of the picture's longer side. Hi3D has learned objects that take about "
                f"{FILL:.0%}, so it is cut out and scaled by {factor:.2g}."
            )
            context.warn("object-rescaled", message, "Nothing is to be done, but a larger picture is sharper.", number)
        angle, record = _elevation(shot, number, parameters, context)
        subject = Subject(number, title, cut, angle, {"elevation": record, "scaled": round(factor, 4)})
        picture = subject.picture(side)
        context.keep(f"source-{number}.png", as_png(picture))
        context.preview("source", picture, title)
        return subject

    return each(sorted(shot.instances.names), work, shot, context)


def nearest_trained(angle: float) -> int:
    """The elevation of `TRAINED` that is next to one; the lower of two."""
    return min(TRAINED, key=lambda trained: abs(trained - angle))


def _elevation(shot: Shot, number: int, parameters: Hi3DParameters, context: Context) -> tuple[int, dict[str, Any]]:
    """The elevation that the networks are told, and where it is from, for result.json. What it changes much is told."""
    title = shot.title(number)
    if parameters.elevation != FROM_CAMERA:
        taken = nearest_trained(parameters.elevation)
        if taken != parameters.elevation:
            known = ", ".join(map(str, TRAINED))
            message = f"Hi3D has learned elevations of {known} degrees; {parameters.elevation} is taken as {taken}."
            context.warn("elevation-rounded", message, "Choose one of these.", number)
        return taken, {"taken": taken, "asked": parameters.elevation, "source": "parameter"}
    seen = elevation(shot.camera, shot.whole_mask(number))
    taken = nearest_trained(seen)
    source = "camera" if shot.camera_source == "request" else "assumed"
    if not TRAINED[0] - STEP <= seen <= TRAINED[-1] + STEP:
        way = f"{seen:.0f}° down" if seen > 0 else f"{-seen:.0f}° up"
        message = (
            f"The camera looks {way} at {title}. Hi3D knows elevations from {TRAINED[0]}° to {TRAINED[-1]}°: it is "
            f"taken as {taken}°, and the shape will lean."
        )
        context.warn("camera-steep", message, "Take the picture from less far above or below.", number)
    return taken, {"taken": taken, "seen": round(seen, 2), "source": source}
