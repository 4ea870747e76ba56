"""Preparations for tests, one of each kind, of which the add-on knows nothing but what the backend describes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from asking_pipeline import AskingParameters, candidates
from pydantic import BaseModel, Field

from backend.imaging.intake import shot_of
from backend.pipelines.base import Context, Parameters, Stage, control
from backend.preparations.base import PreparationInfo, Prepared
from backend.shot import InstanceMap, Shot


class Frame(BaseModel):
    left: float
    top: float
    right: float
    bottom: float
    name: str = ""


class Tint(BaseModel):
    red: float = Field(1.0, ge=0, le=2, title="Red")
    lamps: list[str] = Field(default_factory=lambda: ["left"], title="Lamps")


class DrawParameters(Parameters):
    said: str = Field("", title="Said", json_schema_extra=control("sentence", wanted=True))
    colours: list[str] = Field(default_factory=list, title="Colours")
    ask: bool = Field(True, title="Ask")


class FrameParameters(Parameters):
    things: list[str] = Field(default_factory=list, title="Things", json_schema_extra=control("words", wanted=True))
    frames: list[Frame] = Field(default_factory=list, title="Frames", json_schema_extra=control("boxes", wanted=True))
    edge: int = Field(0, ge=0, title="Edge")


class TintParameters(Parameters):
    tint: Tint = Field(default_factory=Tint, title="Tint")
    levels: list[float] = Field(default_factory=lambda: [0.5], title="Levels")
    pair: tuple[float, float] = Field((0.25, 0.75), title="Pair")
    table: dict[str, int] = Field(default_factory=dict, title="Table")
    perhaps: int | None = Field(None, title="Perhaps")


class FogParameters(Parameters):
    amount: float = Field(0.5, title="Amount")


def _info(name: str, title: str, parameters: type[Parameters], **more: bool) -> PreparationInfo:
    stages = (Stage("work", 1),)
    return PreparationInfo(
        id=f"test-{name}",
        version="1",
        title=title,
        description="For tests.",
        entry=f"prepared_pipeline:{name}",
        parameters=parameters,
        stages=stages,
        **more,
    )


PREPARATIONS = (
    _info("draw", "Drawn by Hand", DrawParameters, makes_picture=True, chance=True),
    _info("frame", "Framed", FrameParameters, finds_instances=True),
    _info("tint", "Tinted", TintParameters),
    _info("fog", "Foggy", FogParameters, needs_depth=True),
)


def draw(shot: Shot, parameters: DrawParameters, context: Context) -> Prepared:
    """A red square on nothing, after a question."""
    with context.stage("work"):
        if parameters.ask:
            context.ask(candidates(AskingParameters(candidates=2), context))
        picture = np.zeros((48, 64, 4), np.uint8)
        picture[12:36, 20:44] = (200, 30, 20, 255)
    return Prepared(shot_of(picture), name=parameters.said)


def frame(shot: Shot, parameters: FrameParameters, context: Context) -> Prepared:
    """An object in each frame."""
    labels = np.zeros(shot.image.shape[:2], np.uint16)
    with context.stage("work"):
        for number, each in enumerate(parameters.frames, 1):
            labels[int(each.top) : int(each.bottom), int(each.left) : int(each.right)] = number
    names = {number: each.name for number, each in enumerate(parameters.frames, 1)}
    return Prepared(replace(shot, instances=InstanceMap(labels, names), instance_source="found"))


def tint(shot: Shot, parameters: TintParameters, context: Context) -> Prepared:
    with context.stage("work"):
        return Prepared(shot)


def fog(shot: Shot, parameters: FogParameters, context: Context) -> Prepared:
    with context.stage("work"):
        return Prepared(shot, {"depth": shot.depth is not None})
