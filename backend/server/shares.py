"""What each user holds of the disk, jobs and uploads together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from backend.errors import Problem

MEASURED_SECONDS = 30.0
"""So long a figure counts; what comes meanwhile is added to it. To measure takes a look at every file."""


class Shares:
    """Figures, each measured now and then. Usable from any thread.

    measure: the bytes that a user holds now. most: what each may hold; None for no limit.
    """

    def __init__(self, measure: Callable[[str], int], most: int | None) -> None:
        self._measure = measure
        self.most = most
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, int]] = {}

    def check(self, user: str, more: int) -> None:
        """Whether there is room for so many bytes; they count as held from now on. Raises Problem("share-used-up")."""
        if self.most is None:
            return
        held = self.held(user)
        if held + more > self.most:
            detail = f"You hold {_size(held)} of {_size(self.most)}, and {_size(more)} more would come."
            raise Problem("share-used-up", detail)
        with self._lock:
            when, before = self._known.get(user, (time.monotonic(), held))
            self._known[user] = when, before + more

    def give_back(self, user: str, less: int) -> None:
        """So many bytes that `check` has counted did not come."""
        with self._lock:
            if user in self._known:
                when, held = self._known[user]
                self._known[user] = when, max(0, held - less)

    def held(self, user: str) -> int:
        """The bytes that a user holds, as far as they are known."""
        with self._lock:
            when, held = self._known.get(user, (float("-inf"), 0))
        if time.monotonic() - when < MEASURED_SECONDS:
            return held
        held = self._measure(user)
        with self._lock:
            self._known[user] = time.monotonic(), held
        return held

    def forget(self, user: str) -> None:
        """Something of theirs was removed: the figure is measured anew when it is wanted."""
        with self._lock:
            self._known.pop(user, None)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
