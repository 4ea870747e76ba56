"""A method that only takes its time, for `bench.jobs` and `bench.cluster`: SET_DRESSER_PLUGINS=bench.stand_in."""

from __future__ import annotations

import time

import numpy as np
from pydantic import Field

from backend.pipelines.base import Parameters, PipelineInfo, Stage
from backend.pipelines.context import Context
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot

LOOK_SECONDS = 0.1


class StandInParameters(Parameters):
    seconds: float = Field(1.0, ge=0, le=3600, title="Seconds", description="How long it takes.")


def run(shot: Shot, parameters: StandInParameters, context: Context) -> Scene:
    """Sleep, and return a tetrahedron for each object."""
    end = time.monotonic() + parameters.seconds
    with context.stage("sleep"):
        while (left := end - time.monotonic()) > 0:
            context.progress(1 - left / parameters.seconds)
            time.sleep(min(left, LOOK_SECONDS))
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    names = shot.instances.names.items()
    return Scene([Prop(key, name or "Object", Mesh(vertices, faces), np.eye(4), "assumed") for key, name in names])


PIPELINES = [
    PipelineInfo(
        id="stand-in",
        version="1",
        title="Stand-In",
        description="Takes its time, and makes next to nothing.",
        entry="bench.stand_in:run",
        parameters=StandInParameters,
        stages=(Stage("sleep", 98), Stage("export", 2)),
    )
]
