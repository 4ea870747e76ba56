"""Answers in progress, kept in files: a Blender that is killed shows the same question with the same draft again.

One small file for each job, `<user>/drafts/<job>.json`: which question it asks, by its digest, and plain values of the
draft. It goes when the question is answered, when the job has ended, or after a month.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..ground import folders
from ..ground.files import write_whole
from ..ground.privacy import private_folder
from .questions import FILE_NAME, Question

FORMAT = 1
LONGEST_SECONDS = 31 * 24 * 3600.0

_kept: set[str] = set()
"""Jobs that have a file: the panel's tick must not look at the disk to find that there is none."""


def read(question: Question) -> tuple[bool, Mapping[str, Any]] | None:
    """Whether the draft was for this very question or a former one of the job, and its values; None if there is none,
    or it cannot be read."""
    if question.job not in _kept:
        return None
    try:
        document = json.loads(_path(question.job).read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["kind"] != question.kind:
            return None
        return document["question"] == question.digest, dict(document["draft"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write(question: Question, values: Mapping[str, Any]) -> None:
    """Keep the values of a draft. Raises OSError."""
    if not FILE_NAME.fullmatch(question.job):
        return
    document = {"format": FORMAT, "question": question.digest, "kind": question.kind, "draft": values}
    private_folder(_folder())
    write_whole(_path(question.job), json.dumps(document).encode())
    _kept.add(question.job)


def answered(job: str, given: Mapping[str, Any]) -> None:
    """The server has taken an answer. One that has it ask again leaves the draft for the next question."""
    if "regenerate" not in given:
        forget([job])


def forget(jobs: Collection[str]) -> None:
    """Remove the drafts of these jobs."""
    for job in _kept.intersection(jobs):
        _kept.discard(job)
        with suppress(OSError):  # it merely stays, and goes when it is old
            _path(job).unlink(missing_ok=True)


def register() -> None:
    """See what there is, without what is too old."""
    _kept.clear()
    oldest = time.time() - LONGEST_SECONDS
    if not _folder().is_dir():
        return
    for path in _folder().iterdir():
        with suppress(OSError):  # another Blender may be quicker
            if path.stat().st_mtime < oldest:
                path.unlink()
            elif path.suffix == ".json":
                _kept.add(path.stem)


def unregister() -> None:
    _kept.clear()


def _folder() -> Path:
    return folders.place() / "drafts"


def _path(job: str) -> Path:
    return _folder() / f"{job}.json"
