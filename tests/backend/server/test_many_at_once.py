"""Several workers of one server: each job lives and dies by itself, and none is lost or made twice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.backend.server.running_server import FAKES, RunningServer
from tests.backend.waiting import is_gone, until

PLUGINS = f"{FAKES},tests.backend.jobs.long_pipeline"
GONE_SECONDS = 5.0


def states(server: RunningServer, job: str) -> list[str]:
    return [told["state"] for _, kind, told in server.events(job) if kind == "state"]


def slots(server: RunningServer) -> list[dict[str, Any]]:
    return list(server.client.get("/health").json()["slots"])


def test_one_of_several_that_run_is_cancelled_answered_ended_early_or_killed(tmp_path: Path, gate: Path) -> None:
    with RunningServer(tmp_path / "data", "--slots", "4", SET_DRESSER_PLUGINS=PLUGINS) as server:
        killed = server.submit(gate=str(gate))["id"]
        cancelled = server.submit(gate=str(gate))["id"]
        asking = server.submit("asking")["id"]
        long = server.submit("long", steps=20, pause=5)["id"]
        waiting = server.submit(gate=str(gate))["id"]
        workers = {job: server.worker_of(job) for job in (killed, cancelled, asking)}
        server.wait(asking, "needs_input")
        until(lambda: server.job(long)["can_finish"], "the long one running")
        assert len(set(workers.values())) == 3, "each has a worker of its own"
        # The one that asks has made room for the fifth; no other has.
        until(lambda: server.job(waiting)["state"] == "running", "the fifth running")
        assert {slot["running"] for slot in slots(server)} == {killed, cancelled, long, waiting}
        until(lambda: {slot["worker"] for slot in slots(server)} == {"busy"}, "four workers at work")
        os.kill(workers[killed], signal.SIGKILL)
        died = server.wait(killed)
        assert (died["state"], died["problem"]["code"]) == ("failed", "worker-died")
        assert not is_gone(workers[cancelled])
        server.client.delete(f"/jobs/{cancelled}").raise_for_status()
        assert server.wait(cancelled)["state"] == "cancelled"
        server.client.post(f"/jobs/{asking}/input", json={"answer": {"choice": 2}}).raise_for_status()
        assert server.wait(asking)["state"] == "done"
        assert [server.job(job)["state"] for job in (long, waiting)] == ["running", "running"]
        server.client.post(f"/jobs/{long}/finish").raise_for_status()
        ended = server.wait(long)
        assert ended["state"] == "done" and ended["finished_early"]
        assert server.job(waiting)["state"] == "running"
        gate.touch()
        assert server.wait(waiting)["state"] == "done"


def test_three_that_run_outlive_a_server_that_leaves_and_one_that_is_killed(tmp_path: Path, gate: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data, "--slots", "3") as server:
        jobs = [server.submit("deaf", gate=str(gate))["id"] for _ in range(3)]
        workers = [server.worker_of(job) for job in jobs]
        began = time.monotonic()
        assert server.client.post("/shutdown").status_code == 202
        assert server.process.wait(GONE_SECONDS) == 0
        until(lambda: all(map(is_gone, workers)), "the workers' ends", GONE_SECONDS - (time.monotonic() - began))
    with RunningServer(data, "--slots", "3") as server:
        workers = [server.worker_of(job) for job in jobs]
        assert sorted(slot["running"] for slot in slots(server)) == sorted(jobs)
        server.kill()
        until(lambda: all(map(is_gone, workers)), "the workers' ends", GONE_SECONDS)
    gate.touch()
    with RunningServer(data) as server:
        for job in jobs:
            assert server.wait(job)["state"] == "done"
            assert states(server, job) == ["queued", "running"] * 3 + ["done"]
        assert len(slots(server)) == 1
        listed = [job["id"] for job in server.client.get("/jobs").json()]
        assert listed == jobs[::-1]
        page = server.client.get("/jobs", params={"limit": 2, "before": listed[0]}).json()
        assert [job["id"] for job in page] == listed[1:]


def test_a_raised_priority_goes_before_what_came_earlier(tmp_path: Path, gate: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        server.submit(gate=str(gate))
        first, second = server.submit()["id"], server.submit()["id"]
        assert server.job(second)["position"] == 2
        for wrong in (101, 1.5, None):
            assert server.client.post(f"/jobs/{second}/priority", json={"priority": wrong}).status_code == 422
        raised = server.client.post(f"/jobs/{second}/priority", json={"priority": 1}).json()
        assert (raised["position"], raised["priority"], server.job(first)["position"]) == (1, 1, 2)
        gate.touch()
        assert server.wait(first)["started"] > server.wait(second)["started"]
