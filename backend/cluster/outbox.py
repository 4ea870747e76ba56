"""What of a job's folder has to travel: out to the machine that runs it, and home while it runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.cluster.parcels import Piece, Present, all_below, packed
from backend.files import PARTIAL
from backend.jobs.channel import Message
from backend.jobs.folders import ANSWERS, CHECKPOINTS, KEPT, PREVIEWS, SPENT, STEP, parts_in

REQUEST, INPUTS, OUTPUT, RESULT, LOG = "request.json", "inputs", "output", "result.json", "log.txt"
COMES_HOME = (KEPT, PREVIEWS, CHECKPOINTS, SPENT, OUTPUT)
LOG_BYTES = 1 << 20
Signature = tuple[int, int, int]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Begin:
    """What comes next is another job's; what is left of the one before goes."""

    job: str


@dataclass(frozen=True)
class LogLines:
    """What the worker has said since, to be added to the job's log."""

    data: bytes


Item = Piece | Present | Begin | LogLines | Message
"""What travels, in order: files before the message that tells of them."""


def going_out(folder: Path, job: str, *, shared: bool) -> Iterator[Item]:
    """All that an attempt at a job needs. Raises OSError."""
    yield Begin(job)
    kept = [name for name in (SPENT, ANSWERS, REQUEST) if (folder / name).is_file()]
    for name in kept:
        yield from packed(folder, "", [name], whole=False, shared=shared)
    for name in (INPUTS, KEPT):
        if names := all_below(folder / name):
            yield from packed(folder, name, names, whole=True, shared=shared)
    for step in _steps(folder):
        yield from packed(folder, step, all_below(folder / step), whole=True, shared=shared)


class Outbox:
    """What is new in a job's folder on the machine that runs it. What is there when it is made has come from home.

    shared: whether home can read this folder.
    """

    def __init__(self, folder: Path, *, shared: bool) -> None:
        self._folder = folder
        self._shared = shared
        self._sent = {path: _signature(folder / path) for path in self._files()}
        self._steps = set(_steps(folder))
        self._logged: int | None = None

    def look(self, *, ended: bool = False) -> Iterator[Item]:
        """Everything that is new; of a job that has ended the result, too. What goes away meanwhile is left out."""
        for path in self._files():
            now = _signature(self._folder / path)
            if now is not None and now != self._sent.get(path):
                into, _, name = path.rpartition("/")
                yield from self._packed(into, [name], whole=False)
                self._sent[path] = now
        for step in _steps(self._folder):
            if step not in self._steps:
                yield from self._packed(step, all_below(self._folder / step), whole=True)
                self._steps.add(step)
                there = [path.name for path in (self._folder / step).parent.iterdir() if PARTIAL not in path.name]
                yield Present(step.rpartition("/")[0], tuple(sorted(there)))
        if ended:
            yield from self._result()
        yield from self._log()

    def _result(self) -> Iterator[Item]:
        names = [name for name in all_below(self._folder / OUTPUT) if not name.startswith(".")]
        if RESULT in names:
            names.remove(RESULT)
            yield from packed(self._folder, OUTPUT, [*names, RESULT], whole=False, shared=self._shared)
            yield Present(KEPT, tuple(all_below(self._folder / KEPT)))

    def _packed(self, into: str, names: list[str], *, whole: bool) -> Iterator[Item]:
        try:
            yield from packed(self._folder, into, names, whole=whole, shared=self._shared)
        except FileNotFoundError as error:  # a newer one has taken its place
            logger.info("not sent home: %s", error)

    def _log(self) -> Iterator[Item]:
        path = self._folder / LOG
        if not path.is_file():
            return
        if self._logged is None:  # an empty one is there, too
            self._logged = 0
            yield LogLines(b"")
        with path.open("rb") as stream:
            stream.seek(self._logged)
            while data := stream.read(LOG_BYTES):
                self._logged += len(data)
                yield LogLines(data)

    def _files(self) -> list[str]:
        """Those that appear whole, and may be replaced."""
        found = [SPENT] if (self._folder / SPENT).is_file() else []
        for name in (KEPT, PREVIEWS):
            below = all_below(self._folder / name)
            found += [f"{name}/{each}" for each in below if not each.endswith("/") and PARTIAL not in each]
        return found


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _steps(folder: Path) -> list[str]:
    """Every checkpoint that is whole, by its path below the job's folder, the oldest first."""
    root = folder / CHECKPOINTS
    methods = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    steps = [
        step
        for method in methods
        for part in parts_in(method)
        if part.is_dir()
        for step in part.iterdir()
        if STEP.fullmatch(step.name)
    ]
    return [step.relative_to(folder).as_posix() for step in sorted(steps, key=lambda step: (step.parent, step.name))]
