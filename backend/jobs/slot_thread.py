"""The thread of one slot: the life of the job that runs in it, from when it is given to how it ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from backend.contract import Event, JobState
from backend.errors import Problem
from backend.jobs.executor import Interrupted, Lost, Parked, Report, Slot, WorkerState
from backend.jobs.rows import StoredJob
from backend.pipelines import PIPELINES
from backend.pipelines.context import Cancelled

if TYPE_CHECKING:
    from backend.jobs.runner import Runner

RETRY_SECONDS = 1.0

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class SlotThread:
    """Begins with `start`; `end` and `join` end it once its slot has been stopped.

    runner: gives the jobs, and holds what the threads of all slots share.
    """

    def __init__(self, slot: Slot, number: int, runner: Runner) -> None:
        self.slot = slot
        self._runner = runner
        self._store = runner.store
        self._folders = runner.folders
        self._work = threading.Event()
        self._ending = False
        self._warm_wanted = False
        self._rest_wanted = False
        self._given: StoredJob | None = None
        self._busy = False
        self._thread = threading.Thread(target=self._loop, name=f"slot {number}", daemon=True)
        self.running: str | None = None
        """The job that is run, or is about to be."""
        self.asked_at: float | None = None
        """Since when it has waited for an answer."""

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    # called from any thread; all of these return at once

    @property
    def works(self) -> bool:
        """Whether a job runs that does not wait for an answer."""
        return self.running is not None and self.asked_at is None

    @property
    def free(self) -> bool:
        """Whether it can take a job."""
        return not self._busy and self.slot.cooling is None

    def give(self, stored: StoredJob) -> None:
        """Run a job that was taken. Call this for a slot that is `free`, from one thread only, and not after `end`."""
        self._rest_wanted = False
        self._busy = True
        self.running = stored.view.id
        self._given = stored
        self._work.set()

    def warm(self) -> None:
        """Have the worker ready before a job comes."""
        self._warm_wanted = True
        self._work.set()

    def rest(self) -> bool:
        """Have a worker leave that is idle or waits for an answer; whether it will."""
        if self.works:
            return False
        self._rest_wanted = True
        self._work.set()
        self.look_up()
        return True

    def look_up(self) -> None:
        """Have a job that waits for an answer see whether its place is wanted."""
        if self.asked_at is not None:
            self.slot.nudge()

    def end(self) -> None:
        """No job comes any more."""
        self._ending = True
        self._work.set()

    # the slot's thread

    def _loop(self) -> None:
        rested = time.monotonic()
        while not self._ending:
            self._work.clear()
            if self._given is not None:
                stored, self._given = self._given, None
                if self.slot.cooling is None:
                    self._run(stored)
                else:  # since it was given: the job waits for another slot, or until this one starts workers again
                    self._put_back(stored)
                rested = time.monotonic()
                self._busy = False
                self._runner.has_ended_one()
            elif self._rest_wanted:
                self._rest_wanted = self._warm_wanted = False
                self.slot.rest()
            elif self._warm_wanted:
                self.slot.warm()
                self._warm_wanted = False
                rested = time.monotonic()
                self._runner.look_up()
            elif not self._ending:
                self._wait(rested)
        if self._given is not None:  # it was given at the last moment
            self._put_back(self._given)

    def _wait(self, rested: float) -> None:
        """Until there is work; meanwhile the idle worker is sent away when its time is up."""
        if self.slot.state == WorkerState.ASLEEP:
            self._work.wait()
        elif not self._work.wait(max(0.0, rested + self._runner.idle_seconds - time.monotonic())):
            self.slot.rest()

    def _put_back(self, stored: StoredJob) -> None:
        """Queue a job again that was given and not begun; one that was cancelled since ends."""
        job = stored.view.id
        self.running = None
        if self._record(lambda: self._store.cancel_wanted(job)):
            self._end(stored, JobState.CANCELLED, None, early=False)
        else:
            self._record(lambda: self._store.put_back(job))

    def _run(self, stored: StoredJob) -> None:
        job = stored.view.id
        self._runner.news.publish(job)
        self._runner.measures.begun(stored.view)
        problem: Problem | None = None
        state, early = JobState.DONE, False
        try:
            early = self.slot.run(
                job,
                self._folders.path(job),
                lambda report: self._report(job, report),
                lambda: self._store.cancel_wanted(job),
                self._crowded,
                lambda: self._store.finish_wanted(job),
            )
        except Interrupted:
            self._record(lambda: self._store.put_back(job))
            return
        except Parked:
            with self._runner.answering:  # an answer that came at this very moment has been written down
                self.running = self.asked_at = None
                self._record(lambda: self._store.put_back(job))
            return
        except Cancelled:
            state = JobState.CANCELLED
        except Lost as lost:
            suspect = lost.suspect
            outcome = None if stored.view.finished_early else self._folders.outcome(job)
            if outcome is not None:
                early = outcome[1]
            elif self._record(lambda: self._store.try_again(job, suspect=suspect)):
                logger.warning("job %s is tried again: %s", job, lost)
                return
            else:
                problem, state = lost.problem, JobState.FAILED
        except Problem as error:
            if error.code == "worker-died" and self._goes_on(stored):
                logger.warning("job %s is tried again: %s", job, error.detail)
                return
            problem, state = error, JobState.FAILED
        except Exception as error:  # the queue goes on, whatever an executor does
            logger.exception("the executor failed")
            detail = f"The job could not be run ({type(error).__name__}); the server's log tells more."
            problem, state = Problem("internal", detail), JobState.FAILED
        finally:
            self.asked_at = None
            self.running = None
        self._end(stored, state, problem, early=early)

    def _end(self, stored: StoredJob, state: JobState, problem: Problem | None, *, early: bool) -> None:
        """Record how a job has ended, and remove what nobody needs of it."""
        job = stored.view.id
        files: tuple[str, ...] = ()
        if state != JobState.DONE:
            self._runner.clear(stored)
        else:
            try:
                files = self._folders.files(job)
            except OSError as error:  # somebody has removed the folder, or the disk has gone
                logger.error("the output of job %s is out of reach: %s", job, error)
        self._record(lambda: self._store.finish(job, state, problem=problem, files=files, early=early))
        if state == JobState.DONE:
            self._runner.measures.done(stored.view, self._folders.path(job))
        if state == JobState.DONE and not early:
            self._runner.recent.forget_previews(job)
            self._folders.clear_done(job)

    def _goes_on(self, stored: StoredJob) -> bool:
        """Whether a job whose worker has died is queued again: where the method keeps checkpoints, as after a crash of
        the server; the others would begin at their beginning and most likely die again."""
        job = stored.view.id
        info = PIPELINES.get(stored.view.pipeline)
        if not (info is not None and info.checkpoints) and not self._folders.reached(job):
            return False
        return bool(self._record(lambda: self._store.try_again(job, suspect=True)))

    def _crowded(self) -> bool:
        """Whether the running job, which waits for an answer, should make room."""
        asked = self.asked_at
        if asked is not None and time.monotonic() - asked > self._runner.idle_seconds:
            self._rest_wanted = True
        return self._rest_wanted or self._runner.wants(self)

    def _record(self, write: Callable[[], Value]) -> Value | None:
        """Write how a job ended. While that fails, on a full disk, say, it is tried again: nothing else can go on here.

        If the service stops before it succeeds, the next server finds the job as running and adopts it.
        """
        written: Value | None = None
        while True:
            try:
                written = write()
                break
            except Problem as problem:
                logger.error("the end of a job cannot be written, trying again: %s", problem)
                if problem.code == "data-gone":  # there is nothing to write it into, and nobody who could ask
                    break
            if self._runner.closing.wait(RETRY_SECONDS):
                break
        self._runner.news.publish()
        return written

    def _report(self, job: str, report: Report) -> None:
        event: Event | None = None
        try:
            if report.type == "question":
                self._rest_wanted = False  # of an earlier question, which was answered at the last moment
                self.asked_at = time.monotonic()
                self._store.ask(job, report.data)
            else:
                event = self._store.append(job, report.type, report.data)
        except Problem as problem:
            if report.type == "question":
                raise
            logger.warning("an event of job %s was not stored: %s", job, problem)
        if event is not None and event.type in ("progress", "preview"):
            self._runner.recent.add(job, event)
        self._runner.news.publish(job)
