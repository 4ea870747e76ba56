"""A pipeline for tests: a box per instance, as slowly, as brokenly and with as many kinds of parameters as asked.

It runs in the real backend, loaded by SET_DRESSER_PLUGINS.
"""

from __future__ import annotations

import os
import time
from typing import Literal

import numpy as np
from pydantic import Field

from backend.errors import Problem
from backend.pipelines.base import Context, Parameters, PipelineInfo, Stage
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot

CORNERS = np.array([(x, y, z) for z in (0, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))], dtype=float)
QUADS = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
FACES = np.array([triangle for a, b, c, d in QUADS for triangle in ((a, b, c), (a, c, d))])


class BoxParameters(Parameters):
    seconds: float = Field(0.0, ge=0, le=600, title="Seconds", description="How long it takes.")
    size: float = Field(0.5, gt=0, lt=10, title="Size", description="Half the width.")
    count: int = Field(1, ge=1, le=5, title="Count")
    lid: bool = Field(False, title="Lid")
    style: Literal["plain", "tall"] = Field("plain", title="Style")
    end: Literal["well", "problem", "crash"] = Field("well", title="End")
    name: str = Field("", max_length=20, title="Name")
    places: list[float] = Field(default_factory=list)


BOX = PipelineInfo(
    id="test-box",
    version="1",
    title="Box",
    description="A box for each.",
    entry="box_pipeline:run",
    parameters=BoxParameters,
    stages=(Stage("surface", 8), Stage("place", 1), Stage("export", 1)),
)
PIPELINES = (BOX,)


def run(shot: Shot, parameters: BoxParameters, context: Context) -> Scene:
    with context.stage("surface"):
        until = time.monotonic() + parameters.seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(0.02)
            context.progress(1 - left / parameters.seconds)
        if parameters.end == "crash":
            os._exit(7)
        if parameters.end == "problem":
            raise Problem("geometry-failed", "The box would not close.", "Use another box.")
    with context.stage("place"):
        scale = np.array([parameters.size, parameters.size, 2.0 if parameters.style == "tall" else 1.0])
        props = []
        for number, (instance, name) in enumerate(shot.instances.names.items()):
            place = np.eye(4)
            place[0, 3] = 3.0 * number
            mesh = Mesh(vertices=CORNERS * scale, faces=FACES)
            props.append(Prop(instance, name, mesh, place, "assumed"))
    return Scene(props)
