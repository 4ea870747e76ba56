"""How many pixels are decoded at the same time: several large pictures wait for each other, small ones for nobody."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

SMALL = 2_000_000
"""Pictures of fewer pixels pass at once: so many of them as come together are not what fills the memory."""


class PixelBudget:
    """A number of pixels that may be decoded at once, shared in the order of asking."""

    def __init__(self, pixels: int) -> None:
        self._total = self._free = pixels
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Wait until a picture of so many pixels may be decoded, and let nobody else have them meanwhile.

        A picture larger than all there is waits until it is alone.
        """
        if pixels < SMALL:
            yield
            return
        wanted, ticket = min(pixels, self._total), object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._free >= wanted)
                self._free -= wanted
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
