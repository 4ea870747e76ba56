"""Progress at a pace that an eye can follow."""

from __future__ import annotations

import time
from collections.abc import Callable

from backend.jobs.executor import Report

PROGRESS_SECONDS = 0.1


class Pace:
    """Passes reports on, but of the progress within one stage only the latest of every tenth of a second.

    Nothing is late for ever: the caller looks in after `due` seconds, and every other report sends the held one first.
    """

    def __init__(
        self,
        report: Callable[[Report], None],
        seconds: float = PROGRESS_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._clock = clock
        self._seconds = seconds
        self._held: Report | None = None
        self._stage: object = None
        self._next = 0.0

    @property
    def due(self) -> float | None:
        """Seconds until `look` should be called; None while nothing is held."""
        return None if self._held is None else max(0.0, self._next - self._clock())

    def take(self, report: Report) -> None:
        if report.type == "progress" and report.data["stage_index"] == self._stage and self._clock() < self._next:
            self._held = report
            return
        if report.type != "progress" or report.data["stage_index"] != self._stage:
            self.release()
        self._send(report)

    def look(self) -> None:
        """Pass on what is held if its time has come."""
        if self.due == 0.0:
            self.release()

    def release(self) -> None:
        """Pass on what is held."""
        if self._held is not None:
            self._send(self._held)

    def _send(self, report: Report) -> None:
        if report.type == "progress":
            self._held = None
            self._stage = report.data["stage_index"]
            self._next = self._clock() + self._seconds
        self._report(report)
