"""What runs on the machines of a cluster: a worker process, and what passes between it and the server.

`NodeWorker` is made an actor by `rays.py`; nothing here knows Ray. It ends, and what it has started with it, when
nobody has listened for a minute: whoever it works for is gone or out of reach then, and has begun the job elsewhere.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from backend import __version__
from backend.cluster.models import Model, NodeModels
from backend.cluster.outbox import REQUEST, Begin, Item, LogLines, Outbox
from backend.cluster.parcels import Arrivals, Piece, Present
from backend.jobs.channel import Message
from backend.jobs.folders import default_data_folder
from backend.jobs.process import WorkerProcess
from backend.privacy import write_privately
from backend.weights import models_kept_in

WORKER = "backend.jobs.worker"
LISTEN_SECONDS = 2.0
SCAN_SECONDS = 0.5
BATCH_BYTES = 8 << 20
ALONE_SECONDS = 60.0
FARM = "farm"
FILES_FIRST = ("preview", "question", "done", "failed", "cancelled", "parked")
ENDS = ("done", "failed", "cancelled", "parked")
GONE = "worker-gone"
logger = logging.getLogger(__name__)


class NodeWorker:
    """One worker process on this machine.

    settings: environment variables that the server's methods go by.
    shared: parent of a folder for this job on a disk that the server sees under the same path; "" for none.
    alone_seconds: see above.

    `take` and `listen` are called from one thread each, the others from any.
    """

    def __init__(self, settings: Mapping[str, str], shared: str = "", alone_seconds: float = ALONE_SECONDS) -> None:
        write_privately()
        os.environ.update(settings)
        self._ending = contextlib.ExitStack()
        home = default_data_folder().absolute()
        home.mkdir(parents=True, exist_ok=True)
        self._ending.enter_context(models_kept_in(home))
        self._shared = bool(shared)
        self._room = _room(Path(shared or home) / FARM)
        self._folder = self._room / "job"
        self._arrivals = Arrivals(self._folder, durable=False)
        self._models: NodeModels | None = None
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._waiting: Iterator[Item] = iter(())
        self._outbox: Outbox | None = None
        self._scanned = self._heard = time.monotonic()
        self._alone_seconds = alone_seconds
        self._worker: WorkerProcess | None = None
        self._started, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._keep, name="worker", daemon=True).start()
        threading.Thread(target=self._watch, name="owner", daemon=True).start()

    def about(self) -> dict[str, str | int]:
        """Which machine and version this is."""
        return {"version": __version__, "host": platform.node(), "pid": os.getpid()}

    def missing(self, wanted: Model) -> list[str]:
        """See `NodeModels.missing`."""
        if self._models is None:
            self._models = NodeModels()
        return self._models.missing(wanted)

    def take_model(self, pieces: list[Piece]) -> None:
        """Raises Damaged and OSError."""
        assert self._models is not None
        for piece in pieces:
            self._models.take(piece)

    def note_model(self, wanted: Model) -> None:
        """See `NodeModels.note`."""
        assert self._models is not None
        self._models.note(wanted)

    def take(self, items: list[Item]) -> None:
        """What the server sends: a job's files, and messages for the worker. Raises Damaged and OSError."""
        for item in items:
            if isinstance(item, Begin):
                self._outbox = None
                shutil.rmtree(self._folder, ignore_errors=True)
                (self._folder / "output").mkdir(parents=True)
            elif isinstance(item, Piece):
                self._arrivals.take(item)
            elif isinstance(item, Present):
                self._arrivals.keep(item)
            elif not isinstance(item, LogLines):
                self._tell(item)

    def _tell(self, message: Message) -> None:
        if message["type"] == "run":
            assert (self._folder / REQUEST).is_file(), "a job's files come before it is run"
            self._outbox = Outbox(self._folder, shared=self._shared)
            message = {**message, "folder": str(self._folder)}
        self._started.wait()
        if self._worker is not None:  # otherwise that it is not there is told already
            self._worker.send(message)

    def listen(self) -> list[Item]:
        """What there is to be told, in order; after `LISTEN_SECONDS` without anything nothing."""
        self._heard = time.monotonic()
        give_up = self._heard + LISTEN_SECONDS
        batch: list[Item] = []
        size = 0
        while size < BATCH_BYTES:
            item = next(self._waiting, None)
            if item is not None:
                batch.append(item)
                size += len(item.data) if isinstance(item, Piece | LogLines) else 1
                continue
            scan = self._scanned + SCAN_SECONDS if self._outbox is not None else give_up
            left = 0.0 if batch else max(min(give_up, scan) - time.monotonic(), 0.0)
            try:
                self._waiting = self._with_files(self._said.get(timeout=left))
            except queue.Empty:
                if batch or time.monotonic() >= give_up:
                    break
                self._waiting = self._new_files(ended=False)
        self._heard = time.monotonic()
        return batch

    def leave(self) -> None:
        """End the worker, and remove what is left of its jobs."""
        self._ended.set()
        if (worker := self._worker) is not None:
            worker.kill()
        self._ending.close()
        shutil.rmtree(self._room, ignore_errors=True)

    def _with_files(self, message: Message) -> Iterator[Item]:
        """A message of the worker, after the files that it is about."""
        kind = message.get("type")
        if kind in FILES_FIRST:
            yield from self._new_files(ended=kind == "done")
        if kind in ENDS:
            self._outbox = None
        yield message

    def _new_files(self, *, ended: bool) -> Iterator[Item]:
        outbox = self._outbox
        self._scanned = time.monotonic()
        if outbox is not None:
            yield from outbox.look(ended=ended)

    def _keep(self) -> None:
        """Start the worker and pass on what it says: on Linux it ends with the thread that has started it."""
        log = self._room / "worker.log"
        try:
            self._worker = worker = WorkerProcess(log, WORKER, "0", "1")
        except OSError as error:
            self._said.put({"type": GONE, "obituary": str(error), "last_words": ""})
            return
        finally:
            self._started.set()
        if self._ended.is_set():  # `leave` may not have seen it
            worker.kill()
        while (message := worker.inbox.get()) is not None:
            self._said.put(message)
        worker.kill()
        if self._ended.is_set():
            return
        self._said.put({"type": GONE, "obituary": worker.obituary(), "last_words": worker.last_words()})

    def _watch(self) -> None:
        while not self._ended.wait(self._alone_seconds / 10):
            if time.monotonic() - self._heard > self._alone_seconds:
                logger.error("nobody has listened for %.0f s: this worker ends", self._alone_seconds)
                self.leave()
                os._exit(1)


def _room(farm: Path) -> Path:
    """A folder for one actor, held by a lock for as long as it lives; those of dead ones are removed."""
    farm.mkdir(parents=True, exist_ok=True)
    for other in farm.glob("*.lock"):
        lock = FileLock(other, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        except OSError as error:
            logger.warning("%s stays: %s", other, error)
            continue
        shutil.rmtree(other.with_suffix(""), ignore_errors=True)
        lock.release()
        other.unlink(missing_ok=True)
    room = farm / secrets.token_hex(8)
    lock = FileLock(room.with_suffix(".lock"), thread_local=False)
    lock.acquire(timeout=5)
    _held.append(lock)
    room.mkdir()
    return room


_held: list[FileLock] = []
"""Locks of this process; the system drops them with it."""
