"""The pause after workers that did not start, in which jobs wait instead of failing one after the other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backend.contract import Waiting
from backend.errors import Problem


@dataclass(frozen=True)
class Cooling:
    """No worker could be started, several times in a row: why, and when (`time.monotonic`) it is tried again."""

    problem: Problem
    until: float

    def seconds_left(self) -> float:
        return max(0.0, self.until - time.monotonic())

    def told(self) -> Waiting | None:
        """As jobs show it; None once the time has come."""
        seconds = self.seconds_left()
        if not seconds:
            return None
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        return Waiting(detail=self.problem.detail, hint=self.problem.hint, until=until.replace("+00:00", "Z"))
