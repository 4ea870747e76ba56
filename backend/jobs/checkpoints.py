"""Checkpoints in a job's folder: `checkpoints/<method>/step-000000000120/`, each whole or not there; those of a part of
a run in `checkpoints/<method>/<part>/`.

Beside what the method has written (`state/`) lies `record.json`: the step, how far the run had come, and every file
with its size and hash, so that a damaged checkpoint is passed over and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from backend.contract import Warning
from backend.files import PARTIAL, sync_folder
from backend.jobs.folders import CHECKPOINTS, FILE_NAME, STEP, parts_in, steps_in
from backend.pipelines.base import MethodInfo
from backend.pipelines.checkpoints import Checkpoint, Write

NEWEST_KEPT = 2
MOST_STEPS = 10**12 - 1
LEAST_FREE_BYTES = 1 << 20
STATE, RECORD = "state", "record.json"
WARNINGS = TypeAdapter(tuple[Warning, ...])
logger = logging.getLogger(__name__)


FULL_HINT = "Free some space: if the job is cut off, it goes on from the last checkpoint that was kept."
UNUSABLE_HINT = "Nothing is to be done: what was lost is the time that it takes again."


class AnotherVersion(Exception):
    """Why a checkpoint that is whole cannot be used."""


class JobCheckpoints:
    """The `CheckpointKeeper` of one attempt at a job.

    job: the job's folder.
    tell: takes code, sentence and hint where a checkpoint could not be kept, once in an attempt, or could not be used.
    """

    def __init__(self, job: Path, tell: Callable[[str, str, str], None]) -> None:
        self._root = job / CHECKPOINTS
        self._tell = tell
        self._told: set[str] = set()
        self._folder = self._root
        self._version = ""

    def turn_to(self, method: MethodInfo) -> None:
        """Whose checkpoints are saved and found from now on."""
        self._folder, self._version = self._root / method.id, method.version

    def part(self, name: str) -> JobCheckpoints:
        """Those of one part of what is saved and found now. Raises ValueError for what is no plain word."""
        if not FILE_NAME.fullmatch(name) or STEP.fullmatch(name) or name.endswith(PARTIAL):
            raise ValueError(f"{name!r} is no name for a part of a run")
        part = JobCheckpoints(self._root.parent, self._tell)
        part._folder, part._version, part._told = self._folder / name, self._version, self._told
        return part

    def save(self, step: int, write: Write, fraction: float, warnings: list[Warning]) -> None:
        """Raises ValueError for what is no step, and whatever `write` raises on a disk that has room."""
        if not 0 <= step <= MOST_STEPS:
            raise ValueError(f"{step} is no number of steps")
        final = self._folder / f"step-{step:012d}"
        partial = self._folder / f".{final.name}{PARTIAL}"
        try:
            self._tidy()
            (partial / STATE).mkdir(parents=True)
            write(partial / STATE)
            record = {
                "format": 1,
                "version": self._version,
                "step": step,
                "fraction": fraction,
                "warnings": [warning.model_dump() for warning in warnings],
                "files": _seal(partial / STATE),
            }
            _write_through(partial / RECORD, json.dumps(record).encode())
            sync_folder(partial)
            if final.exists():
                final.rename(self._folder / f".{final.name}.former{PARTIAL}")
            partial.rename(final)
            sync_folder(self._folder)
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            if not isinstance(error, OSError) and not self._is_full():
                raise
            logger.warning("the checkpoint of step %d is not kept: %s", step, error)
            if FULL_HINT not in self._told:
                self._told.add(FULL_HINT)
                reason = (isinstance(error, OSError) and error.strerror) or "no space is left"
                sentence = f"A checkpoint could not be kept ({reason}); the work goes on without."
                self._tell("checkpoint-not-kept", sentence, FULL_HINT)
            return
        self._tidy(step)

    def latest(self) -> Checkpoint | None:
        steps = sorted(steps_in(self._folder), reverse=True)
        why, found = "", None
        for step in steps:
            folder = self._folder / f"step-{step:012d}"
            try:
                found = self._read(folder, step)
                break
            except AnotherVersion as error:
                reason = str(error)
            except (OSError, ValueError, KeyError, TypeError) as error:  # pydantic's and json's are ValueErrors
                logger.warning("the checkpoint of step %d cannot be read: %s", step, error)
                reason = "it is damaged"
            why = why or reason
            shutil.rmtree(folder, ignore_errors=True)
        if why:
            begins = "anew" if found is None else f"from step {found.step}"
            sentence = f"The checkpoint of step {steps[0]} cannot be used: {why}. The work began {begins}."
            self._tell("checkpoint-unusable", sentence, UNUSABLE_HINT)
        return found

    def _read(self, folder: Path, step: int) -> Checkpoint:
        record: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
        if record["version"] != self._version:
            raise AnotherVersion(f"it was made by version {record['version']} of the method, this is {self._version}")
        if record["step"] != step or record["files"] != _seal(folder / STATE, written=True):
            raise ValueError("it is damaged")
        return Checkpoint(step, folder / STATE, float(record["fraction"]), WARNINGS.validate_python(record["warnings"]))

    def _tidy(self, newest: int | None = None) -> None:
        """Remove what a killed attempt has left half done and, around the newest step, what is not kept any more."""
        if not self._folder.is_dir():
            return
        left = [entry for entry in self._folder.iterdir() if entry.name.endswith(PARTIAL)]
        if newest is not None:
            steps = sorted(steps_in(self._folder))
            upto = steps.index(newest) + 1  # later ones are of a course that was given up
            kept = steps[max(0, upto - NEWEST_KEPT) : upto]
            left += [self._folder / f"step-{step:012d}" for step in steps if step not in kept]
        for entry in left:
            shutil.rmtree(entry, ignore_errors=True)

    def _is_full(self) -> bool:
        """Libraries tell of a full disk in errors of their own."""
        return self._root.parent.is_dir() and shutil.disk_usage(self._root.parent).free < LEAST_FREE_BYTES


def other_version(job: Path, method: MethodInfo) -> str:
    """Which other version of the method has made a job's newest checkpoint; "" if that can be used, as far as is known
    without reading all of it."""
    for folder in parts_in(job / CHECKPOINTS / method.id):
        newest = max(steps_in(folder), default=0)
        try:
            version = json.loads((folder / f"step-{newest:012d}" / RECORD).read_bytes())["version"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if version != method.version:
            return str(version)
    return ""


def _seal(state: Path, *, written: bool = False) -> dict[str, list[Any]]:
    """Every file below a folder with its size and hash; those that are not `written` yet go through to the disk."""
    files: dict[str, list[Any]] = {}
    for path in sorted(state.rglob("*")):
        if path.is_dir():
            if not written:
                sync_folder(path)
            continue
        if not written:
            with path.open("rb+") as stream:
                os.fsync(stream.fileno())
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            files[path.relative_to(state).as_posix()] = [stream.tell(), digest]
    if not written:
        sync_folder(state)
    return files


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
