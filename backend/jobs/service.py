"""The door to the jobs: submit, look, cancel, answer, fetch. The server and the command line both use it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from backend.contract import AgainRequest, Event, GenerateRequest, JobState, JobView, OutlineFiles, Waiting
from backend.errors import Problem
from backend.imaging.intake import read_stored_inputs
from backend.jobs import retention
from backend.jobs.answers import add_answer, check_answer
from backend.jobs.checks import check_job
from backend.jobs.executor import Executor, Interrupted, Parked, Report, WorkerState
from backend.jobs.folders import KEPT, JobFolders, storage_problem
from backend.jobs.local import LocalExecutor
from backend.jobs.news import News
from backend.jobs.owners import Ownership
from backend.jobs.store import JobStore, StoredJob
from backend.pipelines.base import Cancelled, PipelineInfo
from backend.privacy import close_to_others
from backend.questions import read_question

IDLE_SECONDS = 300.0
GRACE_SECONDS = 5.0
MOST_ATTEMPTS = 2
RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.5
EVENTS_AT_ONCE = 500

logger = logging.getLogger(__name__)


class JobService:
    """The jobs of one data folder, and a queue that runs those submitted here.

    Looking at jobs works at once; submitting needs `start()` (or `with service:`), which takes a lock in the data
    folder, adopts what dead owners left, and begins to run.

    Args:
        data: the data folder; made if it does not exist.
        idle_seconds: the worker process leaves after so long without a job.
        grace_seconds: a cancelled job that does not stop within this time is ended by force.
        keep_bytes: ended jobs are removed, see `retention`, when all jobs together hold more; None for no limit.
        adopt: take over the jobs of servers that died. A command line that is there for one job does not.
        executor: what runs the jobs; a worker process on this machine if left out.
    """

    def __init__(
        self,
        data: Path,
        *,
        idle_seconds: float = IDLE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        keep_bytes: int | None = None,
        adopt: bool = True,
        executor: Callable[[Path], Executor] | None = None,
    ) -> None:
        self._data = data.absolute()
        self._idle_seconds = idle_seconds
        self.keep_bytes = keep_bytes
        self._room_wanted = True
        self._adopt = adopt
        self._make_executor = executor or (lambda log: LocalExecutor(log, grace_seconds))
        self._executor: Executor | None = None
        self._owner: Ownership | None = None
        self._thread: threading.Thread | None = None
        self._work = threading.Event()
        self._warm_wanted = False
        self._rest_wanted = False
        self._closing = threading.Event()
        self._running: str | None = None
        self._asked_at: float | None = None
        self._answering = threading.Lock()
        self.news = News()
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            close_to_others(self._data)
        except OSError as error:
            raise storage_problem(error, "The data folder cannot be used") from error
        self.folders = JobFolders(self._data / "jobs")
        self._store = JobStore(self._data / "jobs.sqlite3")

    # life

    def start(self) -> None:
        """Take the lock, adopt, begin to run. Raises Problem if the data folder cannot be used."""
        if self._owner is not None:
            raise RuntimeError("a service starts once")
        self._owner = Ownership(self._data / "owners")
        self._store.note_owner(self._owner.id)
        self._executor = self._make_executor(self._owner.log)
        if self._adopt:
            for other in self._owner.candidates(self._store.owners()):
                with self._owner.buried(other, self._store.owner_may_live) as dead:
                    if dead:
                        self._store.adopt(other, self._owner.id, MOST_ATTEMPTS)
            self.folders.sweep(self._store.holds)
        self._thread = threading.Thread(target=self._loop, name="queue", daemon=True)
        self._thread.start()

    def warm(self) -> None:
        """Have the worker ready before the first job. Returns at once."""
        self._warm_wanted = True
        self._work.set()

    def rest(self) -> bool:
        """Have an idle worker leave now, to give its memory back; the next job starts another. Returns at once.

        Whether it will: not while a job runs or is about to. One that waits for an answer is put aside.
        """
        if (self._running is not None and self._asked_at is None) or self.queued:
            return False
        self._rest_wanted = True
        self._look_up()
        return True

    def close(self) -> None:
        """Begin to stop: no further job is started, and everyone who waits for events is let go. Returns at once."""
        self._closing.set()
        self._work.set()
        self.news.publish()

    def stop(self) -> None:
        """End the worker, put the running job back in the queue for the next server, release the lock."""
        self.close()
        if self._executor:
            self._executor.stop()
        if self._thread:
            self._thread.join()
        if self._owner:
            self._owner.release()
        self._store.close()

    def __enter__(self) -> JobService:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    @property
    def worker(self) -> WorkerState:
        return self._executor.state if self._executor else WorkerState.ASLEEP

    @property
    def running(self) -> str | None:
        """The job that runs here."""
        return self._running

    @property
    def queued(self) -> int:
        """How many jobs wait here."""
        return self._store.queued(self._owner.id) if self._owner else 0

    @property
    def waiting(self) -> Waiting | None:
        """Why the jobs that are queued here are not run at the moment; None while they are."""
        cooling = self._executor.cooling if self._executor else None
        return None if cooling is None else cooling.told()

    # jobs

    def submit(
        self,
        request: GenerateRequest,
        images: list[bytes],
        instances: bytes | None = None,
        depth: bytes | None = None,
        outlines: Sequence[OutlineFiles] = (),
    ) -> JobView:
        """Check everything, store it, queue it. Raises Problem, and then nothing is stored."""
        if self._owner is None:
            raise RuntimeError("submit() needs a service that was started")
        info = check_job(request, images, instances, depth, outlines)
        return self._queue(self.folders.create(request, images, instances, depth, outlines), request, info)

    def again(self, job: str, changes: AgainRequest) -> JobView:
        """A new job with the inputs of another one, whatever became of that.

        Raises Problem("job-not-found", "inputs-gone"), and what `submit` raises; nothing is stored then.
        """
        if self._owner is None:
            raise RuntimeError("again() needs a service that was started")
        self._stored(job)
        gone = Problem("inputs-gone", "The pictures that this job was made from are not there any more.")
        try:
            former, images, instances, depth, outlines = read_stored_inputs(self.folders.path(job))
        except (OSError, ValueError) as error:
            raise gone from error
        if not images:
            raise gone
        request = changes.applied_to(former)
        info = check_job(request, images, instances, depth, outlines)
        try:
            # Another pipeline on the same pictures: what was said of them before, in a preparation, still holds.
            made = self.folders.create_like(request, job, answers=request.pipeline != former.pipeline)
        except Problem as problem:
            if (self.folders.path(job) / "inputs").is_dir():
                raise
            raise gone from problem  # it was removed at this very moment
        return self._queue(made, request, info)

    def _queue(self, job: str, request: GenerateRequest, info: PipelineInfo) -> JobView:
        """Put a job whose folder is complete at the end of the queue."""
        assert self._owner
        try:
            stored = self._store.add(job, self._owner.id, request.name, info.id)
        except Problem:
            self.folders.remove(job)
            raise
        self._look_up()
        self.news.publish()
        return stored.view

    def _look_up(self) -> None:
        """Have the queue see what is new, also while a job that it runs waits for an answer."""
        self._work.set()
        if self._executor and self._asked_at is not None:
            self._executor.nudge()

    def list(self, limit: int = 100) -> list[JobView]:
        """The newest jobs first, those of other servers on this data folder among them."""
        return [self._shown(stored) for stored in self._store.newest(limit)]

    def get(self, job: str) -> JobView:
        """Raises Problem("job-not-found")."""
        return self._shown(self._stored(job))

    def _shown(self, stored: StoredJob) -> JobView:
        """What everyone may see of a job: its row, and why it waits if nothing here is run at the moment."""
        mine = self._owner is not None and stored.owner == self._owner.id
        waiting = self.waiting if mine and stored.view.state == JobState.QUEUED else None
        return stored.view.model_copy(update={"waiting": waiting})

    def cancel(self, job: str) -> JobView:
        """Ask a running job to stop, cancel any other that has not ended at once; an ended one stays as it is."""
        waiting = self._stored(job).view.state == JobState.NEEDS_INPUT
        stored = self._store.request_cancel(job)
        if waiting and stored.view.state.ended and job != self._running:
            self._clear(job)
        if self._executor:
            self._executor.nudge()
        self.news.publish()
        return stored.view

    def delete(self, job: str) -> None:
        """Forget an ended job and remove its files. Raises Problem("job-not-found", "job-not-finished")."""
        self._stored(job)
        self._store.delete(job)
        self.folders.remove(job)
        self.news.publish()

    def limit(self, keep_bytes: int | None) -> None:
        """Another limit for what the jobs may hold, from now on. Returns at once."""
        self.keep_bytes = keep_bytes
        self._room_wanted = True
        self._work.set()

    def surplus(self, keep_bytes: int) -> retention.Usage:
        """What such a limit would remove now. Raises Problem("storage-…") if the list of jobs cannot be used."""
        return retention.surplus(self._store, self.folders, keep_bytes)

    def usage(self) -> retention.Usage:
        """What the jobs hold of the disk."""
        return retention.usage(self.folders)

    def answer(self, job: str, answer: dict[str, Any]) -> JobView:
        """Answer the question of a job in needs_input. Raises Problem("input-not-expected", "answer-invalid")."""
        self._stored(job)
        check_answer(answer)
        if self._owner is None or self._executor is None:
            raise Problem("input-not-expected", "The job is run by another process.")
        with self._answering:
            asked = self._store.check_asks(job, self._owner.id)
            if asked is not None and (question := read_question(asked)) is not None:
                question.check(answer)
            if not self.folders.path(job).is_dir():
                raise Problem("inputs-gone", "The folder of this job is not there any more.")
            try:
                add_answer(self.folders.path(job), asked, answer)
            except OSError as error:
                raise storage_problem(error, "The answer cannot be kept") from error
            here = self._running == job
            self._asked_at = None if here else self._asked_at
            resumed = self._store.resume(job, self._owner.id, running=here)
            if here:
                self._executor.answer(job, answer)
        self._look_up()
        self.news.publish()
        return self._shown(resumed)

    def file(self, job: str, name: str) -> Path:
        """The path of a file of the result, or of one that a running job has kept to be seen.

        Whoever asks for the scene gets it, as far as `retention` is concerned.

        Raises Problem("job-not-finished", "file-not-found").
        """
        view = self.get(job)
        path = self.folders.find(job, name)
        if not view.state.ended and (path is None or path.parent.name != KEPT):
            raise Problem("job-not-finished", f"The job is {view.state.value}.")
        if path is None or (view.state.ended and name not in view.files):
            has = f"It has {', '.join(view.files)}." if view.files else "It has none."
            raise Problem("file-not-found", f"The job has no file '{name[:40]}'.", has)
        if name == retention.SCENE:
            retention.mark_fetched(self.folders, job)
        return path

    # events

    def recent_events(self, job: str, after: int = 0) -> tuple[Sequence[Event], bool]:
        """Events with ids above `after`, and whether there can be no more of them.

        There can be no more when the job has ended, or has been deleted.
        """
        ended = self._store.has_ended(job)  # asked first: whatever led to the end is among the events read after it
        events = self._store.events(job, after, EVENTS_AT_ONCE)
        return events, ended and len(events) < EVENTS_AT_ONCE

    def events(self, job: str, after: int = 0) -> Iterator[Event]:
        """Every event with an id above `after` as it comes, until the job ends or the service stops."""
        self._stored(job)
        while not self.closing:
            seen = self.news.count
            events, last = self.recent_events(job, after)
            yield from events
            if last:
                return
            if events:
                after = events[-1].id
            else:
                self.news.wait(seen, LOOK_SECONDS)  # jobs of other processes make no news here

    # the queue's thread

    def _loop(self) -> None:
        assert self._owner and self._executor
        rested = time.monotonic()
        while not self._closing.is_set():
            self._work.clear()
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
        assert self._executor
        cooling = self._executor.cooling
        if cooling is None or not self.queued:
            return False
        if seconds := cooling.seconds_left():
            self.news.publish()
            self._work.wait(seconds)
            return True
        self._executor.warm()
        return self._executor.cooling is not None

    def _wait(self, rested: float) -> None:
        """Until there is work; meanwhile the idle worker is sent away when its time is up."""
        assert self._executor
        if self._executor.state == WorkerState.ASLEEP:
            self._work.wait()
        elif not self._work.wait(max(0.0, rested + self._idle_seconds - time.monotonic())):
            self._executor.rest()

    def _run(self, stored: StoredJob) -> None:
        assert self._executor
        job = stored.view.id
        self._running = job
        self.news.publish()
        problem: Problem | None = None
        state = JobState.DONE
        try:
            self._executor.run(
                job,
                self.folders.path(job),
                lambda report: self._report(job, report),
                lambda: self._store.cancel_wanted(job),
                self._crowded,
            )
        except Interrupted:
            self._record(lambda: self._store.put_back(job))
            return
        except Parked:
            with self._answering:  # an answer that came at this very moment has been written down
                self._running = self._asked_at = None
                self._record(lambda: self._store.put_back(job))
            self._rest_wanted = not self.queued  # it was put aside for that, or has waited long
            return
        except Cancelled:
            state = JobState.CANCELLED
        except Problem as error:
            problem, state = error, JobState.FAILED
        except Exception as error:  # the queue goes on, whatever an executor does
            logger.exception("the executor failed")
            detail = f"The job could not be run ({type(error).__name__}); the server's log tells more."
            problem, state = Problem("internal", detail), JobState.FAILED
        finally:
            self._running = self._asked_at = None
        files: tuple[str, ...] = ()
        if state != JobState.DONE:
            self._clear(job)
        else:
            try:
                files = self.folders.files(job)
            except OSError as error:  # somebody has removed the folder, or the disk has gone
                logger.error("the output of job %s is out of reach: %s", job, error)
        self._record(lambda: self._store.finish(job, state, problem=problem, files=files))

    def _crowded(self) -> bool:
        """Whether the running job, which waits for an answer, should make room."""
        asked = self._asked_at
        waited = 0.0 if asked is None else time.monotonic() - asked
        return self._rest_wanted or waited > self._idle_seconds or self.queued > 0

    def _clear(self, job: str) -> None:
        try:
            self.folders.clear_output(job)
        except OSError as error:
            logger.error("the output of job %s is out of reach: %s", job, error)

    def _make_room(self) -> None:
        """Hold the limit. What goes wrong with it must not stop the queue; the next job tries again."""
        if self.keep_bytes is None or not self._room_wanted:
            return
        self._room_wanted = False
        try:
            if retention.free(self._store, self.folders, self.keep_bytes):
                self.news.publish()
        except (Problem, OSError) as error:
            logger.error("old jobs cannot be removed: %s", error)

    def _record(self, write: Callable[[], None]) -> None:
        """Write how a job ended. While that fails, on a full disk, say, it is tried again: nothing else can go on.

        If the service stops before it succeeds, the next server finds the job as running and adopts it.
        """
        while True:
            try:
                write()
                break
            except Problem as problem:
                logger.error("the end of a job cannot be written, trying again: %s", problem)
                if problem.code == "data-gone":  # there is nothing to write it into, and nobody who could ask
                    break
            if self._closing.wait(RETRY_SECONDS):
                break
        self.news.publish()

    def _report(self, job: str, report: Report) -> None:
        try:
            if report.type == "question":
                self._asked_at = time.monotonic()
                self._store.ask(job, report.data)
            else:
                self._store.append(job, report.type, report.data)
        except Problem as problem:
            if report.type == "question":
                raise
            logger.warning("an event of job %s was not stored: %s", job, problem)
        self.news.publish()

    def _stored(self, job: str) -> StoredJob:
        self.folders.path(job)
        return self._store.get(job)
