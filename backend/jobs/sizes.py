"""What the folders of jobs hold of the disk, each measured anew only if it has changed."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

SETTLED_SECONDS = 2.0
"""A folder that has changed within so short a time may change once more with the same time."""

INPUTS = "inputs"
OUTPUT = "output"

Inode = tuple[int, int]
Times = tuple[int, int]


class Size(NamedTuple):
    """own: bytes of files that no other job has. inputs: of each file that others may share, by device and inode."""

    own: int
    inputs: dict[Inode, int]


class Sizes:
    """Of the jobs below `root`, which has nothing but folders of jobs and what is being made of them.

    With ten thousand jobs to look at every file takes a second of the processor, and that was done after each job. What
    changes in a job's folder shows in the time of that folder or of its output: an attempt writes down there what it
    has taken, to its very end, and a result replaces files of the output. What somebody removes by hand deeper inside
    counts until the server is started anew.

    Usable from any thread: two that measure at once do so twice.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, tuple[Times, Size]] = {}

    def of(self, jobs: Collection[str]) -> dict[str, Size]:
        """Of each of the jobs that has a folder."""
        found: dict[str, Size] = {}
        for job in jobs:
            times = _times(self._root / job)
            if times is None:
                self._known.pop(job, None)
                continue
            known = self._known.get(job)
            if known is not None and known[0] == times:
                found[job] = known[1]
                continue
            found[job] = _measured(self._root / job)
            if max(times) < time.time_ns() - 1e9 * SETTLED_SECONDS:
                self._known[job] = times, found[job]
        return found

    def forget(self, job: str) -> None:
        """Its folder is gone."""
        self._known.pop(job, None)

    def forget_others(self, jobs: Collection[str]) -> None:
        """There are no other jobs than these: another server may have removed some."""
        there = set(jobs)
        for job in list(self._known):
            if job not in there:
                self.forget(job)


def _times(folder: Path) -> Times | None:
    """When a folder and its output have changed; None where it is gone."""
    try:
        changed = os.stat(folder).st_mtime_ns  # noqa: PTH116 - of ten thousand, in which a `Path` takes most of the time
    except OSError:
        return None
    try:
        return changed, os.stat(f"{folder}/{OUTPUT}").st_mtime_ns  # noqa: PTH116
    except OSError:
        return changed, 0


def _measured(folder: Path) -> Size:
    own, inputs = 0, dict[Inode, int]()
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(place, name).lstat()
            except FileNotFoundError:  # removed by others meanwhile
                continue
            if Path(place).name == INPUTS:
                inputs[status.st_dev, status.st_ino] = status.st_size
            else:
                own += status.st_size
    return Size(own, inputs)
