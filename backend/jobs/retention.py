"""How much of the disk finished jobs may hold, and which go first when it is more.

A job counts as fetched when somebody has had its `scene.glb`. Failed, cancelled and fetched jobs go first, the oldest
before the others; then results that nobody has fetched, but never in the first week. What has not ended never goes.
Inputs that several jobs share (see `JobFolders.create_like`) are counted once, and are freed with the last of them.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backend.errors import Problem
from backend.jobs.folders import JOB_ID, JobFolders
from backend.jobs.sizes import Size
from backend.jobs.store import Ended, JobStore

KEEP_VARIABLE = "SET_DRESSER_KEEP_BYTES"
SCENE = "scene.glb"
FETCHED = "fetched"
"""Empty file in a job's folder: its result has been given to somebody."""

UNFETCHED_KEPT = timedelta(days=7)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """jobs: folders of jobs; bytes: what they hold, shared files counted once."""

    jobs: int
    bytes: int


def keep_bytes_of_environment() -> int | None:
    """The limit that the environment names; None without one. Raises Problem("request-invalid")."""
    text = os.environ.get(KEEP_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise Problem("request-invalid", f"{KEEP_VARIABLE} is '{text[:40]}'.", "Give a whole number of bytes.")
    return int(text)


def mark_fetched(folders: JobFolders, job: str) -> None:
    """Remember that a job's result has been given to somebody."""
    try:
        (folders.path(job) / FETCHED).touch()
    except OSError as error:  # a full or read-only disk: the job merely stays longer
        logger.warning("job %s is not marked as fetched: %s", job, error)


def was_fetched(folders: JobFolders, job: str) -> bool:
    """Whether somebody has had the result that a job has now."""
    return (folders.path(job) / FETCHED).exists()


def mark_unfetched(folders: JobFolders, job: str) -> None:
    """What was given away will be replaced by another result."""
    try:
        (folders.path(job) / FETCHED).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("job %s still counts as fetched: %s", job, error)


def usage(folders: JobFolders, jobs: Collection[str] | None = None) -> Usage:
    """What all jobs of a data folder hold, those of other servers among them; or those that are named."""
    return _sum(_held(folders, jobs))


def free(store: JobStore, folders: JobFolders, keep_bytes: int) -> list[str]:
    """Remove ended jobs with their files until the rest holds no more than `keep_bytes`, or none may go any more.

    Returns the ids of those that went. Raises Problem if the list of jobs cannot be used.
    """
    removed: list[str] = []
    for job, _ in _leaving(store, folders, keep_bytes):
        try:
            store.delete(job)
        except Problem as problem:
            if problem.code not in ("job-not-found", "job-not-finished"):
                raise
            continue  # another server was faster: what it held is free all the same, or it is continued
        folders.remove(job)
        removed.append(job)
    if removed:
        logger.info("%d jobs were removed to hold the limit of %d bytes", len(removed), keep_bytes)
    return removed


def surplus(store: JobStore, folders: JobFolders, keep_bytes: int) -> Usage:
    """What `free` would remove now, and the bytes that this would free. Raises Problem as `free` does."""
    leaving = list(_leaving(store, folders, keep_bytes))
    return Usage(len(leaving), sum(freed for _, freed in leaving))


def _leaving(store: JobStore, folders: JobFolders, keep_bytes: int) -> Iterator[tuple[str, int]]:
    """The jobs that must go to hold the limit, one after the other, and the bytes that each frees."""
    held = _held(folders)
    holders = Counter(inode for size in held.values() for inode in size.inputs)
    total = _sum(held).bytes
    if total <= keep_bytes:
        return
    for job in _order(store.ended(), folders):
        if total <= keep_bytes:
            return
        size = held.get(job.id, Size(0, {}))
        freed = size.own
        for inode, of_the_file in size.inputs.items():
            holders[inode] -= 1
            freed += 0 if holders[inode] else of_the_file
        total -= freed
        yield job.id, freed


def _order(ended: list[Ended], folders: JobFolders) -> list[Ended]:
    """The jobs that may go, first those that go first."""
    fresh = datetime.now(UTC) - UNFETCHED_KEPT
    dispensable, unfetched = [], []
    for job in ended:
        if not job.has_result or was_fetched(folders, job.id):
            dispensable.append(job)
        elif datetime.fromisoformat(job.moment) < fresh:
            unfetched.append(job)
    return dispensable + unfetched


def _held(folders: JobFolders, jobs: Collection[str] | None = None) -> dict[str, Size]:
    """What every job holds, or those that are named."""
    try:
        with os.scandir(folders.root) as entries:
            names = [entry.name for entry in entries if JOB_ID.fullmatch(entry.name)]
    except FileNotFoundError:
        return {}
    if jobs is None:
        folders.sizes.forget_others(names)
    return folders.sizes.of([name for name in names if jobs is None or name in jobs])


def _sum(held: Mapping[str, Size]) -> Usage:
    inputs = {inode: size for each in held.values() for inode, size in each.inputs.items()}
    return Usage(len(held), sum(each.own for each in held.values()) + sum(inputs.values()))
