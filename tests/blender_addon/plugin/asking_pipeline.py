"""A pipeline and a preparation for tests that ask before they work: `box_pipeline`'s boxes, after as many questions as
wanted."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from box_pipeline import BoxParameters
from box_pipeline import run as make_boxes
from PIL import Image
from pydantic import Field

from backend.pipelines.base import Context, PipelineInfo, Stage
from backend.preparations.base import PreparationInfo, Prepared
from backend.questions import Choice, ChooseQuestion, FoundInstance, InstancesQuestion, Question
from backend.scene import Scene
from backend.shot import InstanceMap, Shot

COLORS = ((230, 60, 50), (60, 160, 240), (250, 200, 40), (90, 200, 90), (180, 90, 220))


class AskingParameters(BoxParameters):
    asks: Literal["choose", "instances", "both", "riddle"] = "choose"
    candidates: int = Field(4, ge=1, le=12)
    least: int = Field(1, ge=0)
    most: int = Field(1, ge=1)
    side: int = Field(64, ge=8, le=2048, description="Of the pictures, in pixels.")
    found: int = Field(4, ge=1, le=30)
    lost: bool = Field(False, description="The question mentions a picture that nobody has kept.")


ASKING = PipelineInfo(
    id="test-asking",
    version="1",
    title="Asking",
    description="Asks first.",
    entry="asking_pipeline:run",
    parameters=AskingParameters,
    stages=(Stage("ask", 1), Stage("surface", 8), Stage("place", 1), Stage("export", 1)),
)
PIPELINES = (ASKING,)
PREPARING = PreparationInfo(
    id="test-ask",
    version="1",
    title="Ask",
    description="Asks, and leaves the shot as it is.",
    entry="asking_pipeline:prepare",
    parameters=AskingParameters,
    stages=(Stage("question", 1),),
)
PREPARATIONS = (PREPARING,)


def prepare(shot: Shot, parameters: AskingParameters, context: Context) -> Prepared:
    with context.stage("question"):
        answer = context.ask(candidates(parameters, context))
    return Prepared(shot, {"chosen": answer["chosen"]})


def run(shot: Shot, parameters: AskingParameters, context: Context) -> Scene:
    answers = []
    with context.stage("ask"):
        if parameters.asks in ("choose", "both"):
            answers.append(context.ask(candidates(parameters, context)))
        if parameters.asks in ("instances", "both"):
            answers.append(context.ask(found(parameters, context)))
        if parameters.asks == "riddle":
            answers.append(context.ask({"kind": "riddle", "title": "What walks on four legs?"}))
    context.warn("answers", json.dumps(answers))
    kept = answers[-1].get("instances")
    if kept:
        names = {number + 1: row["name"] for number, row in enumerate(kept)}
        labels = np.zeros_like(shot.instances.labels)
        for number in names:
            labels[number, number] = number
        shot = replace(shot, instances=InstanceMap(labels, names))
    return make_boxes(shot, parameters, context)


def candidates(parameters: AskingParameters, context: Context) -> Question:
    """As many pictures as wanted, each of its own colour with its number of stripes."""
    choices = []
    for number in range(parameters.candidates):
        pixels = np.full((parameters.side * 3 // 4, parameters.side, 3), COLORS[number % len(COLORS)], np.uint8)
        for stripe in range(number + 1):
            width = parameters.side // 16
            pixels[: parameters.side // 4, (2 * stripe + 1) * width : (2 * stripe + 2) * width] = 255
        keep(context, f"candidate-{number}.png", pixels, parameters.lost and number == 1)
        note = f"Edges agree to {90 - 7 * number} %"
        choices.append(Choice(file=f"candidate-{number}.png", label=f"Candidate {number + 1}", note=note))
    return ChooseQuestion(
        title="Choose a picture",
        text="The props are made of the one you choose.",
        choices=choices,
        least=parameters.least,
        most=parameters.most,
        default=[0],
    )


def found(parameters: AskingParameters, context: Context) -> Question:
    """Objects as coloured squares in a row on grey."""
    side = parameters.side
    picture = np.full((side * 3 // 4, side, 3), 90, np.uint8)
    overlay = picture.copy()
    rows = []
    for number in range(parameters.found):
        left, right = (side * (4 * number + edge) // (4 * parameters.found) for edge in (1, 3))
        color = COLORS[number % len(COLORS)]
        overlay[side // 4 : side // 2, left:right] = color
        rows.append(
            FoundInstance(
                id=number + 1,
                name=f"chair {number + 1}",
                score=None if number == 2 else 0.9 - 0.1 * number,
                pixels=(right - left) * (side // 4) * 10 ** (number % 3),
                box=(left, side // 4, right, side // 2),
                color=color,
            )
        )
    keep(context, "picture.png", picture)
    keep(context, "overlay.png", overlay)
    return InstancesQuestion(
        title="Look through the objects",
        text="Rename, merge, or leave out.",
        picture="picture.png",
        overlay="overlay.png",
        instances=rows,
    )


def keep(context: Context, name: str, pixels: Any, lost: bool = False) -> None:
    if lost:
        return
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    context.keep(name, stream.getvalue())
