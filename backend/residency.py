"""Networks that stay on the device between jobs, so that the next job of the same kind begins at once.

One worker runs one job at a time, so there is one holder. A job of another kind clears it before it measures free
memory; when the worker rests, everything goes with its process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Residency:
    """At most one thing, that of one pipeline in one form (folder, device, precision)."""

    def __init__(self) -> None:
        self._pipeline = ""
        self._form: Hashable = None
        self._held: Any = None

    def held_by(self, pipeline: str) -> Any:
        """What is held for this pipeline; None if nothing is."""
        return self._held if self._pipeline == pipeline else None

    def take(self, pipeline: str, form: Hashable, make: Callable[[], T]) -> T:
        """What is held in this form, or else what `make` gives. It is not held any more; see `keep`."""
        if self._held is not None and (self._pipeline, self._form) == (pipeline, form):
            held: T = self._held
            self.clear()
            return held
        self.clear()
        return make()

    def keep(self, pipeline: str, form: Hashable, value: object) -> None:
        """Hold this until it is taken or cleared."""
        self._pipeline, self._form, self._held = pipeline, form, value

    def clear(self) -> None:
        """Let go."""
        self._pipeline, self._form, self._held = "", None, None


residency = Residency()
"""The worker's own."""
