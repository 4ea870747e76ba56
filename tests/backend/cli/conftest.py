"""The command line over a real job service, with small pipelines that run in this process."""

from __future__ import annotations

import _thread
import functools
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from pydantic import Field

import backend.jobs.service
import backend.pipelines
from backend.errors import Problem
from backend.jobs.executor import OneSlot, Report, WorkerState
from backend.jobs.run import run_job
from backend.jobs.service import JobService
from backend.pipelines.base import Parameters, PipelineInfo, Stage
from backend.pipelines.context import Context
from backend.scene import Scene
from backend.shot import Shot
from tests.backend.shapes import ball, standing

DEADLINE_SECONDS = 30.0


class BallParameters(Parameters):
    size: float = Field(0.5, ge=0.1, le=10, description="Radius, 50 % of a metre.")
    colour_count: int = Field(3, ge=1, le=9, description="Colours.")
    shape: Literal["round", "flat"] = Field("round", description="Form.")


def balls(shot: Shot, parameters: BallParameters, context: Context) -> Scene:
    """A ball per instance."""
    with context.stage("roll"):
        context.warn("round", "The ball is round.", "Take a box.")
        names = shot.instances.names
        return Scene([standing(ball(parameters.size), key, name, (0, 5, 0)) for key, name in names.items()])


def refuses(shot: Shot, parameters: BallParameters, context: Context) -> Scene:
    raise Problem("background-unclear", "The object is as grey as the wall.")


def breaks(shot: Shot, parameters: BallParameters, context: Context) -> Scene:
    raise Problem("out-of-memory", "The memory was not enough.")


def asks(shot: Shot, parameters: BallParameters, context: Context) -> Scene:
    context.ask({"which": "one"})
    raise AssertionError("nobody can have answered")


def interrupted(shot: Shot, parameters: BallParameters, context: Context) -> Scene:
    """The user presses Ctrl-C as soon as it runs; it ends when it is cancelled."""
    _thread.interrupt_main()
    with context.stage("roll"):
        for _ in range(int(DEADLINE_SECONDS / 0.01)):
            context.check()
            threading.Event().wait(0.01)
    raise AssertionError("the job was never cancelled")


RUNS = {run.__name__: run for run in (balls, refuses, breaks, asks, interrupted)}


class Here(OneSlot):
    """An executor that runs jobs in the queue's thread."""

    state = WorkerState.READY
    cooling = None

    def __init__(self, log: Path) -> None:
        self._asked: Callable[[Report], None] | None = None

    def run(
        self,
        job: str,
        folder: Path,
        report: Callable[[Report], None],
        cancelled: Callable[[], bool],
        too_many: Callable[[], bool],
        finishing: Callable[[], bool],
    ) -> bool:
        def answer(question: dict[str, Any]) -> dict[str, Any]:
            report(Report("question", question))
            for _ in range(int(DEADLINE_SECONDS / 0.01)):
                if cancelled():
                    raise backend.pipelines.context.Cancelled
                threading.Event().wait(0.01)
            raise AssertionError("the question was never withdrawn")

        def told(said: Any) -> None:
            report(Report(type(said).__name__.lower(), said.model_dump()))

        return run_job(job, folder, told, cancelled, answer, finishing).finished_early

    def warm(self) -> None: ...

    def nudge(self) -> None: ...

    def answer(self, job: str, answer: dict[str, Any]) -> None: ...

    def rest(self) -> None: ...

    def stop(self) -> None: ...


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of a command line whose pipelines are the functions above."""
    for name in RUNS:
        info = PipelineInfo(
            name, "3", name.title(), f"{name}.", f"{__name__}:{name}", BallParameters,
            (Stage("roll", 1), Stage("export", 1)),
        )  # fmt: skip
        object.__setattr__(info, "load", functools.partial(RUNS.__getitem__, name))
        monkeypatch.setitem(backend.pipelines.PIPELINES, name, info)
    service = functools.partial(JobService, executor=Here)
    monkeypatch.setattr(backend.jobs.service, "JobService", service)
    monkeypatch.setenv("SET_DRESSER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A cut-out picture of 80x60."""
    pixels = np.zeros((60, 80, 4), dtype=np.uint8)
    pixels[20:40, 30:50] = (200, 100, 50, 255)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def instance_map(tmp_path: Path) -> Path:
    """Two objects, grey values 1 and 2."""
    labels = np.zeros((60, 80), dtype=np.uint8)
    labels[20:40, 20:30], labels[20:40, 50:60] = 1, 2
    path = tmp_path / "map.png"
    Image.fromarray(labels).save(path)
    return path


class Terminal(io.StringIO):
    """A standard error that is a screen."""

    def isatty(self) -> bool:
        return True
