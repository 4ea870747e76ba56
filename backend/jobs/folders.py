"""The folder of a job: `request.json`, `inputs/`, `kept/`, `checkpoints/`, `previews/`, `output/`, `log.txt`.

See docs/architecture.md.

A folder is written under another name and renamed when it is complete. Ids are 96 random bits in lower-case
hexadecimal: nobody guesses them, and no file system folds, reserves or misreads them.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs

from backend.contract import GenerateRequest, OutlineFiles
from backend.errors import Problem
from backend.jobs.sizes import Sizes

HOME_VARIABLE = "SET_DRESSER_HOME"
JOB_ID = re.compile(r"[0-9a-f]{24}")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
STEP = re.compile(r"step-(\d{12})")
PARTIAL = ".partial"
KEPT = "kept"
"""Folder of what a job shows before it has a result; see `Context.keep`."""

CHECKPOINTS = "checkpoints"
"""Folder of what an attempt can be continued from; see `Context.checkpoints`."""

PREVIEWS = "previews"
"""Folder of what a job shows of itself while it runs; see `Context.preview`."""

ANSWERS = "answers.json"
SPENT = "spent.json"

ABANDONED_SECONDS = 3600.0
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def default_data_folder() -> Path:
    """Where jobs are kept if nothing else is said: the folder that `SET_DRESSER_HOME` names, or the user's."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("set-dresser", appauthor=False)


class JobFolders:
    """The folders of all jobs below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sizes = Sizes(root)

    def path(self, job: str) -> Path:
        """The folder of a job. Raises Problem("job-not-found") for anything that is not an id."""
        if not JOB_ID.fullmatch(job):
            raise Problem("job-not-found", f"'{job[:40]}' is not the id of a job.")
        return self.root / job

    def create(
        self,
        request: GenerateRequest,
        images: list[bytes],
        instances: bytes | None,
        depth: bytes | None,
        outlines: Sequence[OutlineFiles] = (),
    ) -> str:
        """Write a new job's folder and return its id. Raises Problem("disk-full") and leaves nothing behind."""

        def write(inputs: Path) -> None:
            for index, image in enumerate(images):
                (inputs / f"image-{index}.bin").write_bytes(image)
            if instances is not None:
                (inputs / "instances.bin").write_bytes(instances)
            if depth is not None:
                (inputs / "depth.npy").write_bytes(depth)
            for index, layer in enumerate(outlines):
                (inputs / f"outlines-{index}.bin").write_bytes(layer.outlines)
                if layer.depth is not None:
                    (inputs / f"outline_depths-{index}.npy").write_bytes(layer.depth)

        return self._create(request, write)

    def create_like(self, request: GenerateRequest, other: str, *, answers: bool = False) -> str:
        """As `create`, with the inputs of another job: the same files where the file system can (inputs never change),
        copies elsewhere. `answers`: and with what was answered there, see `backend/jobs/answers.py`."""

        def write(inputs: Path) -> None:
            for path in (self.path(other) / "inputs").iterdir():
                try:
                    os.link(path, inputs / path.name)
                except OSError:
                    shutil.copyfile(path, inputs / path.name)
            given = self.path(other) / ANSWERS
            if answers and given.is_file():
                shutil.copyfile(given, inputs.parent / ANSWERS)

        return self._create(request, write)

    def _create(self, request: GenerateRequest, write_inputs: Callable[[Path], None]) -> str:
        job = secrets.token_hex(12)
        partial = self.root / (job + PARTIAL)
        try:
            (partial / "inputs").mkdir(parents=True)
            (partial / "output").mkdir()
            (partial / "request.json").write_text(request.model_dump_json(indent=2), encoding="utf-8")
            write_inputs(partial / "inputs")
            partial.rename(self.path(job))
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise storage_problem(error, "The job cannot be stored") from error
        return job

    def reached(self, job: str) -> int:
        """How far a job's checkpoints reach: the newest steps of its methods and their parts, added up, and one for
        each of these, as there can be one before the first step; 0 without."""
        methods = _listed(self.path(job) / CHECKPOINTS)
        return sum(max(steps_in(part), default=-1) + 1 for method in methods for part in parts_in(method))

    def files(self, job: str) -> tuple[str, ...]:
        """The names of the files of an ended job, sorted: plain names only, nothing half-written."""
        folders = [self.path(job) / name for name in ("output", KEPT)]
        names = {entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.is_file()}
        return tuple(sorted(name for name in names if FILE_NAME.fullmatch(name)))

    def outcome(self, job: str) -> tuple[tuple[str, ...], bool] | None:
        """The files of a job whose result is whole, and whether it was ended early; None if there is no such result.

        Whoever ran it may have gone before that was noted: `result.json` is written last.
        """
        try:
            result = json.loads((self.path(job) / "output" / "result.json").read_bytes())
            return (self.files(job), bool(result["finished_early"])) if result["job"] == job else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def find(self, job: str, name: str) -> Path | None:
        """A file of the result, or one that the job has kept or shown so far; None if there is no such file."""
        if not FILE_NAME.fullmatch(name):
            return None
        paths = (self.path(job) / folder / name for folder in ("output", KEPT, PREVIEWS))
        return next((path for path in paths if path.is_file()), None)

    def clear_failed(self, job: str, *, former_result: bool, resumable: bool) -> None:
        """Remove what an attempt that did not end well has written.

        former_result: the output is that of an earlier attempt, which still counts.
        resumable: there are checkpoints; what was kept stays with them, for the attempt that goes on from there.
        """
        output = self.path(job) / "output"
        if not former_result:
            shutil.rmtree(output, ignore_errors=True)
        if not resumable:
            shutil.rmtree(self.path(job) / KEPT, ignore_errors=True)
        output.mkdir(exist_ok=True)

    def clear_done(self, job: str) -> None:
        """Remove what nobody needs of a job that has come to its end."""
        for name in (CHECKPOINTS, PREVIEWS):
            shutil.rmtree(self.path(job) / name, ignore_errors=True)

    def remove(self, job: str) -> None:
        """Remove the folder. What cannot be removed now (a file open on Windows) is swept later."""
        shutil.rmtree(self.path(job), ignore_errors=True)
        self.sizes.forget(job)

    def sweep(self, listed: Callable[[str], bool], complete: Callable[[str], bool] = lambda job: False) -> None:
        """Remove what crashes have left: old folders of jobs that are not in the list and have no result, and the
        checkpoints of those that are `complete`."""
        if not self.root.is_dir():
            return
        before = time.time() - ABANDONED_SECONDS
        for entry in self.root.iterdir():
            job = entry.name.removesuffix(PARTIAL)
            if JOB_ID.fullmatch(entry.name) and (entry / CHECKPOINTS).is_dir() and complete(entry.name):
                self.clear_done(entry.name)
            if not JOB_ID.fullmatch(job) or not entry.is_dir() or entry.stat().st_mtime > before:
                continue
            if entry.name.endswith(PARTIAL) or not (listed(job) or (entry / "output" / "result.json").exists()):
                shutil.rmtree(entry, ignore_errors=True)


def steps_in(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, in no order."""
    return [int(found[1]) for entry in _listed(folder) if (found := STEP.fullmatch(entry.name))]


def parts_in(folder: Path) -> list[Path]:
    """The folder of a method's checkpoints, and those in it of the parts of a run."""
    there = [entry for entry in _listed(folder) if not STEP.fullmatch(entry.name) and not entry.name.endswith(PARTIAL)]
    return [folder, *sorted(there)]


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing where there is none."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def storage_problem(error: OSError, what: str, place: str = "in the data folder") -> Problem:
    """An error of the file system as a problem; `what` begins the sentence, and `place` is where space is missing."""
    if error.errno in NO_SPACE:
        return Problem("disk-full", f"{what}: no space is left {place}.")
    return Problem("output-not-writable", f"{what}: {error.strerror or error}.")
