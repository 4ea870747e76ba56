"""A stand-in for an optimisation that takes hours: SET_DRESSER_PLUGINS=tests.backend.jobs.long_pipeline.

A ball grows bumps, step by step. What is drawn by chance depends on the seed and the step alone.
"""

from __future__ import annotations

from pydantic import Field

from backend.pipelines.base import Parameters, PipelineInfo, Stage

EVERY = 20
"""Steps between two checkpoints."""


class LongParameters(Parameters):
    steps: int = Field(300, ge=1, le=100_000, title="Steps", description="How many steps it takes.")
    seconds: float = Field(0.0, ge=0, le=10, title="Seconds", description="How long a step takes.")
    journal: str = Field("", title="Journal", description="Path of a file that gets a line for each step.")
    pause: int = Field(0, ge=0, title="Pause", description="After so many steps it waits for an early end.")
    die: int = Field(0, ge=0, title="Die", description="Before this step its process ends.")


LONG = PipelineInfo(
    id="long",
    version="1",
    title="Long",
    description="For tests.",
    entry="tests.backend.jobs.long_run:run",
    parameters=LongParameters,
    stages=(Stage("begin", 1), Stage("optimise", 98), Stage("export", 1)),
    finishes_early=True,
    checkpoints=True,
)
HASTY = PipelineInfo(
    id="hasty",
    version="1",
    title="Hasty",
    description="Neither ends early nor keeps anything.",
    entry="tests.backend.jobs.long_run:run_hastily",
    parameters=LongParameters,
    stages=(Stage("wait", 1),),
)
PIPELINES = [LONG, HASTY]
