"""Which slot a job is given on a cluster, and what is said when it is given none; without Ray and without processes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.cluster import bridge as bridges
from backend.cluster import executor as executors
from backend.cluster.bridge import RemoteWorker
from backend.cluster.executor import RayExecutor, RaySlot
from backend.cluster.machines import CPU, GPU, GRAPHICS_MEMORY, Machine
from backend.cluster.needs import Wanted, wanted_of
from backend.jobs.channel import Message
from backend.jobs.executor import Interrupted, Lost, WorkerState
from backend.pipelines.context import Cancelled

CARD = {CPU: 1.0, GPU: 1.0}


class Still:
    """A bridge on which nothing happens by itself."""

    def __init__(self, *arguments: Any) -> None:
        self.address = "head:6379"
        self.machines: tuple[Machine, ...] | None = None
        self.is_full = False
        self.cooling = None
        self.trouble = ""
        self.sent: list[Message] = []
        self.workers: list[RemoteWorker] = []

    def start(self) -> None:
        self.machines = (machine("one", cpu=4, gpu=1), machine("two", cpu=2))

    def stop(self) -> None:
        for worker in self.workers:
            worker.has_ended("ended", "")

    def open(self, slot: int, wanted: Callable[[], Wanted]) -> RemoteWorker:
        worker = RemoteWorker(self, slot, len(self.workers), wanted)  # type: ignore[arg-type]
        self.workers.append(worker)
        worker.inbox.put({"type": "ready"})
        return worker

    def send(self, worker: RemoteWorker, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "end":
            worker.has_ended("ended", "")


def machine(name: str, cpu: float, gpu: float = 0, memory: float = 0, taken: float = 0) -> Machine:
    total = {CPU: cpu, GPU: gpu, GRAPHICS_MEMORY: memory}
    return Machine(name, name, total, {**total, CPU: cpu - taken})


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayExecutor:
    monkeypatch.setattr(executors, "Bridge", Still)
    return RayExecutor(tmp_path / "log", tmp_path / "jobs", "head:6379", slots=4)


def job(tmp_path: Path, pipeline: str, **parameters: Any) -> Path:
    folder = tmp_path / f"{pipeline}-{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    (folder / "request.json").write_text(json.dumps({"pipeline": pipeline, "parameters": parameters, "prepare": {}}))
    return folder


def warmed(slot: RaySlot) -> None:
    """Its worker is there, and has the networks of the job that was placed."""
    slot._ready_worker()
    slot._state = WorkerState.READY
    slot._held |= slot._wanted
    slot._placed = False


def test_what_a_job_asks_of_the_machines(tmp_path: Path) -> None:
    both = [machine("one", cpu=4, gpu=1), machine("two", cpu=2)]
    assert wanted_of(job(tmp_path, "inflate"), both) == Wanted()
    learned = wanted_of(job(tmp_path, "midi"), both)
    assert learned.resources == CARD and "midi" in learned.models
    assert wanted_of(job(tmp_path, "midi"), both[1:]).resources == {CPU: 1.0}, "without a card it takes its time"
    told = wanted_of(job(tmp_path, "midi"), [machine("large", cpu=4, gpu=1, memory=1000)])
    assert told.resources[GRAPHICS_MEMORY] >= 1
    assert GRAPHICS_MEMORY not in wanted_of(job(tmp_path, "midi"), [machine("small", cpu=4, gpu=1, memory=1)]).resources
    half = wanted_of(job(tmp_path, "midi", precision="float16"), both)
    assert half.networks != learned.networks, "another precision is other networks"
    assert wanted_of(tmp_path / "nowhere", both) == Wanted()


def test_a_job_goes_to_the_slot_that_holds_its_networks(executor: RayExecutor, tmp_path: Path) -> None:
    slots = list(executor.slots)
    first = executor.place("a", job(tmp_path, "midi"), slots)
    assert first is not None and first.resources == CARD
    warmed(first)
    second = executor.place("b", job(tmp_path, "inflate"), slots)
    assert second is not None and second is not first, "what needs no card does not take one"
    warmed(second)
    assert executor.place("c", job(tmp_path, "midi"), slots) is first
    first._placed = False
    assert executor.place("d", job(tmp_path, "inflate"), slots) is second
    executor.stop()


def test_workers_that_are_about_to_begin_are_counted(executor: RayExecutor, tmp_path: Path) -> None:
    executor._bridge.machines = (machine("one", cpu=2),)
    slots = list(executor.slots)
    assert executor.place("a", job(tmp_path, "inflate"), slots) is not None
    free = [slot for slot in slots if not slot._placed]
    assert executor.place("b", job(tmp_path, "inflate"), free) is not None
    free = [slot for slot in slots if not slot._placed]
    assert executor.place("c", job(tmp_path, "inflate"), free) is None
    executor.stop()


def test_a_full_cluster_says_what_is_lacking_and_when_it_may_be_there(executor: RayExecutor, tmp_path: Path) -> None:
    executor._bridge.machines = (machine("one", cpu=2, gpu=1, taken=2), machine("two", cpu=1, taken=1))
    assert executor.place("a", job(tmp_path, "inflate"), list(executor.slots)) is None
    told = executor.hindrance(None)
    assert told and told.detail == "The cluster is full: its 2 machines have no processor core free."
    assert told.until is None and "nobody can tell" in told.hint
    slot = executor.slots[0]
    slot._remote = slot._worker = executor._bridge.open(0, lambda: Wanted())
    slot._state, slot._fraction = WorkerState.BUSY, 0.25
    slot._began = executors.time.monotonic() - 60
    assert executor._estimate(1) == pytest.approx(180, abs=2), "a quarter took a minute"
    assert executor._estimate(2) is None, "how long the one before will take is not known"
    executor._times.append(100.0)
    assert executor._estimate(3) == pytest.approx(380, abs=2)
    told = executor.hindrance(1)
    assert told and told.until and told.hint == "The jobs begin by themselves, the next in about 3 min."
    executor._bridge.machines, executor._bridge.trouble = (), "The worker process on one did not start (no numpy)."
    told = executor.hindrance(1)
    assert told and told.detail.endswith("can begin a job. The worker process on one did not start (no numpy).")
    executor._bridge.machines = None
    told = executor.hindrance(1)
    assert told and "is being asked" in told.detail
    executor.stop()


def test_an_end_tells_who_is_to_blame(executor: RayExecutor, tmp_path: Path) -> None:
    slot = executor.slots[0]

    def gone(wanted: Callable[[], Wanted], cause: str) -> RemoteWorker:
        worker = RemoteWorker(executor._bridge, 0, 99, wanted)
        worker.has_ended(cause, "Why.")
        return worker

    def ended(cause: str, begun: bool) -> Exception:
        slot.will_run(Wanted())
        worker = slot._ready_worker()
        assert isinstance(worker, RemoteWorker)
        worker.has_ended(cause, "Why.")
        return slot._death(begun, cancelling=False)

    died, lost, idle = ended("died", True), ended("lost", True), ended("died", False)
    assert isinstance(died, Lost) and died.suspect and died.problem.detail == "Why."
    assert isinstance(lost, Lost) and not lost.suspect
    assert isinstance(idle, Lost) and not idle.suspect
    for cause in ("full", "lost", "away", "not-started"):
        slot.will_run(Wanted())
        slot._bridge.open = lambda slot, wanted, cause=cause: gone(wanted, cause)  # type: ignore[method-assign]
        with pytest.raises(Interrupted):
            slot._ready_worker()
    executor.stop()


def test_a_job_is_cancelled_at_once_although_its_worker_has_not_started(executor: RayExecutor, tmp_path: Path) -> None:
    slot, wish = executor.slots[0], threading.Event()
    begun: list[RemoteWorker] = []

    def never_ready(number: int, wanted: Callable[[], Wanted]) -> RemoteWorker:
        begun.append(RemoteWorker(executor._bridge, number, 99, wanted))
        threading.Timer(0.2, lambda: (wish.set(), slot.nudge())).start()
        return begun[0]

    slot._bridge.open = never_ready  # type: ignore[method-assign]
    slot.will_run(Wanted())
    began = time.monotonic()
    with pytest.raises(Cancelled):
        slot.run("a", tmp_path, lambda report: None, wish.is_set, lambda: False, lambda: False)
    assert time.monotonic() - began < 10
    assert not begun[0].alive and slot.state == WorkerState.ASLEEP and slot.resources == {}
    executor.stop()


def test_a_process_that_cannot_be_told_of_the_cluster_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridge outlives its process, and says meanwhile what is wrong."""
    monkeypatch.setattr(bridges, "DRIVER", "backend.no_such_module")
    monkeypatch.setattr(bridges, "PAUSES", (0.1,))
    log = tmp_path / "log"
    executor = RayExecutor(log, tmp_path / "jobs", "head:6379", slots=1)
    waited = 0
    while executor._bridge._failures < 2 and waited < 600:
        executors.time.sleep(0.1)
        waited += 1
    cooling = executor.slots[0].cooling
    assert cooling and cooling.problem.code == "cluster-away"
    assert "The cluster at head:6379 cannot be reached" in cooling.problem.detail
    worker = executor._bridge.open(0, lambda: Wanted())
    assert worker.inbox.get(timeout=5) is None and worker.cause == "away"
    executor.stop()
