"""How long the add-on holds Blender up, slice by slice."""

from __future__ import annotations

from collections import deque


class Slices:
    """How long the main thread was held, newest last."""

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=20000)

    def longest(self) -> float:
        return max(self.seconds, default=0.0)

    def percentile(self, percent: float = 95.0) -> float:
        """The time that `percent` % of the slices did not pass."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
