"""Memory is given back when somebody else wants it, and never taken from a job."""

from __future__ import annotations

from pathlib import Path

from tests.backend.server.running_server import RunningServer
from tests.backend.waiting import is_gone, until


def worker(server: RunningServer) -> str:
    return str(server.client.get("/health").json()["worker"])


def rest(server: RunningServer) -> bool:
    answer = server.client.post("/rest")
    assert answer.status_code == 202, answer.text
    return bool(answer.json()["resting"])


def test_an_idle_worker_leaves_when_told_and_the_next_job_has_another(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        job = server.submit()["id"]
        first = server.worker_of(job)
        server.wait(job, "done")
        until(lambda: server.client.get("/health").json()["running"] is None, "the job's end")
        assert rest(server)
        until(lambda: is_gone(first), "the worker's end")
        assert worker(server) == "asleep"
        assert rest(server), "resting twice is no error"
        assert worker(server) == "asleep"
        job = server.submit()["id"]
        assert server.worker_of(job) != first
        assert server.wait(job)["state"] == "done"


def test_a_worker_that_is_just_starting_leaves_too(tmp_path: Path) -> None:
    """The server warms one as it starts; resting counts for that one."""
    with RunningServer(tmp_path / "data") as server:
        assert rest(server)
        until(lambda: worker(server) == "asleep", "the worker falling asleep")


def test_a_job_that_runs_or_waits_keeps_its_worker(tmp_path: Path, gate: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        running = server.submit("deaf", gate=str(gate))["id"]
        process = server.worker_of(running)
        waiting = server.submit()["id"]
        assert not rest(server)
        assert not is_gone(process)
        gate.touch()
        assert server.wait(running)["state"] == "done"
        assert server.worker_of(waiting) == process, "a refused rest is not remembered"
        assert server.wait(waiting)["state"] == "done"
