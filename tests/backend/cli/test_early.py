"""Ctrl-C ends a job early where its method can do that; `continue` goes on with it later."""

from __future__ import annotations

import _thread
import functools
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import backend.pipelines
from backend.cli import delivery, main
from backend.contract import JobState, JobView, Result
from backend.jobs.service import JobService
from backend.pipelines.context import Context
from backend.shot import Shot
from tests.backend.jobs.long_pipeline import LONG
from tests.backend.waiting import until

ROOT = Path(__file__).resolve().parents[3]

followed = threading.Event()
"""Somebody has heard of the job."""


def stubborn(shot: Shot, parameters: Any, context: Context) -> Any:
    """Is told to end early, does not, and is told once more."""
    with context.stage("begin"):
        assert followed.wait(20)
        _thread.interrupt_main()
        until(context.finishing, "the wish for an early end")
        _thread.interrupt_main()
        for _ in range(3000):
            context.check()
            threading.Event().wait(0.01)
    raise AssertionError("the job was never cancelled")


@pytest.fixture(autouse=True)
def _pipelines(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend.pipelines.PIPELINES, "long", LONG)
    never = replace(LONG, id="stubborn")
    object.__setattr__(never, "load", functools.partial({"stubborn": stubborn}.__getitem__, "stubborn"))
    monkeypatch.setitem(backend.pipelines.PIPELINES, "stubborn", never)


def jobs_in(home: Path) -> list[JobView]:
    service = JobService(home)
    try:
        return service.list()
    finally:
        service.stop()


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_first_interruption_ends_early_and_continue_goes_on(
    home: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, out = tmp_path / "journal", tmp_path / "out"

    def interrupt() -> None:
        until(lambda: journal.exists() and len(journal.read_text().splitlines()) == 120, "step 120")
        _thread.interrupt_main()

    presser = threading.Thread(target=interrupt)
    presser.start()
    long = ("generate", "--pipeline", "long", "--image", picture)
    status = run(*long, "--pause", 120, "--journal", journal, "--out", out)
    presser.join()
    told = capsys.readouterr()
    assert status == 0, told.err
    early = Result.model_validate_json((out / "result.json").read_bytes())
    assert early.finished_early
    assert "Ending early" in told.err and "preview-shape.png" in told.err
    assert f"continue {early.job} --out {out}\n" in told.out
    assert run("jobs") == 0
    assert "done, ended early, can be continued" in capsys.readouterr().out

    assert run("continue", early.job, "--out", out) == 0
    ended = Result.model_validate_json((out / "result.json").read_bytes())
    assert (ended.job, ended.finished_early) == (early.job, False)
    assert len(journal.read_text().splitlines()) == 300, "no step was done twice"
    assert run(*long, "--out", tmp_path / "undisturbed") == 0
    assert (out / "scene.glb").read_bytes() == (tmp_path / "undisturbed" / "scene.glb").read_bytes()
    capsys.readouterr()
    assert run("continue", early.job, "--out", out) == 1
    assert capsys.readouterr().err.splitlines()[0] == "The job has come to its end."


def test_another_process_ends_it_early(
    home: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, out, said = tmp_path / "journal", tmp_path / "out", []
    environment = {**os.environ, "SET_DRESSER_PLUGINS": "tests.backend.jobs.long_pipeline"}

    def finish() -> None:
        until(lambda: journal.exists() and len(journal.read_text().splitlines()) == 120, "step 120")
        (view,) = jobs_in(home)
        command = [sys.executable, "-m", "backend", "finish", view.id]
        said.append(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60))

    other = threading.Thread(target=finish)
    other.start()
    long = ("generate", "--pipeline", "long", "--image", picture, "--out", out)
    status = run(*long, "--pause", 120, "--journal", journal)
    other.join()
    assert status == 0 and said[0].returncode == 0, said[0].stderr
    assert "ends early" in said[0].stdout
    early = Result.model_validate_json((out / "result.json").read_bytes())
    assert early.finished_early and len(journal.read_text().splitlines()) == 120
    capsys.readouterr()
    assert run("finish", early.job) == 1
    assert capsys.readouterr().err.startswith("The job is done, so there is nothing to end early.")
    assert run("finish", "0" * 24) == 1
    assert capsys.readouterr().err.startswith("There is no job")


def test_the_second_interruption_cancels(
    home: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.clear()
    monkeypatch.setattr(delivery, "_show", lambda event, bar: followed.set())
    assert run("generate", "--pipeline", "stubborn", "--image", picture, "--out", tmp_path / "out") == 130
    assert [view.state for view in jobs_in(home)] == [JobState.CANCELLED]
