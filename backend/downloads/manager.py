"""The models of one machine: look, get, pause, verify, remove. The server and the command line both use it."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from backend.downloads.folder import ModelFolder, Record
from backend.downloads.licences import Licences
from backend.downloads.offline import demand_online
from backend.downloads.views import Activity, FileView, ModelState, ModelView
from backend.errors import Problem
from backend.jobs.channel import Message
from backend.jobs.folders import storage_problem
from backend.jobs.process import WorkerProcess
from backend.weights import INSTALL_AGAIN, WEIGHTS, Sight, State, Weights, converted_folder, locate, look, own_folder

RATE_SECONDS = 5.0
LOOK_SECONDS = 1.0
DAMAGED = "weights-damaged"
HUB = "https://huggingface.co"
logger = logging.getLogger(__name__)


@dataclass
class Task:
    """Something to do with one model, and how far it is.

    kind: "get" or "verify".
    samples: (time, bytes received) of the last seconds.
    """

    kind: str
    model: str
    told: Message = field(default_factory=dict)
    samples: deque[tuple[float, int]] = field(default_factory=deque)
    process: WorkerProcess | None = None
    ended: bool = False

    def hear(self, message: Message) -> None:
        now = time.monotonic()
        self.told = message
        self.samples.append((now, message["received"]))
        while now - self.samples[0][0] > RATE_SECONDS:
            self.samples.popleft()

    @property
    def rate(self) -> float | None:
        """Bytes per second, None before anything can be said."""
        if self.told.get("stage") != "fetching" or self.told["message"] or len(self.samples) < 2:
            return None
        (began, before), (_, now) = self.samples[0], self.samples[-1]
        seconds = time.monotonic() - began
        return (now - before) / seconds if seconds >= LOOK_SECONDS / 2 else None


class Downloads:
    """The models, and a queue of tasks: one at a time, each in a process that ends with this one.

    Looking works at once; the queue's thread starts with the first task and ends with `stop()` (or `with downloads:`).

    Args:
        data: the data folder, where accepted licences are kept.
        models: the folder of models; the one that SET_DRESSER_MODELS names if left out, see `weights.models_kept_in`.
    """

    def __init__(self, data: Path, models: Path | None = None) -> None:
        self.models = models or own_folder() or data.absolute() / "models"
        self._licences = Licences(data.absolute())
        self._changed = threading.Condition()
        self._queue: deque[Task] = deque()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._problems: dict[str, Problem] = {}
        self._verified: dict[str, str] = {}

    # life

    def stop(self) -> None:
        """End what runs; what has come is kept."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            tasks = list(self._queue)
        for task in tasks:
            self._end(task)
        if self._thread:
            self._thread.join()

    def __enter__(self) -> Downloads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # models

    def list(self) -> list[ModelView]:
        """Every model of the catalogue."""
        return [self.view(identifier) for identifier in WEIGHTS]

    def view(self, identifier: str) -> ModelView:
        """One model. Raises Problem("model-not-found")."""
        weights = _row(identifier)
        folder = ModelFolder(self.models, weights)
        task = self._task_of(identifier)
        activity = self._activity(task) or _elsewhere(folder)
        seen, record = look(identifier), folder.record()
        place = seen.place.folder if seen.place else folder.root
        files = _files(weights, folder, record, seen)
        problem = self._problems.get(identifier)
        state = _state(seen, activity, problem)
        if state == ModelState.BROKEN and problem is None:
            problem = _damage(identifier)
        present = sum(file.present for file in files)
        known = all(file.bytes is not None for file in files)
        total = sum(file.bytes or 0 for file in files) if known and files else max(weights.bytes, present)
        return ModelView(
            id=identifier,
            title=weights.title,
            repository=weights.repository,
            source=weights.source,
            page=_page(weights),
            revision=weights.revision,
            licence=weights.licence,
            licence_note=weights.licence_note,
            licence_needed=self._licences.needed(weights),
            licence_accepted=self._licences.accepted(weights),
            memory_bytes=weights.memory_bytes,
            state=state,
            folder=str(place),
            ours=record is not None,
            bytes=present,
            total=total,
            files=files,
            activity=activity,
            problem=problem.document() if problem else None,  # type: ignore[arg-type]  # pydantic reads it
            verified=self._verified.get(identifier),
        )

    def get(self, identifier: str, accept_licence: bool = False) -> ModelView:
        """Start a download, or go on with it. Nothing happens if the model is there, or is being downloaded.

        Raises:
            Problem: model-not-found, licence-not-accepted, offline, model-busy (it is being checked).
        """
        weights = _row(identifier)
        if look(identifier).state == State.ready:
            self._problems.pop(identifier, None)
            return self.view(identifier)
        if weights.source == "local":
            locate(identifier)  # what is missing there no hub can bring
        self._licences.demand(weights, accept_licence)
        demand_online()
        self._enqueue(Task("get", identifier))
        return self.view(identifier)

    def pause(self, identifier: str) -> ModelView:
        """End a download, or take it from the queue; it has ended when this returns. What has come is kept."""
        _row(identifier)
        if (task := self._task_of(identifier)) is not None:
            self._end(task)
        return self.view(identifier)

    def verify(self, identifier: str) -> ModelView:
        """Hash every file; what comes of it is in `verified` or `problem`.

        Raises:
            Problem: model-not-found, weights-missing, model-busy (it is being downloaded).
        """
        weights = _row(identifier)
        if look(identifier).state == State.absent:
            locate(identifier)
        if weights.source == "local":
            self._verify_ours(weights)
            return self.view(identifier)
        self._enqueue(Task("verify", identifier))
        return self.view(identifier)

    def remove(self, identifier: str) -> ModelView:
        """Remove what was downloaded here; a download is ended first.

        Raises:
            Problem: model-not-found; model-busy (another program is at it); model-not-ours if all there is of it was
                put there by others; output-not-writable.
        """
        weights = _row(identifier)
        self.pause(identifier)
        folder, seen = ModelFolder(self.models, weights), look(identifier)
        if folder.record() is None:
            if seen.place is not None:
                what = f"{weights.repository} lies in {seen.place.folder} and was not downloaded from here."
                raise Problem("model-not-ours", what)
        else:
            try:
                with folder.locked():
                    folder.remove()
            except OSError as error:
                raise storage_problem(error, f"{folder.root} cannot be removed") from error
        if (made_of_it := converted_folder(identifier)) is not None:
            shutil.rmtree(made_of_it, ignore_errors=True)
        self._forget(identifier)
        return self.view(identifier)

    def wait(self, identifier: str, seconds: float) -> bool:
        """Whether nothing is being done here with a model, at the latest after so long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._task_of(identifier) is None, seconds)

    # the queue

    def _task_of(self, identifier: str) -> Task | None:
        with self._changed:
            return next((task for task in self._queue if task.model == identifier), None)

    def _activity(self, task: Task | None) -> Activity | None:
        if task is None:
            return None
        told = {name: task.told[name] for name in ("stage", "file", "bytes", "total", "message") if name in task.told}
        rate = task.rate
        eta = (told["total"] - told["bytes"]) / rate if rate else None
        kind = "download" if task.kind == "get" else task.kind
        return Activity(kind=kind, rate=rate, eta=eta, **{"stage": "asking" if task.process else "queued", **told})

    def _enqueue(self, task: Task) -> None:
        with self._changed:
            if (running := self._task_of(task.model)) is not None:
                if running.kind == task.kind:
                    return
                raise Problem("model-busy", f"{WEIGHTS[task.model].repository} is being worked on.")
            if self._closing:
                raise RuntimeError("the downloads were stopped")
            self._forget(task.model)
            self._queue.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="downloads", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _verify_ours(self, weights: Weights) -> None:
        """A model that comes with this program is small, and what it should be is in the catalogue."""
        self._forget(weights.id)
        folder = locate(weights.id)
        for name, digest in weights.digests.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                what = f"{folder / name} is not what comes with this program."
                self._problems[weights.id] = Problem(DAMAGED, what, INSTALL_AGAIN, weights=weights.id)
                return
        self._verified[weights.id] = datetime.now(UTC).isoformat(timespec="seconds")

    def _forget(self, identifier: str) -> None:
        self._problems.pop(identifier, None)
        self._verified.pop(identifier, None)

    def _end(self, task: Task) -> None:
        """Have a task ended, and its process gone, when this returns."""
        with self._changed:
            task.ended = True
            if task.process is None:
                if task in self._queue:
                    self._queue.remove(task)
                self._changed.notify_all()
                return
        task.process.kill()
        with self._changed:
            self._changed.wait_for(lambda: task not in self._queue)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._queue)
                if self._closing:
                    return
                task = self._queue[0]
                begun = self._begin(task)
            if begun:
                self._listen(task)
            with self._changed:
                if task in self._queue:
                    self._queue.remove(task)
                self._changed.notify_all()

    def _begin(self, task: Task) -> bool:
        """Start the process of a task, in the thread that keeps it."""
        log = self.models / ".locks" / f"{task.model}.log"
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            task.process = WorkerProcess(log, "backend.downloads.process", task.kind, task.model, str(self.models))
            return True
        except OSError as error:
            self._problems[task.model] = storage_problem(error, f"The folder {self.models} cannot be used")
            return False

    def _listen(self, task: Task) -> None:
        process = task.process
        assert process is not None
        while (message := process.inbox.get()) is not None:
            match message:
                case {"type": "progress", "received": int()}:
                    task.hear(message)
                case {"type": "done"}:
                    if task.kind == "verify":
                        self._verified[task.model] = datetime.now(UTC).isoformat(timespec="seconds")
                    task.ended = True
                case {"type": "failed", "problem": dict(problem)}:
                    self._problems[task.model] = Problem.from_document(problem)
                    task.ended = True
        process.close()
        if not task.ended:
            detail = f"The process that downloads ended unexpectedly ({process.obituary()})."
            self._problems[task.model] = Problem("internal", detail)
            logger.error("%s", detail)


def _row(identifier: str) -> Weights:
    if identifier not in WEIGHTS:
        raise Problem(
            "model-not-found", f"No model is called '{identifier[:40]}'.", f"There are: {', '.join(WEIGHTS)}."
        )
    return WEIGHTS[identifier]


def _state(seen: Sight, activity: Activity | None, problem: Problem | None) -> ModelState:
    here = activity is not None and activity.stage != "elsewhere"  # somebody else may as well be checking it
    if activity and activity.kind == "download" and (here or seen.state != State.ready):
        return ModelState.DOWNLOADING
    if (seen.fault and seen.fault.damaged) or (seen.state == State.ready and problem and problem.code == DAMAGED):
        return ModelState.BROKEN
    return ModelState(seen.state.value)


def _elsewhere(folder: ModelFolder) -> Activity | None:
    return Activity(kind="download", stage="elsewhere") if folder.is_locked() else None


def _damage(identifier: str) -> Problem | None:
    try:
        locate(identifier)
    except Problem as problem:
        return problem
    return None


def _page(weights: Weights) -> str:
    """Where people read about a model: where the catalogue says, or on the hub that HF_ENDPOINT names."""
    return weights.page or f"{(os.environ.get('HF_ENDPOINT') or HUB).rstrip('/')}/{weights.repository}"


def _files(weights: Weights, folder: ModelFolder, record: Record | None, seen: Sight) -> list[FileView]:
    """The files of a model: as the hub lists them if it was asked, otherwise those that are there or are required."""
    place = seen.place.folder if seen.place else folder.root
    if record is not None and place == folder.root:
        return [FileView(name=each.path, bytes=each.bytes, present=folder.bytes_of(each)) for each in record.files]
    ready = seen.state == State.ready
    sizes = {} if ready else {name.replace("[", "").replace("]", ""): 0 for name in weights.required}
    for parent, folders, names in os.walk(place):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):  # it has gone meanwhile, or is a link to nothing
                sizes[path.relative_to(place).as_posix()] = path.stat().st_size
    return [FileView(name=name, bytes=size if ready else None, present=size) for name, size in sorted(sizes.items())]
