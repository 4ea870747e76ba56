"""What the list tells of all jobs together: how many there are of each kind, and how long they usually take."""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from typing import NamedTuple

from backend.contract import Progress
from backend.jobs.database import Database

LOOKED_AT = 15
"""So many of the newest jobs of a pipeline tell what is usual. Of these the median: what one took that waited a night
for an answer is not what the next one takes."""

MEASURED_SECONDS = 30.0
"""So long a figure counts."""


class Count(NamedTuple):
    """How many jobs of a pipeline are in a state, and when the oldest of them was made, ISO 8601."""

    pipeline: str
    state: str
    jobs: int
    oldest: str


class Statistics:
    """Of one list of jobs. Usable from any thread. Raises Problem as `Database` does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._medians: dict[str, tuple[float, float | None]] = {}  # as many as there are pipelines

    def counts(self) -> list[Count]:
        """Of every owner, and every pipeline and state that there are jobs of."""
        with self._database.reading() as connection:
            query = "SELECT pipeline, state, COUNT(*), MIN(created) FROM jobs GROUP BY pipeline, state"
            return [Count(*row) for row in connection.execute(query)]

    def usual_seconds(self, owner: str) -> float | None:
        """What one of an owner's jobs that queue usually takes, on average; None without any, or where none of a kind
        is done yet."""
        with self._database.reading() as connection:
            query = "SELECT pipeline, COUNT(*) FROM jobs WHERE owner = ? AND state = 'queued' GROUP BY pipeline"
            jobs = {str(row[0]): int(row[1]) for row in connection.execute(query, (owner,))}
        total = 0.0
        for pipeline, count in jobs.items():
            if (median := self._median(pipeline)) is None:
                return None
            total += count * median
        return total / sum(jobs.values()) if jobs else None

    def next_end_seconds(self, owner: str) -> float | None:
        """In how many seconds the first of an owner's jobs that run ends: as it says itself, or as is usual. None
        without any, or where that is known of none."""
        with self._database.reading() as connection:
            query = (
                "SELECT pipeline, progress, 86400 * (julianday('now') - julianday(started)) AS since FROM jobs"
                " WHERE owner = ? AND state = 'running'"
            )
            rows = connection.execute(query, (owner,)).fetchall()
        known = [left for row in rows if (left := self._left(row)) is not None]
        return min(known, default=None)

    def _left(self, row: sqlite3.Row) -> float | None:
        try:
            eta = Progress.model_validate_json(row["progress"]).eta if row["progress"] else None
        except ValueError:  # pydantic's is one; the log tells of it when the row is read as a job
            eta = None
        if eta is not None:
            return eta
        median = self._median(row["pipeline"])
        return None if median is None or row["since"] is None else max(0.0, median - row["since"])

    def _median(self, pipeline: str) -> float | None:
        with self._lock:
            when, known = self._medians.get(pipeline, (float("-inf"), None))
        if time.monotonic() - when < MEASURED_SECONDS:
            return known
        seen = self._durations(pipeline)
        median = max(0.0, statistics.median(seen)) if seen else None
        with self._lock:
            self._medians[pipeline] = time.monotonic(), median
        return median

    def _durations(self, pipeline: str) -> list[float]:
        """Seconds that the newest jobs of a pipeline have taken, of those that are done."""
        with self._database.reading() as connection:
            query = (
                "SELECT 86400 * (julianday(finished) - julianday(started)) FROM jobs WHERE pipeline = ? AND"
                " state = 'done' AND started IS NOT NULL AND finished IS NOT NULL ORDER BY number DESC LIMIT ?"
            )
            return [float(row[0]) for row in connection.execute(query, (pipeline, LOOKED_AT)) if row[0] is not None]
