"""Jobs on a real Ray cluster of a head and a node, whose processes are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from backend.jobs.executor import WorkerState
from bench.local_cluster import LocalCluster
from tests.backend.cluster.conftest import START_SECONDS, Farm, OnCluster
from tests.backend.waiting import is_gone, until

pytestmark = pytest.mark.timeout(600)


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: all(map(is_gone, pids)), "their ends", START_SECONDS)


def test_jobs_run_on_the_machines_and_come_home_whole(on_cluster: OnCluster, tmp_path: Path) -> None:
    with on_cluster(slots=2) as farm:
        first, noisy = farm.submit(), farm.submit("noisy")
        farm.ends(first)
        farm.ends(noisy)
        result = json.loads((farm.folder(first) / "output" / "result.json").read_bytes())
        assert result["job"] == first and (farm.folder(first) / "output" / "scene.glb").read_bytes()[:4] == b"glTF"
        assert b"a child speaks" in (farm.folder(noisy) / "log.txt").read_bytes()
        assert {path.name for path in farm.folder(first).iterdir()} == {
            *("inputs", "output", "request.json", "spent.json", "log.txt")
        }
        workers = farm.workers()
        assert len(workers) == 2
        asking = farm.submit("asking")
        farm.reaches(asking, "needs_input")
        deaf = farm.submit("deaf", gate=str(tmp_path / "never"))
        farm.reaches(deaf, "running")
        farm.service.answer(asking, {"choice": 2})
        farm.ends(asking)
        farm.service.cancel(deaf)
        farm.ends(deaf, "cancelled")
        assert [row.data["message"] for row in farm.service.recent_events(asking)[0] if row.type == "warning"] == [
            "You chose 2."
        ]


def test_what_kills_its_worker_is_set_aside_and_others_begin_anew(on_cluster: OnCluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with on_cluster(slots=1) as farm:
        deadly = farm.submit("crashing")
        farm.ends(deadly, "failed")
        problem = farm.service.get(deadly).problem
        assert problem and problem.code == "worker-died" and "SIGKILL" in problem.detail
        assert (farm.folder(deadly) / "log.txt").is_file()
        runs = [row.data["state"] for row in farm.service.recent_events(deadly)[0] if row.type == "state"]
        assert runs == ["queued", "running", "queued", "running", "failed"]
        job = farm.submit(gate=str(gate))
        until(lambda: _pid(farm, job) in farm.workers(), "its work", START_SECONDS)
        worker = _pid(farm, job)
        kill(*farm.actors())
        until(lambda: is_gone(worker), "the end of the worker without its actor", START_SECONDS)
        gate.touch()
        farm.ends(job)


def _pid(farm: Farm, job: str) -> int:
    """The worker process that a fake pipeline has told; 0 before."""
    said = [str(row.data.get("message")) for row in farm.service.recent_events(job)[0] if row.type == "progress"]
    found = [int(match[1]) for text in said if (match := re.fullmatch(r"pid (\d+)", text))]
    return found[-1] if found else 0


def test_a_long_job_goes_on_elsewhere_when_its_machine_is_gone(
    on_cluster: OnCluster, cluster: LocalCluster, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    with on_cluster(slots=1) as farm:
        job = farm.submit("long", steps=150, pause=100, journal=str(journal))
        until(lambda: farm.service.folders.reached(job) > 100, "the checkpoint of step 100 at home", START_SECONDS)
        (worker,) = farm.workers()
        cluster.kill(_node_of(cluster, worker))
        until(lambda: is_gone(worker), "the worker's end", START_SECONDS)
        farm.ends(job)
    (first, *_), *_ = lines = [line.split() for line in journal.read_text().splitlines()]
    assert int(first) == worker and {pid for pid, _ in lines[:100]} == {first}
    assert first not in {pid for pid, _ in lines[100:]}
    assert [int(step) for _, step in lines] == list(range(1, 151)), "no step was done twice"
    cluster.add()


def _node_of(cluster: LocalCluster, worker: int) -> object:
    """The node whose raylet the actor of a worker is a child of."""
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in cluster.nodes}
    pid = worker
    while pid not in raylets:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return raylets[pid]


def test_a_cluster_that_is_full_or_away_is_told(on_cluster: OnCluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with on_cluster(slots=8) as farm:
        running = [farm.submit(gate=str(gate)) for _ in range(4)]
        until(lambda: len(farm.workers()) == 3, "as many workers as cores", START_SECONDS)
        until(lambda: farm.service.waiting is not None, "the reason", START_SECONDS)
        waiting = farm.service.get(running[3]).waiting
        assert waiting and re.fullmatch(
            r"The cluster is full: its 2 machines have no processor core free\.", waiting.detail
        )
        gate.touch()
        for job in running:
            farm.ends(job)
        assert farm.service.waiting is None
    with on_cluster("127.0.0.1:1") as farm:
        job = farm.submit()
        away = "The cluster at 127.0.0.1:1 cannot be reached: nothing answers"
        until(
            lambda: (told := farm.service.get(job).waiting) and told.detail.startswith(away),
            "the reason",
            START_SECONDS,
        )
        waiting = farm.service.get(job).waiting
        assert waiting is not None
        assert waiting.until is not None
        assert farm.service.worker == WorkerState.ASLEEP
        farm.service.cancel(job)


def test_when_the_head_is_lost_jobs_wait_and_go_on_once_it_is_back(
    on_cluster: OnCluster, cluster: LocalCluster, tmp_path: Path
) -> None:
    """The server is not started anew, and nothing is done twice."""
    journal = tmp_path / "journal"
    with on_cluster(slots=1) as farm:
        before, job = farm.submit(), farm.submit("long", steps=150, pause=100, journal=str(journal))
        farm.ends(before)
        made = (farm.folder(before) / "output" / "result.json").stat()
        until(lambda: farm.service.folders.reached(job) > 100, "the checkpoint of step 100 at home", START_SECONDS)
        cluster.kill_head()
        after = farm.submit()
        until(lambda: farm.service.waiting is not None, "the reason", 2 * START_SECONDS)
        for each in (job, after):
            view = farm.service.get(each)
            assert view.state == "queued" and view.waiting
            assert f"The cluster at {cluster.address} cannot be reached: " in view.waiting.detail
            assert view.waiting.hint.startswith("The jobs wait, and go on when it is back.")
        cluster.begin_anew()
        for each in (job, after):
            farm.reaches(each, "running", "done")
            farm.ends(each)
        assert (farm.folder(before) / "output" / "result.json").stat() == made
        assert sorted(view.id for view in farm.service.list()) == sorted((before, job, after))
    lines = [line.split() for line in journal.read_text().splitlines()]
    assert [int(step) for _, step in lines] == list(range(1, 151)), "no step was done twice"


def test_a_job_is_cancelled_while_its_worker_starts(on_cluster: OnCluster) -> None:
    with on_cluster(slots=1) as farm:
        job = farm.submit()
        farm.reaches(job, "running", "done")
        farm.service.cancel(job)
        asked = time.monotonic()
        farm.ends(job, "cancelled")
        assert time.monotonic() - asked < 12, "not as long as an actor may take to start"


def test_a_disk_that_is_shared_is_used(on_cluster: OnCluster, tmp_path: Path) -> None:
    with on_cluster(slots=1, shared_disk=True) as farm:
        job = farm.submit("long", steps=50)
        farm.ends(job)
        (there,) = (tmp_path / "data" / "farm").glob("*/job/output/result.json")
        assert there.samefile(farm.folder(job) / "output" / "result.json"), "no byte of it has travelled"
