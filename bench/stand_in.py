"""Methods that only take their time, for benchmarks of jobs: SET_DRESSER_PLUGINS=bench.stand_in."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from backend.pipelines.base import Parameters, PipelineInfo, Stage
from backend.pipelines.context import Context
from backend.questions import Choice, ChooseQuestion
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot
from bench import pictures

LOOK_SECONDS = 0.1
STEP_SECONDS = 0.2
CANDIDATES = ("one.png", "two.png")


class StandInParameters(Parameters):
    seconds: float = Field(1.0, ge=0, le=3600, title="Seconds", description="How long it takes.")


class StepsParameters(StandInParameters):
    asks: bool = Field(False, title="Asks", description="Ask which of two pictures to go on with.")


def run(shot: Shot, parameters: StandInParameters, context: Context) -> Scene:
    """Sleep, and return a tetrahedron for each object."""
    end = time.monotonic() + parameters.seconds
    with context.stage("sleep"):
        while (left := end - time.monotonic()) > 0:
            context.progress(1 - left / parameters.seconds)
            time.sleep(min(left, LOOK_SECONDS))
    return tetrahedra(shot)


def run_in_steps(shot: Shot, parameters: StepsParameters, context: Context) -> Scene:
    """Sleep step by step, with all that long methods do: a question, previews, checkpoints, an early end."""
    with context.stage("ask"):
        if parameters.asks:
            for number, name in enumerate(CANDIDATES):
                if context.recall(name) is None:
                    context.keep(name, pictures.png(shade(number / 2)))
            choices = [Choice(file=name, label=name) for name in CANDIDATES]
            context.ask(ChooseQuestion(title="Which one?", choices=choices, default=[0]))
    with context.stage("sleep"):
        steps = max(1, round(parameters.seconds / STEP_SECONDS))
        found = context.checkpoints.latest()
        step = found.step if found else 0
        while step < steps and not context.finish_wanted:
            time.sleep(STEP_SECONDS)
            step += 1
            context.checkpoints.save(step, partial(note, step=step))
            context.preview("sleep", shade(step / steps), f"Step {step}")
            context.progress(step / steps)
    return tetrahedra(shot)


def note(folder: Path, step: int) -> None:
    (folder / "step.txt").write_text(f"{step}\n", encoding="ascii")


def shade(share: float) -> NDArray[np.uint8]:
    """64×64×3, the lighter the further."""
    return np.full((64, 64, 3), round(255 * min(share, 1.0)), np.uint8)


def tetrahedra(shot: Shot) -> Scene:
    """One for each object."""
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
    ),
    PipelineInfo(
        id="stand-in-steps",
        version="1",
        title="Stand-In, Step by Step",
        description="Takes its time as a long method does: asks, shows, keeps checkpoints.",
        entry="bench.stand_in:run_in_steps",
        parameters=StepsParameters,
        stages=(Stage("ask", 1), Stage("sleep", 97), Stage("export", 2)),
        finishes_early=True,
        checkpoints=True,
    ),
]
STAND_IN, STEP_BY_STEP = (info.id for info in PIPELINES)
