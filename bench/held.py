"""What processes and folders hold, read from /proc, and whether it grows: for `bench.soak`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

PROC = Path("/proc")


class Held(NamedTuple):
    """What one process holds. Memory in bytes: resident, its share of that (each page divided by who has it), and what
    is its own alone; processor: seconds taken since it began."""

    rss: int
    pss: int
    uss: int
    handles: int
    threads: int
    processor: float


def held(process: int) -> Held | None:
    """None if the process is gone, or going."""
    folder = PROC / str(process)
    try:
        kilobytes = dict(re.findall(r"^(\w+): +(\d+) kB", (folder / "smaps_rollup").read_text(), flags=re.MULTILINE))
        fields = _fields(process)
        handles = sum(1 for _ in (folder / "fd").iterdir())
    except (OSError, ProcessLookupError):
        return None
    if "Pss" not in kilobytes:
        return None
    own = sum(int(kilobytes.get(name, 0)) for name in ("Private_Clean", "Private_Dirty", "Private_Hugetlb"))
    resident, shared = (1024 * int(kilobytes[name]) for name in ("Rss", "Pss"))
    return Held(resident, shared, 1024 * own, handles, int(fields[17]), _seconds(fields))


def processor_seconds(process: int) -> float | None:
    """What a process has taken of the processor; None where the system does not tell."""
    try:
        return _seconds(_fields(process))
    except (FileNotFoundError, ProcessLookupError):
        return None


def descendants(process: int) -> dict[int, str]:
    """Processes that one has started, and those have, and that live: the command line of each, the oldest first."""
    parents, begun = dict[int, int](), dict[int, int]()
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = _fields(int(folder.name))
        except OSError:
            continue  # it has ended
        if fields[0] not in "ZX":
            parents[int(folder.name)], begun[int(folder.name)] = int(fields[1]), int(fields[19])
    found, fresh = dict[int, str](), [process]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh and child not in found]
        found.update((child, _command(child)) for child in fresh)
    return dict(sorted(found.items(), key=lambda child: begun[child[0]]))  # numbers begin anew at some time


def alive(process: int) -> bool:
    """Whether it has not ended; one that nobody has collected yet has."""
    try:
        return _fields(process)[0] not in "ZX"
    except OSError:
        return False


def size(folder: Path, without: Collection[str] = ()) -> tuple[int, int]:
    """Bytes and number of the files below a folder; files of several names count once.

    without: names of folders in it that are left out.
    """
    files: dict[tuple[int, int], int] = {}
    for place, folders, names in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in without]
        for name in names:
            try:
                status = Path(place, name).lstat()
            except FileNotFoundError:
                continue
            files[status.st_dev, status.st_ino] = status.st_size
    return sum(files.values()), len(files)


class Trend(NamedTuple):
    """How a figure runs: its median `level`, and by Theil and Sen its `slope` in an hour, between `low` and `high` with
    95 % certainty. growth: over the whole time. noise: how far figures lie from the line, as a standard deviation."""

    hours: float
    level: float
    slope: float
    low: float
    high: float
    growth: float
    noise: float

    @property
    def verdict(self) -> str:
        """It rises where that is certain, and more than the figures lie apart anyway."""
        if self.growth > self.noise and self.low > 0:
            return "rises"
        return "falls" if -self.growth > self.noise and self.high < 0 else "flat"


LEAST_POINTS = 6


def trend(seconds: Sequence[float], values: Sequence[float], each: float = 60.0) -> Trend | None:
    """The trend of the medians of each minute: neighbours in time would count as more than they tell. None where there
    are too few."""
    times, figures = np.asarray(seconds, float), np.asarray(values, float)
    bins = np.floor(times / each)
    middle = [(times[bins == one].mean(), np.median(figures[bins == one])) for one in np.unique(bins)]
    if len(middle) < LEAST_POINTS:
        return None
    hours, medians = np.array(middle).T * [[1 / 3600], [1]]
    slope, begin, low, high = stats.theilslopes(medians, hours)
    span = float(hours[-1] - hours[0])
    noise = float(stats.median_abs_deviation(medians - begin - slope * hours, scale="normal"))
    return Trend(span, float(np.median(medians)), float(slope), float(low), float(high), float(slope) * span, noise)


def _fields(process: int) -> list[str]:
    """Of /proc/PID/stat, from the state on, which is the third of proc(5)."""
    return (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()


def _seconds(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _command(process: int) -> str:
    try:
        return (PROC / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
