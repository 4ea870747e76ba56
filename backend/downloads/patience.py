"""Which failures are tried again, when, and for how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from backend.errors import Problem

LONGEST_ASKED_SECONDS = 300.0


class Transient(Exception):
    """A failure that may pass.

    problem: what it is if it does not.
    wait: seconds that the other side has asked for.
    """

    def __init__(self, problem: Problem, wait: float | None = None) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.wait = wait


class Patience:
    """Waits between attempts, longer each time, until there were too many in a row without any success.

    Args:
        attempts: fruitless ones in a row until the problem is raised.
        first: seconds before the second attempt; doubled each time, and spread by half up and down, so that many
            machines do not come back together.
        longest: seconds; what the other side asks for is waited even so, up to five minutes.
        tell: gets a sentence before each wait.
    """

    def __init__(self, attempts: int, first: float, longest: float, tell: Callable[[str], None]) -> None:
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._tell = tell
        self._failures = 0

    def reward(self) -> None:
        """Something has come: the count begins anew."""
        self._failures = 0

    def wait(self, failure: Transient) -> None:
        """Raises the failure's problem if there were too many, or the wait that was asked for is too long."""
        problem = failure.problem
        self._failures += 1
        if failure.wait is not None and failure.wait > LONGEST_ASKED_SECONDS:
            hint = f"Start again in {failure.wait / 60:.0f} minutes; what has come so far is kept."
            raise Problem(problem.code, problem.detail, hint) from failure
        if self._failures >= self._attempts:
            raise problem from failure
        seconds = min(self._longest, self._first * 2 ** (self._failures - 1)) * random.uniform(0.5, 1.5)
        seconds = max(seconds, failure.wait or 0.0)
        self._tell(f"{problem.detail} Trying again in {seconds:.0f} s.")
        time.sleep(seconds)
