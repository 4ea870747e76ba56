"""Pipelines for tests of the view picker and of props made with several pipelines.

`test-views` asks which views it should use, as often as views are made anew, and makes boxes then. `test-planks` and
`test-turned` make the same planks in the world, in frames that are turned against each other.
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from box_pipeline import CORNERS, FACES, BoxParameters
from box_pipeline import run as make_boxes
from PIL import Image, ImageDraw
from pydantic import Field

from backend.pipelines.base import Context, PipelineInfo, Stage
from backend.questions import ViewChoice, ViewPhoto, ViewSlot, ViewsQuestion
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot

COLORS = ((205, 92, 70), (70, 130, 190), (110, 165, 90), (170, 120, 190))
AZIMUTHS, ELEVATIONS = (30, 90, 150, 210, 270, 330), (20, -10)
APART = 40.0
"""Degrees from one photo to the next."""


class ViewsParameters(BoxParameters):
    photos: int = Field(2, ge=1, le=8, description="Photos that are made up.")
    slots: int = Field(6, ge=1, le=6)
    true_cameras: bool = True
    side: int = Field(64, ge=32, le=1024, description="Of the pictures, in pixels.")
    same_names: bool = Field(False, description="Views that are made anew have the names of the former ones.")


class PlanksParameters(BoxParameters):
    turn: float = Field(0.0, description="Degrees that each prop's own axes are turned against the world.")


VIEWS = PipelineInfo(
    id="test-views",
    version="1",
    title="Views",
    description="Asks for views.",
    entry="views_pipeline:run",
    parameters=ViewsParameters,
    stages=(Stage("views", 1), Stage("surface", 8), Stage("place", 1), Stage("export", 1)),
)
PLANKS, TURNED = (
    PipelineInfo(
        id=name,
        version="1",
        title=name.removeprefix("test-").capitalize(),
        description="Makes planks.",
        entry=f"views_pipeline:{entry}",
        parameters=PlanksParameters,
        stages=(Stage("place", 1), Stage("export", 1)),
    )
    for name, entry in (("test-planks", "planks"), ("test-turned", "turned"))
)
PIPELINES = (VIEWS, PLANKS, TURNED)


def run(shot: Shot, parameters: ViewsParameters, context: Context) -> Scene:
    answers: list[dict[str, Any]] = []
    seeds = [context.seed] * parameters.photos
    with context.stage("views"):
        while not answers or "chosen" not in answers[-1]:
            answers.append(context.ask(question(parameters, context, seeds)))
            anew = answers[-1].get("regenerate")
            if anew is not None:
                former = seeds[anew["photo"]]
                seeds[anew["photo"]] = former + 1 if anew.get("seed") is None else anew["seed"]
    context.warn("answers", json.dumps(answers))
    return make_boxes(shot, parameters, context)


def question(parameters: ViewsParameters, context: Context, seeds: list[int]) -> ViewsQuestion:
    photos, choices = [], []
    for number, seed in enumerate(seeds):
        name = f"photo-{number}.png"
        keep(context, name, parameters.side, number, None, 0)
        azimuth = APART * number
        photos.append(ViewPhoto(name=f"Photo {number + 1}", file=name, seed=seed, azimuth=azimuth, known=number != 1))
        for view, turn in enumerate(AZIMUTHS):
            file = f"view-{number}-{view}.png" if parameters.same_names else f"view-{number}-{seed}-{view}.png"
            keep(context, file, parameters.side, number, view, seed)
            choices.append(
                ViewChoice(
                    file=file,
                    label=f"Photo {number + 1}, view {view + 1}",
                    photo=number,
                    view=view,
                    azimuth=(azimuth + turn) % 360,
                    elevation=ELEVATIONS[view % 2],
                )
            )
    slots = [ViewSlot(azimuth=AZIMUTHS[slot], elevation=ELEVATIONS[slot % 2]) for slot in range(parameters.slots)]
    return ViewsQuestion(
        title="Pick the views",
        text="One prop is made of them.",
        choices=choices,
        photos=photos,
        slots=slots,
        default=list(range(parameters.slots)),
        true_cameras=parameters.true_cameras,
    )


def keep(context: Context, name: str, side: int, photo: int, view: int | None, seed: int) -> None:
    """A chair seen from its side: legs, a seat, and a back that goes round with the view."""
    picture = Image.new("RGB", (side, side), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    turn = np.radians(AZIMUTHS[view] if view is not None else 0)
    color = tuple(min(255, channel + 9 * (seed % 5)) for channel in COLORS[photo % len(COLORS)])
    dark = tuple(channel * 2 // 3 for channel in color)
    middle, half = side / 2, side * 0.26
    for leg in range(4):
        across = middle + half * np.sin(turn + np.pi / 4 + leg * np.pi / 2)
        draw.rectangle((across - side / 40, side * 0.55, across + side / 40, side * 0.9), fill=dark)
    back = middle + half * np.sin(turn)
    width = max(side / 30, half * abs(np.cos(turn)))
    draw.rectangle((back - width, side * 0.12, back + width, side * 0.55), fill=dark)
    draw.rectangle((middle - half, side * 0.5, middle + half, side * 0.6), fill=color)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    context.keep(name, stream.getvalue())


def planks(shot: Shot, parameters: PlanksParameters, context: Context) -> Scene:
    with context.stage("place"):
        turn = np.radians(parameters.turn)
        cosine, sine = np.cos(turn), np.sin(turn)
        props = []
        for instance, name in shot.instances.names.items():
            place = np.eye(4)
            place[:2, :2] = (cosine, -sine), (sine, cosine)
            place[:3, 3] = 3.0 * instance, 0.5 * instance, 0.25
            vertices = CORNERS * (1.0, 0.25, 0.5 * instance) @ place[:3, :3]
            props.append(Prop(instance, name, Mesh(vertices=vertices, faces=FACES), place, "assumed"))
    return Scene(props)


def turned(shot: Shot, parameters: PlanksParameters, context: Context) -> Scene:
    return planks(shot, parameters.model_copy(update={"turn": parameters.turn + 110.0}), context)
