"""Jobs in worker processes on this machine: started on demand, replaced when they die, gone when idle."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backend.contract import Waiting
from backend.errors import Problem
from backend.jobs.cooling import Cooling
from backend.jobs.executor import Interrupted, Parked, Report, WorkerState
from backend.jobs.pace import Pace
from backend.jobs.process import NUDGE, Worker, WorkerProcess
from backend.pipelines import PIPELINES
from backend.pipelines.context import Cancelled
from backend.preparations import preparations

WORKER = "backend.jobs.worker"
START_SECONDS = 120.0
LOOK_SECONDS = 0.5
MOST_START_FAILURES = 3
COOL_DOWN_SECONDS = 30.0
logger = logging.getLogger(__name__)


class _NeverBegun(Problem):
    """The worker died before it had said anything of the job."""


class _Wishes(NamedTuple):
    """What others want of a running job; see `Executor.run`."""

    cancelled: Callable[[], bool]
    crowded: Callable[[], bool]
    finishing: Callable[[], bool]


class LocalSlot:
    """A slot with a worker process of its own.

    log: file for what the worker says outside of jobs.
    grace_seconds: how long a cancelled job may take to notice before the process is killed.
    arguments: of the worker's command line.
    cards: is told how many graphics cards there are, each time the worker has found that out.
    """

    def __init__(self, log: Path, grace_seconds: float, arguments: Sequence[str], cards: Callable[[int], None]) -> None:
        self._log = log
        self._grace = grace_seconds
        self._arguments = arguments
        self._tell_cards = cards
        self._held: frozenset[str] = frozenset()
        self._wanted: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._stopped = False
        self._failures = 0
        self._cooling: Cooling | None = None
        self._state = WorkerState.ASLEEP

    @property
    def state(self) -> WorkerState:
        worker = self._worker
        return self._state if worker is not None and worker.alive else WorkerState.ASLEEP

    @property
    def pid(self) -> int | None:
        worker = self._worker
        return worker.pid if worker is not None and worker.alive else None

    @property
    def held(self) -> frozenset[str]:
        """Ids of the methods whose networks the worker may still hold."""
        return self._held if self.state != WorkerState.ASLEEP else frozenset()

    def will_hold(self, methods: frozenset[str]) -> None:
        """The job that is run next uses the networks of these."""
        self._wanted = methods

    def moves(self, methods: frozenset[str]) -> tuple[int, bool, bool]:
        """What a job that uses these would have to wait for here, to compare slots by: less where more of them are
        held, where nothing has to make room for them, and where there is a worker already."""
        held = self.held
        return -len(held & methods), bool(methods and held - methods), self.state == WorkerState.ASLEEP

    @property
    def cooling(self) -> Cooling | None:
        return self._cooling

    def warm(self) -> None:
        try:
            self._ready_worker()
        except Interrupted:
            logger.debug("stopped while the worker started")
        except Problem as problem:
            logger.warning("%s", problem)

    def run(
        self,
        job: str,
        folder: Path,
        report: Callable[[Report], None],
        cancelled: Callable[[], bool],
        crowded: Callable[[], bool],
        finishing: Callable[[], bool],
    ) -> bool:
        wishes = _Wishes(cancelled, crowded, finishing)
        try:
            last = self._attempt(job, folder, report, wishes)
        except _NeverBegun:  # it died while it was idle, unnoticed
            last = self._attempt(job, folder, report, wishes)
        match last["type"]:
            case "cancelled":
                raise Cancelled
            case "parked":
                raise Parked
            case "failed":
                problem = Problem.from_document(last["problem"])
                if problem.code == "out-of-memory":
                    self.rest()  # only a fresh process has all its memory again
                raise problem
        return bool(last.get("finished_early"))

    def nudge(self) -> None:
        if worker := self._worker:
            worker.inbox.put(NUDGE)

    def answer(self, job: str, answer: dict[str, Any]) -> None:
        if worker := self._worker:
            worker.send({"type": "answer", "job": job, "answer": answer})

    def rest(self) -> None:
        if self._worker is not None:
            self._drop(kill=False)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            worker = self._worker
        if worker:
            worker.kill()  # its inbox ends, which ends `run` and `warm` in the queue's thread

    def _attempt(self, job: str, folder: Path, report: Callable[[Report], None], wishes: _Wishes) -> dict[str, Any]:
        """Hand the job to a worker and return its last message: done, parked, cancelled or failed."""
        worker = self._ready_worker(wishes.cancelled)
        self._state = WorkerState.BUSY
        self._held |= self._wanted
        try:
            worker.send({"type": "run", "job": job, "folder": str(folder)})
            return self._listen(worker, job, Pace(report), wishes)
        except BaseException:
            if self._worker is worker:  # it may still be at work on this job
                self._drop(kill=True)
            raise
        finally:
            self._state = WorkerState.READY

    def _listen(self, worker: Worker, job: str, pace: Pace, wishes: _Wishes) -> dict[str, Any]:
        begun = asks = finishes = False
        deadline: float | None = None
        while True:
            message = _next(worker, LOOK_SECONDS if pace.due is None else pace.due)
            if message is None:
                raise self._death(begun, cancelling=deadline is not None)
            if message.get("type") == "cards":
                self._tell_cards(message["count"])
            if message.get("job") == job:
                begun = True
                match message.get("type"):
                    case "progress" | "warning" | "preview" | "question" as kind:
                        asks = kind == "question"
                        pace.take(Report(kind, message["data"]))
                    case "done" | "parked" | "cancelled" | "failed":
                        pace.release()
                        return message
            pace.look()
            if not finishes and wishes.finishing():
                finishes = True
                worker.send({"type": "finish", "job": job})
            if asks and wishes.crowded():
                asks = False
                worker.send({"type": "park", "job": job})
            if deadline is None:
                if wishes.cancelled():
                    worker.send({"type": "cancel", "job": job})
                    deadline = time.monotonic() + self._grace
            elif time.monotonic() > deadline:
                logger.info("the job %s did not stop in %.1f s; the worker is replaced", job, self._grace)
                self._drop(kill=True)
                raise Cancelled

    def _death(self, begun: bool, cancelling: bool) -> Exception:
        """The worker is gone during a job: what that means for the job."""
        worker = self._drop(kill=True)
        if self._stopped:
            return Interrupted()
        if cancelling:
            return Cancelled()
        kind = Problem if begun else _NeverBegun
        return kind("worker-died", f"The worker process ended during this job ({worker.obituary()}).")

    def _ready_worker(self, cancelled: Callable[[], bool] = lambda: False) -> Worker:
        """The running worker, or a new one. Raises Problem("worker-start-failed"), Interrupted, and Cancelled: one that
        has not started yet is not waited for then."""
        if self._worker is not None:
            if self._worker.alive:
                return self._worker
            logger.warning("the idle worker has ended (%s); starting another", self._drop(kill=True).obituary())
        if self._cooling is not None and self._cooling.seconds_left():
            raise self._cooling.problem
        self._state = WorkerState.STARTING
        with self._lock:
            if self._stopped:
                raise Interrupted
            try:
                worker = self._worker = self._begin()
            except OSError as error:
                raise self._start_failed(str(error)) from error
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            message = _next(worker, LOOK_SECONDS)
            if message is None:
                break
            if message.get("type") == "ready":
                self._failures, self._cooling = 0, None
                self._state = WorkerState.READY
                return worker
            if cancelled():
                self._drop(kill=True)
                raise Cancelled
        self._drop(kill=True)
        if self._stopped:
            raise Interrupted
        raise self._start_failed(worker.last_words() or worker.obituary())

    def _begin(self) -> Worker:
        """A worker that is about to start. Raises OSError."""
        return WorkerProcess(self._log, WORKER, *self._arguments)

    def _start_failed(self, reason: str) -> Exception:
        self._failures += 1
        if self._failures >= MOST_START_FAILURES:
            detail = (
                f"The worker process did not start {self._failures} times ({reason}); it is tried again in a while."
            )
            problem = Problem("worker-start-failed", detail)
            self._cooling = Cooling(problem, time.monotonic() + COOL_DOWN_SECONDS)
        return Problem("worker-start-failed", f"The worker process did not start ({reason}).")

    def _drop(self, *, kill: bool) -> Worker:
        """Part with the worker; it is gone when this returns."""
        with self._lock:
            worker, self._worker = self._worker, None
        self._held = frozenset()
        assert worker is not None
        if kill:
            worker.kill()
        else:
            worker.close()
        return worker


class LocalExecutor:
    """The `Executor` of one machine.

    log: file for what the worker says outside of jobs; further workers have files beside it.
    grace_seconds: see `LocalSlot`.
    slots: how many jobs run at once. If left out as many as there are graphics cards, each with a card of its own, and
        one where there is none: how many there are is known once the first job has asked for one.
    """

    elsewhere = False

    def __init__(self, log: Path, grace_seconds: float = 5.0, slots: int | None = None) -> None:
        self._log = log
        self._grace = grace_seconds
        self._fixed = slots
        self._growing = threading.Lock()
        self._look: Callable[[], None] = lambda: None
        self._slots: tuple[LocalSlot, ...] = ()
        self._grow(slots or 1)

    @property
    def slots(self) -> Sequence[LocalSlot]:
        return self._slots

    def when_changed(self, look: Callable[[], None]) -> None:
        self._look = look

    def place(self, job: str, folder: Path, free: Sequence[LocalSlot]) -> LocalSlot:
        """The slot that holds what the job needs; otherwise one where nothing has to make room for that; of these one
        whose worker is there already."""
        if self._fixed == 1:
            return free[0]
        methods = methods_with_networks(folder)
        chosen = min(free, key=lambda slot: slot.moves(methods))
        chosen.will_hold(methods)
        return chosen

    def hindrance(self, ahead: int | None) -> Waiting | None:
        """A slot that is free takes any job."""
        return None

    def stop(self) -> None:
        for slot in self._slots:
            slot.stop()

    def _grow(self, count: int) -> None:
        with self._growing:
            for number in range(len(self._slots), count):
                log = self._log if number == 0 else self._log.with_stem(f"{self._log.stem}-{number}")
                arguments = (str(number), str(self._fixed or 0))
                self._slots = (*self._slots, LocalSlot(log, self._grace, arguments, self._take_cards))
        self._look()

    def _take_cards(self, count: int) -> None:
        """A worker has found so many graphics cards."""
        if self._fixed is None and count > len(self._slots):
            logger.info("there are %d graphics cards: so many jobs run at once", count)
            self._grow(count)


def methods_with_networks(folder: Path) -> frozenset[str]:
    """Ids of the methods of a job that run networks; none where its request cannot be read, which the worker tells."""
    try:
        request = json.loads((folder / "request.json").read_bytes())
        named = {request["pipeline"], *request["prepare"]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        logger.info("what the job in %s needs is not known: %s", folder.name, error)
        return frozenset()
    known = {**PIPELINES, **preparations()}
    return frozenset(method for method in named if method in known and known[method].learned)


def _next(worker: Worker, timeout: float) -> dict[str, Any] | None:
    """The next message, an empty nudge after `timeout` seconds, or None when the worker is gone."""
    try:
        return worker.inbox.get(timeout=timeout)
    except queue.Empty:
        return NUDGE
