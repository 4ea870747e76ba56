"""Tells whoever waits that something about the jobs has changed: threads and event loops alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class News:
    """A counter that grows with each change. Read the counter, look at the jobs, then wait for the counter to grow."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._listeners: dict[Callable[[], None], str] = {}
        self.count = 0

    def publish(self, job: str | None = None) -> None:
        """Something of a job has changed; None for what concerns every one."""
        with self._condition:
            self.count += 1
            self._condition.notify_all()
            listeners = [listener for listener, one in self._listeners.items() if job is None or job == one]
        for listener in listeners:
            listener()

    def wait(self, seen: int, timeout: float) -> None:
        """Return when the counter is no longer `seen`, or after `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self.count != seen, timeout)

    @contextmanager
    def listener(self, listener: Callable[[], None], job: str) -> Iterator[None]:
        """`listener` is called, in any thread, after each change of a job inside the block.

        What is new of one job is no work for those who follow others: forty of them would take a fifth of a processor.
        """
        with self._condition:
            self._listeners[listener] = job
        try:
            yield
        finally:
            with self._condition:
                del self._listeners[listener]
