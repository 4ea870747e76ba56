"""Tells whoever waits that something about the jobs has changed: threads and event loops alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class News:
    """A counter that grows with each change. Read the counter, look at the jobs, then wait for the counter to grow."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._listeners: set[Callable[[], None]] = set()
        self.count = 0

    def publish(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def wait(self, seen: int, timeout: float) -> None:
        """Return when the counter is no longer `seen`, or after `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self.count != seen, timeout)

    @contextmanager
    def listener(self, listener: Callable[[], None]) -> Iterator[None]:
        """`listener` is called, in any thread, after each change inside the block."""
        with self._condition:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._condition:
                self._listeners.discard(listener)
