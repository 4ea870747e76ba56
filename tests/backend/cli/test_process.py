"""`python -m backend generate` as a process of its own, with a worker process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trimesh

from backend.contract import JobState, JobView
from backend.jobs.service import JobService
from tests.backend.waiting import is_gone, until

ROOT = Path(__file__).parents[3]
PLUGINS = "tests.backend.jobs.fake_pipelines"
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console only")


@contextmanager
def started(home: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The command line at work; killed at the end if it still is."""
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "SET_DRESSER_HOME": str(home), "SET_DRESSER_PLUGINS": PLUGINS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream
            stream.close()


def jobs_in(home: Path) -> list[JobView]:
    service = JobService(home)
    try:
        return service.list()
    finally:
        service.stop()


def worker_of_running_job(home: Path) -> int:
    """The process id of the worker, which the fake pipelines report when they start."""
    service = JobService(home)

    def reported() -> str:
        told = [event.data.get("message", "") for view in service.list() for event in service.recent_events(view.id)[0]]
        return next((message for message in told if message.startswith("pid ")), "")

    try:
        return int(until(reported, "the job's start", 60).removeprefix("pid "))
    finally:
        service.stop()


def test_the_process_writes_the_result_and_ends_its_worker(tmp_path: Path, picture: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "a folder with spaces"
    command = ("generate", "--pipeline", "steady", "--image", picture, "--out", out, "--name", "Tetra")
    with started(home, *command) as process:
        printed, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert complaints == "" and "Tetra" in printed
    assert trimesh.load_scene(out / "scene.glb").graph.nodes_geometry == ["Tetra"]
    assert [(view.name, view.state) for view in jobs_in(home)] == [("Tetra", JobState.DONE)]


def test_a_missing_file_is_two_lines_and_status_2(tmp_path: Path) -> None:
    command = ("generate", "--pipeline", "inflate", "--image", tmp_path / "no.png", "--out", tmp_path / "out")
    with started(tmp_path / "home", *command) as process:
        printed, complaints = process.communicate(timeout=60)
    assert (process.returncode, printed) == (2, "")
    assert len(complaints.splitlines()) == 2 and "no.png" in complaints and "Traceback" not in complaints


def test_a_reader_that_leaves_early_is_no_crash(tmp_path: Path) -> None:
    with started(tmp_path / "home", "pipelines") as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        complaints = process.stderr.read()
        process.wait(60)
    assert (process.returncode, complaints) == (1, "")


@needs_signals
def test_control_c_cancels_the_job_and_ends_the_worker(tmp_path: Path, picture: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    command = ("generate", "--pipeline", "steady", "--gate", tmp_path / "never", "--image", picture, "--out", out)
    with started(home, *command) as process:
        worker = worker_of_running_job(home)
        process.send_signal(signal.SIGINT)
        printed, complaints = process.communicate(timeout=30)
    assert (process.returncode, printed, complaints.splitlines()[:1]) == (130, "", ["Interrupted."])
    assert len(complaints.splitlines()) == 2
    assert is_gone(worker)
    assert [view.state for view in jobs_in(home)] == [JobState.CANCELLED]
    assert list(out.iterdir()) == []


@needs_signals
def test_a_killed_command_line_leaves_no_worker(tmp_path: Path, picture: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    command = ("generate", "--pipeline", "deaf", "--gate", tmp_path / "never", "--image", picture, "--out", out)
    with started(home, *command) as process:
        worker = worker_of_running_job(home)
        process.kill()
        process.wait(10)
        until(lambda: is_gone(worker), "the worker's end", 5)
    assert list(out.iterdir()) == []
