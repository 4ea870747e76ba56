"""A pipeline for tests that takes its time in steps: it shows how far it is, keeps checkpoints, and can end early.

Each result has a warning that tells how many steps were done for it.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from box_pipeline import CORNERS, FACES
from pydantic import Field

from backend.pipelines.base import Context, Parameters, PipelineInfo, Stage
from backend.scene import Mesh, Prop, Scene
from backend.shot import Shot


class LongParameters(Parameters):
    steps: int = Field(40, ge=1, le=100_000, title="Steps", json_schema_extra={"prominent": True, "group": "making"})
    pause: float = Field(0.02, ge=0, le=10, title="Pause", json_schema_extra={"group": "computing"})
    slots: int = Field(1, ge=1, le=3, title="Slots", json_schema_extra={"group": "computing"})
    side: int = Field(96, ge=8, le=512, title="Side", json_schema_extra={"group": "computing"})


LONG = PipelineInfo(
    id="test-long",
    version="1",
    title="Long",
    description="Step by step.",
    entry="long_pipeline:run",
    parameters=LongParameters,
    stages=(Stage("optimise", 9), Stage("export", 1)),
    finishes_early=True,
    checkpoints=True,
)
PIPELINES = (LONG,)


def run(shot: Shot, parameters: LongParameters, context: Context) -> Scene:
    found = context.checkpoints.latest()
    done = 0 if found is None else int(json.loads((found.folder / "state.json").read_text())["done"])
    with context.stage("optimise"):
        while done < parameters.steps and not context.finish_wanted:
            time.sleep(parameters.pause)
            done += 1
            context.progress(done / parameters.steps, f"Step {done} of {parameters.steps}")
            for slot in range(parameters.slots):
                context.preview(f"view-{slot}", picture(done, slot, parameters.side), f"Step {done}")
            context.checkpoints.save(done, lambda folder, done=done: write(folder, done))
    with context.stage("export"):
        names = shot.instances.names.items()
        props = [Prop(each, name, Mesh(CORNERS, FACES), np.eye(4), "assumed") for each, name in names]
    context.warn("steps", f"{done} steps were done.")
    return Scene(props)


def write(folder: Path, done: int) -> None:
    (folder / "state.json").write_text(json.dumps({"done": done}))


def picture(done: int, slot: int, side: int) -> np.ndarray:
    """A bar that grows, on a ground of the slot's colour."""
    pixels = np.full((side, side, 3), (40, 60 + 60 * slot, 90), np.uint8)
    pixels[side // 3 : 2 * side // 3, : 1 + done % side] = (240, 200, 60)
    return pixels
