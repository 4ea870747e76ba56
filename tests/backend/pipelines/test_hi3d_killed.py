"""A job of Hi3D that is killed with -9 in every one of its stages, one time after the other, does nothing twice."""

from __future__ import annotations

import gc
import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from backend.contract import Progress, Result, Warning  # noqa: E402
from backend.jobs.run import run_job  # noqa: E402
from backend.pipelines import ending  # noqa: E402
from backend.pipelines.hi3d import HI3D, keeping, run, surfaces  # noqa: E402
from models.hi3d import denoising  # noqa: E402
from tests.backend.hi3d_shots import FAST, job_of  # noqa: E402
from tests.backend.instantmesh_shots import nobody  # noqa: E402

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies of the process are killed")

PARAMETERS = FAST.model_copy(update={"orbit_video": True})
PATIENCE_SECONDS = 200

COUNTED = (
    (denoising, "both_halves", 2 * FAST.steps),
    (surfaces, "_cover", 6),
    (run, "surfaced", 1),
    (ending, "clean", 1),
    (run, "coloured", 1),
)
"""Functions that do the work of a stage, and how often they are called in a run."""

DEATHS: tuple[tuple[str, int], ...] = (
    ("frame", 0),
    ("orbit", 4),  # after the first step
    ("orbit", 3),  # the second step is done, the views are being drawn
    ("refine", 15),  # encoded twice, and the first step is done
    ("refine", 3),
    ("surface", 3),  # views are being cut out
    ("clean", 0),
    ("texture", 0),
    ("place", 0),
    ("video", 0),
    ("export", 0),
)
"""In which stage an attempt dies, and at which of its reports there, counted from 0."""


def attempt(folder: Path, report: Callable[[Progress | Warning], None] = lambda news: None) -> Result:
    return run_job("job", folder, report, lambda: False, nobody)


def die(folder: Path, stage: str, at: int) -> None:
    """Run the job in this process and kill it in a stage."""
    reports = Counter[str]()

    def report(news: Progress | Warning) -> None:
        if isinstance(news, Progress):
            if news.stage == stage and reports[stage] == at:
                os.kill(os.getpid(), signal.SIGKILL)
            reports[news.stage] += 1

    attempt(folder, report)


def killed(folder: Path, stage: str, at: int) -> int:
    """The same in a copy of this process; how that ended."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(PATIENCE_SECONDS)
        try:
            die(folder, stage, at)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.usefixtures("hi3d_models")
def test_killed_in_every_stage_nothing_is_done_twice_and_the_mesh_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attempt(job_of(tmp_path / "whole", PARAMETERS))
    log = tmp_path / "calls.log"

    def counted(function: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        done = function(*arguments, **options)
        with log.open("a") as file:  # outlives its process
            file.write(f"{name}\n")
        return done

    for module, name, _ in COUNTED:
        monkeypatch.setattr(module, name, partial(counted, getattr(module, name), name))
    monkeypatch.setattr(keeping, "SECONDS", 0.0)
    gc.freeze()
    folder = job_of(tmp_path / "killed", PARAMETERS)
    for stage, at in DEATHS:
        assert killed(folder, stage, at) == -signal.SIGKILL, stage
    monkeypatch.setattr(run, "painted", partial(counted, run.painted, "painted"))
    result = attempt(folder)
    calls = Counter(log.read_text().split())
    cut_twice = calls.pop("_cover") - 6
    assert cut_twice <= 6, "views that were being cut out when the process died"
    assert calls.pop("painted") == 2, "which recalls"
    assert calls == {name: times for _, name, times in COUNTED if name != "_cover"}
    assert {stage.name for stage in HI3D.stages} == {"review", *(stage for stage, _ in DEATHS)}
    glb = [(tmp_path / name / "output" / "scene.glb").read_bytes() for name in ("whole", "killed")]
    assert glb[0] == glb[1]
    assert result.props == whole.props
