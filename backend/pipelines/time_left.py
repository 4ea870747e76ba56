"""How far a run has come, and how long the rest will take: arithmetic on fractions and moments."""

from __future__ import annotations

from collections.abc import Callable

LEAST_SHARE = 0.02
"""Of what was left to do when the measuring began: so much must be done before a pace is known."""


class Advance:
    """The course of one attempt at a run. Fractions are of the whole run, 0 to 1.

    The time left comes from this attempt's own pace: what an earlier attempt has done took no time in this one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = (0.0, clock())
        self._resumes_at: float | None = None
        self.fraction = 0.0

    def resumes(self, fraction: float = 0.0) -> None:
        """Work of an earlier attempt was found: up to `fraction`, or to whatever is told next, nothing is to be done.

        The pace is measured from there on.
        """
        self._resumes_at = fraction

    def to(self, fraction: float) -> float | None:
        """Go on to `fraction`; never goes back. Returns the seconds left, None while no pace is known."""
        self.fraction = max(self.fraction, fraction)
        now = self._clock()
        if self._resumes_at is not None:
            if self.fraction < self._resumes_at:
                return None
            self._resumes_at, self._began = None, (self.fraction, now)
        begun, since = self._began
        done = self.fraction - begun
        if done <= LEAST_SHARE * (1 - begun):
            return None
        return (now - since) / done * (1 - self.fraction)
