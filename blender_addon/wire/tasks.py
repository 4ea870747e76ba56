"""Long doings in short slices: a task is a generator that yields whenever it must wait.

This is all the concurrency there is in the add-on: one thread, and generators that take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .http_exchange import Exchange

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A task that returns a T. `yield` gives the turn away, `yield from` does a part of it; what it owns is released in
`finally`."""


class Tasks:
    """The tasks that run, and the moment at which the current turn ends."""

    def __init__(self) -> None:
        self.deadline = 0.0
        self._running: list[tuple[Steps[Any], Callable[[Exception], None]]] = []

    def __len__(self) -> int:
        return len(self._running)

    def start(self, steps: Steps[T], failed: Callable[[Exception], None]) -> Steps[T]:
        """Give a task its first turn, so that it holds what it owns, and further ones from now on; `failed` gets the
        exception that ends it, if one does."""
        self._running.append((steps, failed))
        self.deadline = time.perf_counter()
        self._turn(steps, failed)
        return steps

    def runs(self, steps: Steps[Any]) -> bool:
        return any(entry[0] is steps for entry in self._running)

    def stop(self, steps: Steps[Any]) -> None:
        """End a task where it waits; its `finally` parts run now."""
        self._running = [entry for entry in self._running if entry[0] is not steps]
        steps.close()

    def stop_all(self) -> None:
        for steps, _ in list(self._running):
            self.stop(steps)

    def advance(self, budget: float) -> None:
        """Give every task one turn, sharing `budget` seconds; whoever came last comes first the next time."""
        end = time.perf_counter() + budget
        turns = list(self._running)
        for index, (steps, failed) in enumerate(turns):
            now = time.perf_counter()
            self.deadline = now + max(0.0, end - now) / (len(turns) - index)
            if self.runs(steps):  # another task's turn may have ended it
                self._turn(steps, failed)
        self._running = self._running[1:] + self._running[:1]

    def finish(self, exchange: Exchange) -> Steps[None]:
        """Advance an exchange until its answer is complete; it is closed whatever happens."""
        try:
            while not exchange.advance(self.deadline):
                yield
        finally:
            exchange.close()

    def pause(self, seconds: float) -> Steps[None]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield

    def _turn(self, steps: Steps[Any], failed: Callable[[Exception], None]) -> None:
        try:
            next(steps)
        except StopIteration:
            self._leave(steps)
        except Exception as error:  # noqa: BLE001 - whatever ends a task is told to whoever started it
            self._leave(steps)
            failed(error)

    def _leave(self, steps: Steps[Any]) -> None:
        self._running = [entry for entry in self._running if entry[0] is not steps]
