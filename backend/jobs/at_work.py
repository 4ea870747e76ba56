"""A service that was started: the lock in the data folder, what runs the jobs, and the queue that gives them to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.contract import Waiting
from backend.jobs.cooling import Cooling
from backend.jobs.executor import Executor, WorkerState
from backend.jobs.folders import JobFolders
from backend.jobs.measures import Measures
from backend.jobs.news import News
from backend.jobs.owners import Ownership
from backend.jobs.runner import BUSIEST_FIRST, Runner
from backend.jobs.store import JobStore


class AtWork:
    """Takes the lock; `start` and `stop` are its life. Raises Problem if the data folder cannot be used.

    make_executor: takes the file for the log. The others are those of `JobService` and `Runner`.
    """

    def __init__(
        self,
        data: Path,
        make_executor: Callable[[Path], Executor[Any]],
        store: JobStore,
        folders: JobFolders,
        news: News,
        closing: threading.Event,
        idle_seconds: float,
        make_room: Callable[[], None],
        measures: Measures,
    ) -> None:
        self._store, self._folders = store, folders
        self._started = False
        self._ownership = Ownership(data / "owners")
        self.owner = self._ownership.id
        try:
            store.note_owner(self.owner)
            self.executor = make_executor(self._ownership.log)
        except BaseException:
            self._ownership.release()
            raise
        self.runner = Runner(
            self._ownership, self.executor, store, folders, news, closing, idle_seconds, make_room, measures
        )

    def start(self, *, adopt: bool) -> None:
        """Begin to run. adopt: take over the jobs of all servers that died, first."""
        if adopt:
            for other in self._ownership.candidates(self._store.owners()):
                self.adopt_from(other)
            self._folders.sweep(self._store.holds, self._store.is_complete)
        self._started = True
        self.runner.start()

    def adopt_from(self, other: str) -> None:
        """Take over what an owner has left, if it is dead."""
        with self._ownership.buried(other, self._store.owner_may_live) as dead:
            if dead:
                suspect = not self.executor.elsewhere
                self._store.adopt(other, self.owner, suspect=suspect, outcome=self._folders.outcome)

    def stop(self) -> None:
        """End the workers, put what runs back in the queue for the next server, release the lock."""
        self.executor.stop()
        if self._started:
            self.runner.join()
        self._ownership.release()

    @property
    def worker(self) -> WorkerState:
        """The state of the worker that has most to do."""
        states = [state for state, _ in self.runner.workers]
        return next((state for state in BUSIEST_FIRST if state in states), WorkerState.ASLEEP)

    @property
    def usual_seconds(self) -> float | None:
        """What the jobs that wait here usually take, on average; None where nothing was done yet to tell."""
        return self._store.statistics.usual_seconds(self.owner)

    @property
    def next_end_seconds(self) -> float | None:
        """In how many seconds the first of the jobs that run here ends, about; None where nothing tells."""
        return self._store.statistics.next_end_seconds(self.owner)

    def waiting(self, ahead: int | None = None) -> Waiting | None:
        """Why none of the jobs that are queued here is run at the moment; None while one is.

        ahead: the same, for the one job that so many run or go before.
        """
        coolings = [slot.cooling for slot in self.executor.slots]
        known: list[Cooling] = [cooling for cooling in coolings if cooling is not None]
        if not known or len(known) < len(coolings):
            return self.executor.hindrance(ahead) if self.runner.fits_nowhere else None
        return min(known, key=lambda cooling: cooling.until).told()
