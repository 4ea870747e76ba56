"""Pipelines and a preparation for tests, each with a habit: SET_DRESSER_PLUGINS=tests.backend.jobs.fake_pipelines."""

from dataclasses import replace

from pydantic import Field

from backend.pipelines.base import Parameters, PipelineInfo, Stage
from backend.preparations.base import PreparationInfo


class FakeParameters(Parameters):
    """`gate`: a file; the pipeline works on until it exists."""

    gate: str = Field("", title="Gate", description="Path of a file to wait for.")
    steps: int = Field(3, title="Steps", description="Progress reports before the end.", ge=0, le=10000)
    how: str = Field("", title="How", description="Which variant.")


def _fake(name: str) -> PipelineInfo:
    return PipelineInfo(
        id=name,
        version="1",
        title=name.capitalize(),
        description="For tests.",
        entry=f"tests.backend.jobs.fake_runs:{name}",
        parameters=FakeParameters,
        stages=(Stage("begin", 1), Stage("work", 3), Stage("export", 1)),
        images=(1, 2),
    )


NAMES = ("steady", "deaf", "crashing", "raising", "asking", "noisy", "revealing")
PIPELINES = [
    *(_fake(name) for name in NAMES),
    replace(_fake("steady"), id="pairs", title="Pairs", images=(2, 2)),
]
PREPARATIONS = [
    PreparationInfo(
        id="halves",
        version="3",
        title="Halves",
        description="For tests.",
        entry="tests.backend.jobs.fake_runs:halves",
        parameters=FakeParameters,
        stages=(Stage("halve", 2),),
        finds_instances=True,
    ),
    PreparationInfo(
        id="drawn",
        version="1",
        title="Drawn",
        description="For tests.",
        entry="tests.backend.jobs.fake_runs:drawn",
        parameters=FakeParameters,
        stages=(Stage("draw", 2),),
        makes_picture=True,
    ),
]
