"""The queue of one owner: a thread that gives its jobs, one after the other, to the slots of an executor."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from backend.errors import Problem
from backend.jobs.executor import Executor, OnThisMachine, WorkerState
from backend.jobs.folders import JobFolders
from backend.jobs.measures import Measures
from backend.jobs.news import News
from backend.jobs.owners import Ownership
from backend.jobs.recent import Recent
from backend.jobs.rows import StoredJob
from backend.jobs.slot_thread import RETRY_SECONDS, SlotThread
from backend.jobs.store import JobStore

LOOKED_AT = 16
"""Of the jobs that wait, how many are tried where the first of them fits in no slot."""

ROOM_SHARE = 0.1
"""Of the queue's time, for the removal of old jobs."""

BUSIEST_FIRST = (WorkerState.BUSY, WorkerState.STARTING, WorkerState.READY, WorkerState.ASLEEP)
logger = logging.getLogger(__name__)


class Runner:
    """Begins with `start`; `close` of the service and `join` end it.

    make_room: called at the beginning and after each job; removes old ones where there is a limit.
    """

    def __init__(
        self,
        owner: Ownership,
        executor: Executor[Any],
        store: JobStore,
        folders: JobFolders,
        news: News,
        closing: threading.Event,
        idle_seconds: float,
        make_room: Callable[[], None],
        measures: Measures,
    ) -> None:
        self._owner = owner
        self._executor = executor
        self.store = store
        self.folders = folders
        self.news = news
        self.closing = closing
        self.idle_seconds = idle_seconds
        self.measures = measures
        self._make_room = make_room
        self._work = threading.Event()
        self._room_wanted = True
        self._next_room = 0.0
        self._slots: tuple[SlotThread, ...] = ()
        self._fits_nowhere = False
        self._thread = threading.Thread(target=self._loop, name="queue", daemon=True)
        self.answering = threading.Lock()
        """Held while an answer is written down, so that a job is not put aside at that very moment."""
        self.recent = Recent()

    def start(self) -> None:
        self._open_slots()
        self._executor.when_changed(self._work.set)
        self._thread.start()

    def join(self) -> None:
        """Until every thread has ended; stop the executor first."""
        self._thread.join()
        for each in self._slots:
            each.join()

    # called from any thread

    def warm(self) -> None:
        """Have a worker ready before the first job. Returns at once."""
        self._slots[0].warm()

    def rest(self) -> bool:
        """Have the workers that are idle leave now; whether all of them will. Returns at once."""
        if all(each.works for each in self._slots) or self.queued:
            return False
        resting = [each.rest() for each in self._slots]
        return all(resting)

    def make_room(self) -> None:
        """Look after the limit before the next job. Returns at once."""
        self._room_wanted = True
        self.look_up()

    @property
    def queued(self) -> int:
        """How many jobs wait here."""
        return self.store.queued(self._owner.id)

    @property
    def fits_nowhere(self) -> bool:
        """Whether slots are free, and yet of the jobs whose turn it is none could be given to one."""
        return self._fits_nowhere

    @property
    def running(self) -> list[str]:
        """The jobs that run here."""
        return [job for each in self._slots if (job := each.running) is not None]

    @property
    def workers(self) -> list[tuple[WorkerState, str | None]]:
        """Of each slot the worker's state, and the job that runs in it."""
        return [(each.slot.state, each.running) for each in self._slots]

    @property
    def worker_pids(self) -> list[int | None]:
        """Of each slot the process of its worker; None while it has none, or one of another machine."""
        return [each.slot.pid if isinstance(each.slot, OnThisMachine) else None for each in self._slots]

    def look_up(self) -> None:
        """Have the queue see what is new, also where a job that it runs waits for an answer."""
        self._work.set()
        for each in self._slots:
            each.look_up()

    def nudge(self, job: str) -> None:
        """Have a job that runs here see what is wanted of it."""
        for each in self._slots:
            if each.running == job:
                each.slot.nudge()

    def answered(self, job: str) -> bool:
        """The question of a job is answered; whether the job runs here. Hold `answering`."""
        here = [each for each in self._slots if each.running == job]
        for each in here:
            each.asked_at = None
        return bool(here)

    def answer(self, job: str, answer: dict[str, Any]) -> None:
        """Hand a job that runs here the answer to its question."""
        for each in self._slots:
            if each.running == job:
                each.slot.answer(job, answer)

    def clear(self, stored: StoredJob) -> None:
        """Remove what a job has left that did not end well."""
        job, early = stored.view.id, stored.view.finished_early
        try:
            self.folders.clear_failed(job, former_result=early, resumable=self.folders.reached(job) > 0)
        except OSError as error:
            logger.error("the output of job %s is out of reach: %s", job, error)

    # called by the threads of the slots

    def has_ended_one(self) -> None:
        """A slot has done with a job, and can take another."""
        self._room_wanted = True
        self._work.set()

    def wants(self, asker: SlotThread) -> bool:
        """Whether a job that waits should have the place of the one that waits in this slot for an answer: if there is
        no other place, and none that has waited for longer."""
        wanting = self.queued
        if wanting and not self._fits_nowhere:
            wanting -= sum(each.running is None and each.slot.cooling is None for each in self._slots)
        asking = [(since, each) for each in self._slots if (since := each.asked_at) is not None]
        asking.sort(key=lambda pair: pair[0])
        return asker in [each for _, each in asking[: max(wanting, 0)]]

    # the queue's thread

    def _loop(self) -> None:
        while not self.closing.is_set():
            self._work.clear()
            try:
                self._owner.hold()
                self._open_slots()
                self._hand_out()
                waits = [seconds for seconds in (self._cool_down(), self._look_for_room()) if seconds is not None]
            except Problem as problem:
                logger.error("the queue cannot go on, trying again: %s", problem)
                self.closing.wait(RETRY_SECONDS)
            except Exception:  # the queue goes on, whatever an executor does
                logger.exception("the queue cannot go on, trying again")
                self.closing.wait(RETRY_SECONDS)
            else:
                self._work.wait(min(waits, default=None))
        for each in self._slots:
            each.end()

    def _look_for_room(self) -> float | None:
        """Make room if that is wanted; where it is not time for that yet, the seconds until it is.

        Only now that the slots have their jobs, and for a tenth of the time at most: to look at thousands of folders
        takes a while.
        """
        if not self._room_wanted:
            return None
        began = time.monotonic()
        if began < self._next_room:
            return self._next_room - began
        self._room_wanted = False
        self._make_room()
        ended = time.monotonic()
        self._next_room = ended + (ended - began) / ROOM_SHARE
        return None

    def _open_slots(self) -> None:
        """Begin a thread for each slot that has none."""
        known = {id(each.slot) for each in self._slots}
        for slot in self._executor.slots:
            if id(slot) not in known:
                opened = SlotThread(slot, len(self._slots), self)
                opened.start()
                self._slots = (*self._slots, opened)
                self.recent.follow(len(self._slots))

    def _hand_out(self) -> None:
        """Give the slots that are free the jobs whose turn it is."""
        fits_nowhere = False
        while (free := [each for each in self._slots if each.free]) and not self.closing.is_set():
            waiting = self.store.next_ones(self._owner.id, LOOKED_AT)
            if not any(self._hand(stored, free) for stored in waiting):
                fits_nowhere = bool(waiting)
                break
        self._fits_nowhere = fits_nowhere

    def _hand(self, stored: StoredJob, free: list[SlotThread]) -> bool:
        """Give a job to a slot, unless it fits in none now; whether the next job's turn has come."""
        job = stored.view.id
        slot = self._executor.place(job, self.folders.path(job), [each.slot for each in free])
        if slot is None:
            return False
        taken = self.store.take(self._owner.id, job)
        if taken is not None:  # it was not cancelled at this very moment
            next(each for each in free if each.slot is slot).give(taken)
        return True

    def _cool_down(self) -> float | None:
        """Where workers do not start and jobs wait: the seconds until one is tried again. That is done here, when its
        time has come, without risking a job."""
        cooling = [(each, cooling) for each in self._slots if (cooling := each.slot.cooling) is not None]
        if not cooling or not self.queued:
            return None
        for each, why in cooling:
            if not why.seconds_left():
                each.warm()
        self.news.publish()
        return min((seconds for _, why in cooling if (seconds := why.seconds_left())), default=None)
