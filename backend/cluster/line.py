"""The way to one worker on another machine: what is sent, what comes home, and what its end means."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Protocol

from backend import __version__
from backend.cluster.machines import Machine
from backend.cluster.models import Hashes, model, pieces
from backend.cluster.node import BATCH_BYTES, GONE
from backend.cluster.outbox import COMES_HOME, LOG, REQUEST, Begin, Item, LogLines, going_out
from backend.cluster.parcels import Arrivals, Damaged, Piece, Present
from backend.cluster.rays import Broken, Gone
from backend.contract import GenerateRequest, Progress
from backend.errors import Problem
from backend.jobs.channel import Message
from backend.jobs.folders import storage_problem
from backend.pipelines import find_pipeline
from backend.preparations import chosen_preparations

START_SECONDS = 60.0
CALL_SECONDS = 60.0
MODEL_SECONDS = 3600.0
LEAVE_SECONDS = 3.0
TELL_SECONDS = 1.0
Cause = Literal["ended", "full", "lost", "refused", "died", "not-started"]
"""Why a worker has ended: it was told to; the machine had no room for it after all; actor, machine or the way there is
gone; the machine cannot take the job; the worker process has ended; none could be begun."""

logger = logging.getLogger(__name__)


class Remote(Protocol):
    """See `rays.Actor`."""

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Models:
    """What all lines share to fill folders of models: one at a time on a machine. filled: by machine."""

    hashes: Hashes
    filling: Mapping[str, threading.Lock]
    filled: Mapping[str, set[str]]


class Line:
    """One worker, from its start to its end.

    jobs: the folder of all jobs, at home.
    shared: the machines see it under the same path.
    tell: takes what is said to the server.
    gone: is told once, when the worker has ended: why, and a sentence.

    `send` and `end` are called from any thread and return at once.
    """

    def __init__(
        self,
        remote: Remote,
        machine: Machine,
        jobs: Path,
        models: Models,
        *,
        shared: bool,
        tell: Callable[[Message], None],
        gone: Callable[[Cause, str], None],
    ) -> None:
        self._remote = remote
        self.machine = machine
        self._jobs = jobs
        self._models = models
        self._shared = shared
        self._tell = tell
        self._gone = gone
        self._commands: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._closing = threading.RLock()
        self._ended = self._ready = False
        self._job = ""
        self._arrivals: Arrivals | None = None
        for work, name in ((self._send, "sending"), (self._listen, "listening")):
            threading.Thread(target=work, name=name, daemon=True).start()

    def send(self, message: Message) -> None:
        """A message for the worker; with {"type": "run"} the files of the job, and its "models", go before it."""
        self._commands.put(message)

    def end(self, cause: Cause, why: str, *, kill: bool) -> None:
        """Have the worker leave, at once or in good order. Only the first call counts."""
        with self._closing:
            if self._ended:
                return
            self._ended = True
        self._commands.put(None)
        threading.Thread(target=self._part, args=(cause, why, kill), name="parting", daemon=True).start()

    def _part(self, cause: Cause, why: str, kill: bool) -> None:
        try:
            if not kill:
                self._remote.call("leave", timeout=LEAVE_SECONDS)
        except (Gone, Broken, TimeoutError) as error:
            logger.info("the worker on %s did not leave by itself: %s", self.machine.host, error)
        try:
            self._remote.kill()
        except Gone as error:
            logger.info("the worker on %s had gone: %s", self.machine.host, error)
        with self._closing:
            if self._arrivals is not None:
                self._arrivals.clear()
        self._gone(cause, why)

    @contextmanager
    def _ending_by(self, refused: str, files: str) -> Iterator[None]:
        """Inside, what goes wrong ends the worker, with a sentence that begins with `refused`, or fails the job where
        its `files` at home are to blame."""
        try:
            yield
        except Gone as error:
            self.end("lost", self._about(error), kill=True)
        except TimeoutError as error:
            self.end("lost", f"{self.machine.host} does not answer: {error}.", kill=True)
        except (Broken, Damaged) as error:
            self.end("refused", f"{refused}: {error}.", kill=True)
        except OSError as error:
            self._fail(storage_problem(error, files))
        except Exception as error:
            logger.exception("the worker on %s cannot go on", self.machine.host)
            self.end("refused", f"{refused} ({type(error).__name__}).", kill=True)

    # sending

    def _send(self) -> None:
        while (message := self._commands.get()) is not None:
            with self._ending_by(f"{self.machine.host} cannot take the job", "The job's files cannot be read"):
                if message["type"] == "run":
                    self._run(message)
                else:
                    self._remote.call("take", [message], timeout=CALL_SECONDS)

    def _run(self, message: Message) -> None:
        job = message["job"]
        folder = self._jobs / job
        with self._closing:
            self._job, self._arrivals = job, Arrivals(folder, COMES_HOME)
            self._arrivals.sweep(0)
        self._fill(job, message.get("models", ()))
        if not (folder / REQUEST).is_file():
            self._fail(Problem("inputs-gone", "The folder of this job is not there any more."))
            return
        run: Message = {"type": "run", "job": job, "folder": ""}
        for batch in batches(chain(going_out(folder, job, shared=self._shared), [run])):
            self._remote.call("take", batch, timeout=CALL_SECONDS)

    def _fill(self, job: str, identifiers: Iterable[str]) -> None:
        """See that the machine has the models that the job needs, and this machine has."""
        filled = self._models.filled[self.machine.id]
        wanted = [name for name in identifiers if name not in filled]
        if not wanted or self._shared:
            return
        with self._models.filling[self.machine.id]:
            for name in wanted:
                known = model(name, self._models.hashes)
                if known is None:
                    continue
                missing = self._remote.call("missing", known, timeout=MODEL_SECONDS)
                total = sum(file.bytes for file in known.files if file.name in missing)
                sent, told = 0, 0.0
                for batch in batches(pieces(known, missing)):
                    if time.monotonic() - told > TELL_SECONDS:
                        told = time.monotonic()
                        self._tell(preparing(self._jobs / job, job, f"{name} to {self.machine.host}", sent, total))
                    self._remote.call("take_model", batch, timeout=CALL_SECONDS)
                    sent += sum(len(piece.data) for piece in batch)
                self._remote.call("note_model", known, timeout=CALL_SECONDS)
                filled.add(name)

    def _fail(self, problem: Problem) -> None:
        """End the job, and the worker with it, which knows nothing of that."""
        self._tell({"type": "failed", "job": self._job, "problem": problem.document()})
        self.end("ended", "", kill=True)

    # listening

    def _listen(self) -> None:
        try:
            about = self._remote.call("about", timeout=START_SECONDS)
        except TimeoutError:
            self.end("full", f"{self.machine.host} had no room any more.", kill=True)
            return
        except Gone as error:
            self.end("lost", self._about(error), kill=True)
            return
        except Broken as error:
            self.end("not-started", f"No worker starts on {self.machine.host}: {error}.", kill=True)
            return
        if about["version"] != __version__:
            why = f"{self.machine.host} has version {about['version']} of Set Dresser, this server {__version__}"
            self.end("not-started", f"{why}; install the same on both.", kill=True)
            return
        while not self._ended:
            with self._ending_by(f"What {self.machine.host} sends cannot be used", "The job's files cannot be written"):
                for item in self._remote.call("listen", timeout=CALL_SECONDS):
                    self._take(item)

    def _take(self, item: Item) -> None:
        """Files are at home before the message after them is passed on; nothing comes after the end."""
        with self._closing:
            if self._ended:
                return
            folder = self._jobs / self._job
            if isinstance(item, Piece | Present | LogLines):
                if folder.is_dir():  # a job that was deleted has none
                    self._bring_home(folder, item)
            elif not isinstance(item, Begin):
                if item.get("type") == GONE:
                    self._bury(item)
                    return
                self._ready = True
                self._tell(item)

    def _bring_home(self, folder: Path, item: Piece | Present | LogLines) -> None:
        if self._arrivals is None:  # the job has been given back
            return
        if isinstance(item, Piece):
            self._arrivals.take(item)
        elif isinstance(item, Present):
            self._arrivals.keep(item)
        else:
            with (folder / LOG).open("ab") as stream:
                stream.write(item.data)

    def _bury(self, item: Message) -> None:
        """The worker process has ended, though not the actor."""
        where = self.machine.host
        if self._ready:
            self.end("died", f"The worker process on {where} ended during this job ({item['obituary']}).", kill=True)
        else:
            reason = item["last_words"] or item["obituary"]
            self.end("not-started", f"The worker process on {where} did not start ({reason}).", kill=True)

    def _about(self, error: Gone) -> str:
        return f"The worker on {self.machine.host} is gone: {error}."


def batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Items in lists of so many bytes, the last one of what is left."""
    batch: list[Any] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.data) if isinstance(item, Piece | LogLines) else 1
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def preparing(folder: Path, job: str, what: str, sent: int, total: int) -> Message:
    """What a job shows while a model is sent to its machine. Raises Problem for a request that cannot be read."""
    request = GenerateRequest.model_validate_json((folder / REQUEST).read_bytes())
    info = find_pipeline(request.pipeline)
    methods = [(one, one.check(request.prepare[one.id])) for one in chosen_preparations(request.prepare)]
    stages = [stage for method, chosen in methods for stage in method.stages_of(chosen)]
    stages += info.stages_of(info.check(request.parameters))
    progress = Progress(
        stage=stages[0].name,
        stage_index=0,
        stage_count=len(stages),
        fraction=0,
        elapsed=0,
        message=f"Sending {what}: {sent / 1e9:.1f} of {total / 1e9:.1f} GB",
    )
    return {"type": "progress", "job": job, "data": progress.model_dump()}
