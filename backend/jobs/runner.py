"""The queue of one owner: a thread that takes its jobs one after another, has them run, and records how each ended."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from backend.contract import Event, JobState
from backend.errors import Problem
from backend.jobs.executor import Executor, Interrupted, Parked, Report, WorkerState
from backend.jobs.folders import JobFolders
from backend.jobs.news import News
from backend.jobs.owners import Ownership
from backend.jobs.recent import Recent
from backend.jobs.store import JobStore, StoredJob
from backend.pipelines import PIPELINES
from backend.pipelines.context import Cancelled

MOST_ATTEMPTS = 2
RETRY_SECONDS = 1.0

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


class Runner:
    """Begins with `start`; `close` and `join` end it.

    make_room: called at the beginning and after each job; removes old ones where there is a limit.
    """

    def __init__(
        self,
        owner: Ownership,
        executor: Executor,
        store: JobStore,
        folders: JobFolders,
        news: News,
        closing: threading.Event,
        idle_seconds: float,
        make_room: Callable[[], None],
    ) -> None:
        self._owner = owner
        self._executor = executor
        self._store = store
        self._folders = folders
        self._news = news
        self._closing = closing
        self._idle_seconds = idle_seconds
        self._make_room = make_room
        self._work = threading.Event()
        self._warm_wanted = False
        self._rest_wanted = False
        self._room_wanted = True
        self._asked_at: float | None = None
        self._thread = threading.Thread(target=self._loop, name="queue", daemon=True)
        self.running: str | None = None
        self.answering = threading.Lock()
        """Held while an answer is written down, so that a job is not put aside at that very moment."""
        self.recent = Recent()

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def warm(self) -> None:
        """Have the worker ready before the first job. Returns at once."""
        self._warm_wanted = True
        self._work.set()

    def rest(self) -> bool:
        """Have an idle worker leave now; whether it will. Returns at once."""
        if (self.running is not None and self._asked_at is None) or self.queued:
            return False
        self._rest_wanted = True
        self.look_up()
        return True

    def make_room(self) -> None:
        """Look after the limit before the next job. Returns at once."""
        self._room_wanted = True
        self.look_up()

    @property
    def queued(self) -> int:
        """How many jobs wait here."""
        return self._store.queued(self._owner.id)

    def look_up(self) -> None:
        """Have the queue see what is new, also while a job that it runs waits for an answer."""
        self._work.set()
        if self._asked_at is not None:
            self._executor.nudge()

    def answered(self, job: str) -> bool:
        """The question of a job is answered; whether the job runs here. Hold `answering`."""
        here = self.running == job
        if here:
            self._asked_at = None
        return here

    def clear(self, stored: StoredJob) -> None:
        """Remove what a job has left that did not end well."""
        job, early = stored.view.id, stored.view.finished_early
        try:
            self._folders.clear_failed(job, former_result=early, resumable=self._folders.reached(job) > 0)
        except OSError as error:
            logger.error("the output of job %s is out of reach: %s", job, error)

    # the queue's thread

    def _loop(self) -> None:
        rested = time.monotonic()
        while not self._closing.is_set():
            self._work.clear()
            if self._room_wanted:
                self._room_wanted = False
                self._make_room()
            try:
                self._owner.hold()
                if self._cools_down():
                    continue
                job = self._store.take(self._owner.id)
            except Problem as problem:
                logger.error("the queue cannot go on, trying again: %s", problem)
                self._closing.wait(RETRY_SECONDS)
                continue
            if job is not None:
                self._rest_wanted = False
                self._run(job)
                self._room_wanted = True
                rested = time.monotonic()
            elif self._rest_wanted:
                self._rest_wanted = self._warm_wanted = False
                self._executor.rest()
            elif self._warm_wanted:
                self._warm_wanted = False
                self._executor.warm()
                rested = time.monotonic()
            else:
                self._wait(rested)

    def _cools_down(self) -> bool:
        """Whether jobs wait because no worker starts. When its time has come one is started without risking a job."""
        cooling = self._executor.cooling
        if cooling is None or not self.queued:
            return False
        if seconds := cooling.seconds_left():
            self._news.publish()
            self._work.wait(seconds)
            return True
        self._executor.warm()
        return self._executor.cooling is not None

    def _wait(self, rested: float) -> None:
        """Until there is work; meanwhile the idle worker is sent away when its time is up."""
        if self._executor.state == WorkerState.ASLEEP:
            self._work.wait()
        elif not self._work.wait(max(0.0, rested + self._idle_seconds - time.monotonic())):
            self._executor.rest()

    def _run(self, stored: StoredJob) -> None:
        job = stored.view.id
        self.running = job
        self._news.publish()
        problem: Problem | None = None
        state, early = JobState.DONE, False
        try:
            early = self._executor.run(
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
            with self.answering:  # an answer that came at this very moment has been written down
                self.running = self._asked_at = None
                self._record(lambda: self._store.put_back(job))
            self._rest_wanted = not self.queued  # it was put aside for that, or has waited long
            return
        except Cancelled:
            state = JobState.CANCELLED
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
            self.running = self._asked_at = None
        files: tuple[str, ...] = ()
        if state != JobState.DONE:
            self.clear(stored)
        else:
            try:
                files = self._folders.files(job)
            except OSError as error:  # somebody has removed the folder, or the disk has gone
                logger.error("the output of job %s is out of reach: %s", job, error)
        self._record(lambda: self._store.finish(job, state, problem=problem, files=files, early=early))
        if state == JobState.DONE and not early:
            self.recent.forget_previews(job)
            self._folders.clear_done(job)

    def _goes_on(self, stored: StoredJob) -> bool:
        """Whether a job whose worker has died is queued again: where the method keeps checkpoints, as after a crash of
        the server; the others would begin at their beginning and most likely die again."""
        job = stored.view.id
        info = PIPELINES.get(stored.view.pipeline)
        if not (info is not None and info.checkpoints) and not self._folders.reached(job):
            return False
        return bool(self._record(lambda: self._store.try_again(job, MOST_ATTEMPTS)))

    def _crowded(self) -> bool:
        """Whether the running job, which waits for an answer, should make room."""
        asked = self._asked_at
        waited = 0.0 if asked is None else time.monotonic() - asked
        return self._rest_wanted or waited > self._idle_seconds or self.queued > 0

    def _record(self, write: Callable[[], Value]) -> Value | None:
        """Write how a job ended. While that fails, on a full disk, say, it is tried again: nothing else can go on.

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
            if self._closing.wait(RETRY_SECONDS):
                break
        self._news.publish()
        return written

    def _report(self, job: str, report: Report) -> None:
        event: Event | None = None
        try:
            if report.type == "question":
                self._asked_at = time.monotonic()
                self._store.ask(job, report.data)
            else:
                event = self._store.append(job, report.type, report.data)
        except Problem as problem:
            if report.type == "question":
                raise
            logger.warning("an event of job %s was not stored: %s", job, problem)
        if event is not None and event.type in ("progress", "preview"):
            self.recent.add(job, event)
        self._news.publish()
