"""How long jobs usually take, from those that are done: what an estimate of the wait is made of."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Mapping

from backend.jobs.store import JobStore

LOOKED_AT = 15
"""So many of the newest jobs of a pipeline tell what is usual. Of these the median: what one took that waited a night
for an answer is not what the next one takes."""

MEASURED_SECONDS = 30.0
"""So long a figure counts."""


class Durations:
    """Usable from any thread."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, float | None]] = {}  # as many as there are pipelines

    def usual(self, jobs: Mapping[str, int]) -> float | None:
        """Seconds that one of these jobs takes on average; None without any, or where nothing of a kind is done yet.

        jobs: how many there are of each pipeline.
        """
        total = 0.0
        for pipeline, count in jobs.items():
            if (median := self._median(pipeline)) is None:
                return None
            total += count * median
        return total / sum(jobs.values()) if jobs else None

    def _median(self, pipeline: str) -> float | None:
        with self._lock:
            when, known = self._known.get(pipeline, (float("-inf"), None))
        if time.monotonic() - when < MEASURED_SECONDS:
            return known
        seen = self._store.durations(pipeline, LOOKED_AT)
        median = max(0.0, statistics.median(seen)) if seen else None
        with self._lock:
            self._known[pipeline] = time.monotonic(), median
        return median
