"""One SQLite file that several threads and processes share, and its errors as sentences.

Reading has a connection of its own: in write-ahead mode a reader waits for no writer, of this process or another.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.errors import Problem

PATIENCE_SECONDS = 10.0
"""How long the queue waits for others who write."""

HASTE_SECONDS = 2.0
"""How long somebody waits who is waited for."""

READ_SECONDS = 1.0
LEAST_FREE_BYTES = 1 << 20

CACHE_KIBIBYTES = 256
"""What a connection keeps of the file's pages, which the system keeps as well. SQLite's own 2 MB fill up over hours."""


class Database:
    """Raises Problem("disk-full"), ("output-not-writable"), ("data-gone"), ("list-busy") or ("internal") wherever the
    file cannot be used. Usable from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing = threading.RLock()
        self._looking = threading.Lock()
        self._identity: tuple[int, int] | None = None
        with self._translated():
            self._writer = self._connect(PATIENCE_SECONDS)
            self._writer.execute("PRAGMA foreign_keys = ON")
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._reader = self._connect(READ_SECONDS)
            self._identity = self._found()

    def close(self) -> None:
        with self._writing, self._looking:
            self._reader.close()
            self._writer.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """For SELECTs, all of one moment; what a transaction has not committed is not seen."""
        with self._looking, self._translated():
            self._check_there()
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("COMMIT")

    @contextmanager
    def transaction(self, patience: float = PATIENCE_SECONDS) -> Iterator[sqlite3.Connection]:
        """All or nothing. patience: seconds to wait for others who write; then Problem("list-busy")."""
        if not self._writing.acquire(timeout=patience):
            raise self._busy()
        try:
            with self._translated():
                self._check_there()
                self._writer.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
        finally:
            self._writing.release()

    def _connect(self, timeout: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=timeout, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
        connection.row_factory = sqlite3.Row
        connection.text_factory = lambda data: data.decode("utf-8", "replace")  # one damaged text is not all of them
        return connection

    def _check_there(self) -> None:
        """SQLite goes on with a file that has been removed, and all that it writes is lost. Raises "data-gone"."""
        if self._identity is not None and self._found() != self._identity:
            detail = f"{self._path.name} has been removed from the data folder, or another was put in its place."
            raise Problem("data-gone", detail)

    def _found(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _busy(self) -> Problem:
        return Problem("list-busy", f"Another program holds {self._path.name} in the data folder.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as problems."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._problem(error) from error

    def _problem(self, error: sqlite3.Error) -> Problem:
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._busy()
        if kind == sqlite3.SQLITE_FULL or (
            kind in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
            and self._path.parent.is_dir()
            and shutil.disk_usage(self._path.parent).free < LEAST_FREE_BYTES
        ):
            return Problem("disk-full", f"There is no space left for {self._path.name}.")
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return Problem("output-not-writable", f"{self._path.name} in the data folder cannot be written.")
        if kind in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            hint = "Move it away and start again; the results lie in the folder beside it."
            return Problem("internal", f"The list of jobs in {self._path.name} is damaged.", hint)
        return Problem("internal", f"The list of jobs cannot be used ({error}).")
