"""The server's side of `driver.py`: a process that is started again while the server lives, and what it says."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from backend.cluster.machines import Machine
from backend.cluster.needs import Wanted
from backend.errors import Problem
from backend.jobs.channel import Message
from backend.jobs.cooling import Cooling
from backend.jobs.process import WorkerProcess

DRIVER = "backend.cluster.driver"
CONNECT_SECONDS = 90.0
PAUSES = (2.0, 5.0, 10.0, 20.0)
"""Seconds until the next try, after the first that failed, the second, and so on."""

END_SECONDS = 5.0
logger = logging.getLogger(__name__)


class RemoteWorker:
    """A worker on another machine, as `LocalSlot` knows one; see `backend/jobs/process.py: Worker`.

    wanted: what the job asks for that is run next.
    cause: why it has ended, see `line.py: Cause`; "away" if the cluster is.
    """

    def __init__(self, bridge: Bridge, slot: int, serial: int, wanted: Callable[[], Wanted]) -> None:
        self._bridge = bridge
        self.key = slot, serial
        self.resources = wanted().resources
        self._wanted = wanted
        self._ended = threading.Event()
        self.inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.cause = ""
        self._why = ""
        self.counted = False
        """Whether what is told of the cluster is without the resources that it takes."""

    @property
    def pid(self) -> None:
        """Of a process of another machine nobody here can tell anything by its number."""

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    def send(self, message: Message) -> None:
        """What ends the worker meanwhile shows in the inbox."""
        if message["type"] == "run":
            message = {**message, "models": self._wanted().models}
        self._bridge.send(self, {"type": "send", "message": message})

    def kill(self) -> None:
        self._leave(kill=True)

    def close(self) -> None:
        self._leave(kill=False)

    def _leave(self, *, kill: bool) -> None:
        if self.alive:
            self._bridge.send(self, {"type": "end", "kill": kill})
            if not self._ended.wait(END_SECONDS):
                self.has_ended("lost", "It did not answer.")

    def obituary(self) -> str:
        return self._why.strip(" .") or "it was told to"

    def last_words(self) -> str:
        return self._why

    # called by the bridge

    def has_ended(self, cause: str, why: str) -> None:
        if self.alive:
            self.cause, self._why = cause, why
            self._ended.set()
            self.inbox.put(None)


class Bridge:
    """The way to the cluster at `address`. Begins with `start`, ends with `stop`.

    log: file for what its process says.
    jobs: the folder of all jobs; shared: the machines see it under the same path.
    changed: called, in any thread, when there is something else to know of the cluster.
    """

    def __init__(self, log: Path, address: str, jobs: Path, shared: bool, changed: Callable[[], None]) -> None:
        self._log = log
        self.address = address
        self._arguments = (address, str(jobs), "shared" if shared else "apart")
        self._changed = changed
        self._lock = threading.Lock()
        self._workers: dict[tuple[int, int], RemoteWorker] = {}
        self._serials = itertools.count()
        self._process: WorkerProcess | None = None
        self._stopped = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._keep, name="cluster", daemon=True)
        self.machines: tuple[Machine, ...] | None = None
        """None while there is no connection."""
        self.is_full = False
        """Whether the last worker that was to begin found no room, and nothing was told since."""
        self.trouble = ""
        """Why the last worker that was to begin did not, as a sentence; "" if it did."""
        self.cooling: Cooling | None = None

    def start(self) -> None:
        self._thread.start()

    def open(self, slot: int, wanted: Callable[[], Wanted]) -> RemoteWorker:
        """A worker that is about to start; if none does, its inbox ends."""
        worker = RemoteWorker(self, slot, next(self._serials), wanted)
        with self._lock:
            self._workers[worker.key] = worker
        asked = wanted()
        self.send(worker, {"type": "start", "resources": asked.resources, "models": asked.models})
        return worker

    def send(self, worker: RemoteWorker, message: Message) -> None:
        """A message of a worker, or for it."""
        process = self._process
        if process is None or self.machines is None:
            self._end(worker.key, "away", f"The cluster at {self.address} cannot be reached.")
        else:
            process.send({**message, "slot": worker.key[0], "serial": worker.key[1]})

    def stop(self) -> None:
        """End the process, and with it every worker."""
        self._stopped.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.kill()
        self._thread.join()

    def _keep(self) -> None:
        """Its own thread: the process ends with the thread that has started it."""
        while not self._stopped.is_set():
            try:
                why = self._serve()
            except Exception as error:  # the way is opened anew, whatever was wrong with it
                logger.exception("the way to the cluster cannot be used")
                why = f"what it says cannot be understood ({type(error).__name__})"
                self._give_up()
            for key in list(self._workers):
                self._end(key, "away", f"The way to the cluster at {self.address} is gone: {why}.")
            pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
            self._failures += 1
            self._cool(why, pause)
            if not self._stopped.is_set():
                logger.warning("the cluster at %s cannot be reached: %s", self.address, why)
            self._stopped.wait(pause)

    def _serve(self) -> str:
        """One process, from its start to its end; why it has ended."""
        if self.cooling is not None:
            self._cool(self._why_before, CONNECT_SECONDS)  # that it is tried just now is no news
        why = ""
        with self._lock:
            if self._stopped.is_set():
                return why
            try:
                self._process = process = WorkerProcess(self._log, DRIVER, *self._arguments)
            except OSError as error:
                return str(error)
        give_up = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                left = None if self.machines is not None else max(give_up - time.monotonic(), 0.0)
                message = process.inbox.get(timeout=left)
            except queue.Empty:
                why = f"it did not answer within {CONNECT_SECONDS:.0f} s"
                break
            if message is None:
                break
            why = self._take(message) or why
        self._give_up()
        return why or process.obituary()

    def _give_up(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            process, self._process, self.machines = self._process, None, None
        if process is not None:
            process.kill()
        self._changed()

    def _take(self, message: Message) -> str:
        """What the process says; why it will end if it says that."""
        match message:
            case {"type": "cluster", "machines": list(machines)}:
                self.machines = tuple(Machine(**each) for each in machines)
                self._failures, self.cooling, self.is_full = 0, None, False
                with self._lock:
                    for worker in self._workers.values():
                        worker.counted = True
                self._changed()
            case {"type": "said", "slot": slot, "serial": serial, "message": dict(said)}:
                if said.get("type") == "ready":
                    self.trouble = ""
                if (speaker := self._workers.get((slot, serial))) is not None:
                    speaker.inbox.put(said)
            case {"type": "gone", "slot": slot, "serial": serial, "cause": cause, "why": why}:
                self.is_full = self.is_full or cause == "full"
                if cause == "not-started":
                    self.trouble = why
                self._end((slot, serial), cause, why)
            case {"type": "away", "why": str(why)}:
                return why
        return ""

    def _end(self, key: tuple[int, int], cause: str, why: str) -> None:
        with self._lock:
            worker = self._workers.pop(key, None)
        if worker is not None:
            worker.has_ended(cause, why)

    _why_before = ""

    def _cool(self, why: str, seconds: float) -> None:
        self._why_before = why
        detail = f"The cluster at {self.address} cannot be reached: {why}."
        hint = "The jobs wait, and go on when it is back. Look after the cluster if that takes long."
        self.cooling = Cooling(Problem("cluster-away", detail, hint), time.monotonic() + seconds)
        self._changed()
