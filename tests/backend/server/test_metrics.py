"""What Prometheus hears of the server, read by a strict reader of its format."""

from __future__ import annotations

import sqlite3
import statistics
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.backend.prometheus_text import Told, read
from tests.backend.server.running_server import RunningServer
from tests.backend.waiting import until


def metrics(server: RunningServer) -> dict[str, Told]:
    answer = server.client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer.text)


def counted(server: RunningServer, pipeline: str, state: str) -> float:
    return metrics(server)["set_dresser_jobs_ended_total"].value(pipeline=pipeline, state=state)


def test_jobs_are_counted_by_what_became_of_them(server: RunningServer, gate: Path) -> None:
    done = server.submit()
    failed = server.submit("raising", how="problem")
    server.wait(done["id"], "done")
    server.wait(failed["id"], "failed")
    running = server.submit(gate=str(gate))
    server.wait(running["id"], "running")
    waiting, cancelled = server.submit(), server.submit()
    server.client.delete(f"/jobs/{cancelled['id']}")  # one that queues ends at once, and no slot sees it

    told = metrics(server)
    jobs = told["set_dresser_jobs"]
    seen = {state: jobs.value(pipeline="steady", state=state) for state in ("done", "running", "queued", "cancelled")}
    assert seen == {"done": 1, "running": 1, "queued": 1, "cancelled": 1}
    assert jobs.value(pipeline="inflate", state="done") == 0
    assert (told["set_dresser_slots"].value(), told["set_dresser_slots_busy"].value()) == (1, 1)
    assert 0 < told["set_dresser_oldest_queued_seconds"].value() < 60
    assert counted(server, "steady", "cancelled") == 1
    assert counted(server, "raising", "failed") == 1
    failures = told["set_dresser_failures_total"].samples
    assert set(failures) == {
        ("set_dresser_failures_total", frozenset({("pipeline", "raising"), ("code", "geometry-failed")}))
    }

    gate.touch()
    server.wait(waiting["id"], "done")
    until(lambda: counted(server, "steady", "done") == 3, "the last one is counted")
    told = metrics(server)
    assert told["set_dresser_slots_busy"].value() == 0
    assert told["set_dresser_oldest_queued_seconds"].value() == 0
    queue = told["set_dresser_queue_seconds"]
    assert (queue.value("_count", pipeline="steady"), queue.value("_count", pipeline="raising")) == (3, 1)
    took = told["set_dresser_job_seconds"]
    seconds = [server.client.get(f"/jobs/{job['id']}/files/result.json").json() for job in (done, running, waiting)]
    assert took.value("_sum", pipeline="steady") == pytest.approx(sum(each["seconds"] for each in seconds))
    stages = told["set_dresser_stage_seconds"]
    for stage in ("begin", "work", "export"):
        of_results = sum(row["seconds"] for each in seconds for row in each["timings"] if row["stage"] == stage)
        assert stages.value("_sum", pipeline="steady", stage=stage) == pytest.approx(of_results)
    assert ("pipeline", "raising") not in {pair for _, labels in took.samples for pair in labels}, "it took no result"


def test_memory_and_disk_are_those_of_the_machine(server: RunningServer) -> None:
    server.wait(server.submit()["id"], "done")
    told = metrics(server)
    if sys.platform == "linux":
        assert 10e6 < told["process_resident_memory_bytes"].value() < 1e9
        assert 10e6 < told["set_dresser_worker_resident_memory_bytes"].value(slot="0") < 2e9
        assert server.client.post("/rest").json() == {"resting": True}
        until(
            lambda: not metrics(server)["set_dresser_worker_resident_memory_bytes"].samples,
            "no worker has no memory",
        )
    assert told["set_dresser_held_bytes"].value() > 0
    assert told["set_dresser_disk_free_bytes"].value() > 1e6
    assert "set_dresser_keep_bytes" not in told
    assert server.client.put("/storage", json={"keep_bytes": 10**12}).status_code == 200
    assert metrics(server)["set_dresser_keep_bytes"].value() == 10**12
    assert told["process_cpu_seconds_total"].value() > 0
    assert told["set_dresser_info"].value(version=str(server.handshake["version"])) == 1


def test_a_restart_begins_the_counters_anew_and_a_job_of_a_method_that_is_gone_is_another(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        server.wait(server.submit()["id"], "done")
        until(lambda: counted(server, "steady", "done") == 1, "it is counted")
        series = len([line for line in server.client.get("/metrics").text.splitlines() if line[0] != "#"])
    connection = sqlite3.connect(data / "jobs.sqlite3")
    for number in range(40):
        connection.execute(
            "INSERT INTO jobs (id, owner, name, pipeline, state, created) VALUES (?, 'x', '', ?, 'failed', 'never')",
            (f"{number:024x}", f'gone"{number}\n'),
        )
    connection.execute(
        "INSERT INTO jobs (id, owner, name, pipeline, state, created) VALUES ('a', 'x', '', 'b', '?', '')"
    )
    connection.commit()
    connection.close()
    with RunningServer(data) as server:
        told = metrics(server)
        assert told["set_dresser_jobs_ended_total"].value(pipeline="steady", state="done") == 0
        assert told["set_dresser_jobs"].value(pipeline="steady", state="done") == 1, "that is read from the list"
        assert told["set_dresser_jobs"].value(pipeline="other", state="failed") == 40
        more = len([line for line in server.client.get("/metrics").text.splitlines() if line[0] != "#"])
        assert more < series + 5, "labels are of a closed set"


def test_health_tells_when_the_next_job_may_begin_and_what_those_that_wait_usually_take(
    server: RunningServer, gate: Path
) -> None:
    def told(name: str) -> float | None:
        return server.client.get("/health").json()[name]  # type: ignore[no-any-return]

    assert told("usual_seconds") is None and told("next_end_seconds") is None, "nothing is open"
    running = server.submit(gate=str(gate))["id"]
    server.wait(running, "running")
    server.submit()
    done = [job for job in server.client.get("/jobs").json() if (job["pipeline"], job["state"]) == ("steady", "done")]
    median = statistics.median(_seconds(job["started"], job["finished"]) for job in done)
    assert told("usual_seconds") == pytest.approx(median, abs=0.01)
    until(lambda: server.job(running)["progress"], "it says how far it is")
    eta = server.job(running)["progress"]["eta"]
    left = told("next_end_seconds")
    assert left is not None and (left == eta if eta is not None else left <= median)
    server.submit("raising", how="problem")
    assert told("usual_seconds") is None, "nobody knows what that takes"
    gate.touch()
    until(lambda: told("queued") == 0, "all are done")
    until(lambda: server.client.get("/health").json()["running"] is None, "all are done")


def _seconds(begin: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()


def test_a_list_can_be_of_those_that_have_ended_or_of_the_others(server: RunningServer, gate: Path) -> None:
    done = [server.submit()["id"] for _ in range(3)]
    for job in done:
        server.wait(job, "done")
    running = server.submit(gate=str(gate))["id"]
    server.wait(running, "running")
    queued = server.submit()["id"]

    def listed(**options: str) -> list[str]:
        return [job["id"] for job in server.client.get("/jobs", params=options).json()]

    assert listed(ended="false") == [queued, running]
    assert listed(ended="true")[:3] == done[::-1]
    assert listed(ended="true", before=done[2], limit="1") == [done[1]]
    assert listed()[:5] == [queued, running, *done[::-1]]
    assert server.client.get("/jobs", params={"ended": "maybe"}).status_code == 422
    gate.touch()
