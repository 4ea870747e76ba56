"""The server's log: what repeats itself is counted, and the file stays small, whatever strangers do."""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import TextIO

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
ALIKE_WRITTEN = 5
ALIKE_SECONDS = 30.0
MOST_KINDS = 500
LONGEST_ENTRY = 20_000
LARGEST_LOG = 800_000
KEPT = 100_000
"""Characters of the newest entries that a log that has grown too large begins anew with."""

Kind = tuple[str, int, str, str]


@dataclass
class Repeated:
    """Entries alike since `since`: how many were written, and how many only counted."""

    since: float
    written: int = 0
    counted: int = 0


class BoundedHandler(logging.Handler):
    """Writes to a stream; of entries alike the first few of half a minute, then how many more there were.

    Alike are entries of one logger made from the same words, whatever was filled in. If the stream is a file, it is
    begun anew when it has grown too large, with the last entries; so are lines that others wrote into it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._kinds: dict[Kind, Repeated] = {}
        self._recent: deque[str] = deque()
        self._recent_size = 0
        self._file, self._begin = _file_of(stream)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            now = time.monotonic()
            self._tell_counted(now)
            kind = self._kind(record)
            alike = self._kinds.setdefault(kind, Repeated(now))
            if alike.written >= ALIKE_WRITTEN:
                alike.counted += 1
                return
            alike.written += 1
            self._write(self.format(record)[:LONGEST_ENTRY])
        except Exception:  # noqa: BLE001 - a handler reports its own failures this way, see logging.Handler.emit
            self.handleError(record)

    def close(self) -> None:
        self.acquire()
        try:
            self._tell_counted(float("inf"))
        finally:
            self.release()
        super().close()

    def _kind(self, record: logging.LogRecord) -> Kind:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        return record.name, record.levelno, str(record.msg)[:200], error

    def _tell_counted(self, now: float) -> None:
        """Write how often what was only counted has happened, where its time is up."""
        full = len(self._kinds) >= MOST_KINDS
        for kind, alike in list(self._kinds.items()):
            if full or now - alike.since > ALIKE_SECONDS:
                del self._kinds[kind]
                if alike.counted:
                    text = f"{logging.getLevelName(kind[1])} {kind[0]}: {alike.counted} more like: {kind[2]}"
                    self._write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}")

    def _write(self, entry: str) -> None:
        self._recent.append(entry)
        self._recent_size += len(entry)
        while self._recent_size > KEPT and len(self._recent) > 1:
            self._recent_size -= len(self._recent.popleft())
        if self._too_large():
            self._begin_anew()
        else:
            self._stream.write(entry + "\n")
        self._stream.flush()

    def _too_large(self) -> bool:
        return self._file is not None and os.fstat(self._file).st_size - self._begin > LARGEST_LOG

    def _begin_anew(self) -> None:
        assert self._file is not None
        self._stream.flush()
        os.ftruncate(self._file, self._begin)
        os.lseek(self._file, self._begin, os.SEEK_SET)
        self._stream.write("The log had grown too large; these are its last entries.\n")
        self._stream.write("".join(f"{entry}\n" for entry in self._recent))


def _file_of(stream: TextIO) -> tuple[int | None, int]:
    """The descriptor of the file that a stream writes to, None if it is something else, and how long it is already."""
    try:
        descriptor = stream.fileno()
        status = os.fstat(descriptor)
    except (OSError, ValueError):  # it stands for no file at all
        return None, 0
    return (descriptor if stat.S_ISREG(status.st_mode) else None), status.st_size


def log_to_standard_error(level: int) -> None:
    """Send everything from `level` on to standard error, bounded."""
    handler = BoundedHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
