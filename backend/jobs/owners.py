"""Who runs which jobs. See "Several servers, one data folder" in docs/architecture.md."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from backend.jobs.folders import storage_problem

logger = logging.getLogger(__name__)

OWNER_ID = re.compile(r"[0-9a-f]{16}")


class Ownership:
    """A lock file held for as long as this process lives; the operating system drops it, however the process ends."""

    def __init__(self, folder: Path) -> None:
        self.id = secrets.token_hex(8)
        self._folder = folder
        self._lock = FileLock(self._lock_path(self.id), thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=5)  # a sweeper may look at the new file for a moment
        except OSError as error:
            raise storage_problem(error, "The data folder cannot be used") from error

    @property
    def log(self) -> Path:
        """Where this owner's first worker writes what belongs to no job; others do in `<id>-<number>.log`."""
        return self._folder / f"{self.id}.log"

    def release(self) -> None:
        """Give the lock back. The files stay until the next owner sweeps them, so that the log can be read."""
        self._lock.release()

    def candidates(self, known: set[str]) -> set[str]:
        """Every other owner that has left a trace: a lock file, or an open job (`known`)."""
        left = {path.stem for path in self._folder.glob("*.lock")} | known
        return {owner for owner in left if OWNER_ID.fullmatch(owner) and owner != self.id}

    def hold(self) -> None:
        """Hold the lock again if somebody has removed its file: the system keeps a lock on a file that nobody finds.

        Raises Problem if the data folder cannot be used.
        """
        if not self._lock.is_locked or not self._lock_path(self.id).exists():
            logger.warning("the lock file of this server was removed; it is made again")
            try:
                self._lock.release()
                self._lock.acquire(timeout=5)
            except OSError as error:
                raise storage_problem(error, "The data folder cannot be used") from error

    @contextmanager
    def buried(self, other: str, lives: Callable[[str], bool] = lambda other: False) -> Iterator[bool]:
        """True inside the block if that owner is dead; nobody else can bury it meanwhile. Its files go with it.

        lives: asked where its lock file is missing, which an owner that lives does not notice at once.
        """
        if not self._lock_path(other).exists() and lives(other):
            yield False
            return
        lock = FileLock(self._lock_path(other), thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise storage_problem(error, "The data folder cannot be used") from error
        try:
            yield True
            for log in self._folder.glob(f"{other}*.log"):  # each worker has one
                log.unlink(missing_ok=True)
        finally:
            lock.release()
        self._lock_path(other).unlink(missing_ok=True)

    def _lock_path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"
