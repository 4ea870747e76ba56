"""The door to the jobs: submit, look, cancel, answer, fetch. The server and the command line both use it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from backend.contract import AgainRequest, Event, GenerateRequest, JobState, JobView, OutlineFiles, Waiting
from backend.errors import Problem
from backend.jobs import retention
from backend.jobs.answers import add_answer, check_answer
from backend.jobs.at_work import AtWork
from backend.jobs.checks import check_going_on, check_job, inputs_of, pictures_gone
from backend.jobs.executor import Executor, WorkerState
from backend.jobs.folders import KEPT, JobFolders, storage_problem
from backend.jobs.local import LocalExecutor
from backend.jobs.measures import Measures
from backend.jobs.news import News
from backend.jobs.rows import StoredJob, unknown
from backend.jobs.shown import finishes_early, shown
from backend.jobs.statistics import Count
from backend.jobs.store import JobStore
from backend.jobs.submission import Submission
from backend.pipelines import PIPELINES
from backend.pipelines.base import PipelineInfo
from backend.privacy import close_to_others
from backend.questions import read_question

IDLE_SECONDS = 300.0
GRACE_SECONDS = 5.0
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
        slots: how many jobs run at once; as many as there are graphics cards if left out, at least one.
        executor: what runs the jobs; worker processes on this machine if left out.
    """

    def __init__(
        self,
        data: Path,
        *,
        idle_seconds: float = IDLE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
        keep_bytes: int | None = None,
        adopt: bool = True,
        slots: int | None = None,
        executor: Callable[[Path], Executor[Any]] | None = None,
    ) -> None:
        self.data = data.absolute()
        self._idle_seconds = idle_seconds
        self.keep_bytes = keep_bytes
        self._adopt = adopt
        self._make_executor: Callable[[Path], Executor[Any]] = executor or (
            lambda log: LocalExecutor(log, grace_seconds, slots)
        )
        self._at_work: AtWork | None = None
        self._closing = threading.Event()
        self.news = News()
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            close_to_others(self.data)
        except OSError as error:
            raise storage_problem(error, "The data folder cannot be used") from error
        self.folders = JobFolders(self.data / "jobs")
        self.measures = Measures()
        self._store = JobStore(self.data / "jobs.sqlite3", self.folders.reached, self.measures.ended)

    # life

    def start(self) -> None:
        """Take the lock, adopt, begin to run. Raises Problem if the data folder cannot be used."""
        if self._at_work is not None:
            raise RuntimeError("a service starts once")
        self._at_work = AtWork(
            self.data,
            self._make_executor,
            self._store,
            self.folders,
            self.news,
            self._closing,
            self._idle_seconds,
            self._make_room,
            self.measures,
        )
        self._at_work.start(adopt=self._adopt)

    def warm(self) -> None:
        """Have the worker ready before the first job. Returns at once."""
        if self._at_work:
            self._at_work.runner.warm()

    def rest(self) -> bool:
        """Have idle workers leave now, to give their memory back; the next job starts another. Returns at once.

        Whether all will: not while a job runs or is about to. One that waits for an answer is put aside.
        """
        return self._at_work is not None and self._at_work.runner.rest()

    def close(self) -> None:
        """Begin to stop: no further job is started, and everyone who waits for events is let go. Returns at once."""
        self._closing.set()
        self._look_up()
        self.news.publish()

    def stop(self) -> None:
        """End the workers, put what runs back in the queue for the next server, release the lock."""
        self.close()
        if self._at_work:
            self._at_work.stop()
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
    def workers(self) -> list[tuple[WorkerState, str | None]]:
        """Of each slot the worker's state, and the job that runs in it."""
        return self._at_work.runner.workers if self._at_work else []

    @property
    def worker(self) -> WorkerState:
        """The state of the worker that has most to do."""
        return self._at_work.worker if self._at_work else WorkerState.ASLEEP

    @property
    def running(self) -> list[str]:
        """The jobs that run here."""
        return self._at_work.runner.running if self._at_work else []

    @property
    def queued(self) -> int:
        """How many jobs wait here."""
        return self._at_work.runner.queued if self._at_work else 0

    @property
    def worker_pids(self) -> list[int | None]:
        """Of each slot the process of its worker; None while it has none, or one of another machine."""
        return self._at_work.runner.worker_pids if self._at_work else []

    @property
    def usual_seconds(self) -> float | None:
        """What the jobs that wait here usually take, on average; None where nothing was done yet to tell."""
        return self._at_work.usual_seconds if self._at_work else None

    @property
    def next_end_seconds(self) -> float | None:
        """In how many seconds the first of the jobs that run here ends, about; None where nothing tells."""
        return self._at_work.next_end_seconds if self._at_work else None

    @property
    def waiting(self) -> Waiting | None:
        """Why none of the jobs that are queued here is run at the moment; None while one is."""
        return self._at_work.waiting() if self._at_work else None

    # jobs

    def submit(
        self,
        request: GenerateRequest,
        images: list[bytes],
        instances: bytes | None = None,
        depth: bytes | None = None,
        outlines: Sequence[OutlineFiles] = (),
        *,
        user: str = "",
        asked: Submission | None = None,
    ) -> JobView:
        """Check everything, store it, queue it. Raises Problem, and then nothing is stored.

        user: whose job it is; users take turns.
        asked: the key that it is asked for by; see `asked_before`, which is looked at before.
        """
        if self._at_work is None:
            raise RuntimeError("submit() needs a service that was started")
        info = check_job(request, images, instances, depth, outlines)
        made = self.folders.create(request, images, instances, depth, outlines)
        return self._queue(made, request, info, user, asked)

    def asked_before(self, user: str, asked: Submission) -> JobView | None:
        """The job that a user has asked for by this key, if it is still there. Raises Problem("key-reused")."""
        job = self._store.users.asked_before(user, asked)
        return None if job is None else self.get(job)

    def again(self, job: str, changes: AgainRequest, *, user: str = "", asked: Submission | None = None) -> JobView:
        """A new job with the inputs of another one, whatever became of that. `user`, `asked`: as for `submit`.

        Raises Problem("job-not-found", "inputs-gone"), and what `submit` raises; nothing is stored then.
        """
        if self._at_work is None:
            raise RuntimeError("again() needs a service that was started")
        self._stored(job)
        former, images, instances, depth, outlines = inputs_of(self.folders.path(job))
        request = changes.applied_to(former)
        info = check_job(request, images, instances, depth, outlines)
        try:
            # Another pipeline on the same pictures: what was said of them before, in a preparation, still holds.
            made = self.folders.create_like(request, job, answers=request.pipeline != former.pipeline)
        except Problem as problem:
            if (self.folders.path(job) / "inputs").is_dir():
                raise
            raise pictures_gone() from problem  # it was removed at this very moment
        return self._queue(made, request, info, user, asked)

    def _queue(
        self, job: str, request: GenerateRequest, info: PipelineInfo, user: str, asked: Submission | None
    ) -> JobView:
        """Put a job whose folder is complete at the end of the queue."""
        assert self._at_work
        try:
            stored = self._store.add(job, self._at_work.owner, request.name, info.id, request.origin, user, asked)
        except Problem:
            self.folders.remove(job)
            raise
        if stored.view.id != job:  # the same request came over two lines at once
            self.folders.remove(job)
            return self._shown(stored)
        self._look_up()
        self.news.publish(job)
        return self._shown(stored)

    def _look_up(self) -> None:
        if self._at_work:
            self._at_work.runner.look_up()

    def _nudge(self, job: str) -> None:
        if self._at_work:
            self._at_work.runner.nudge(job)

    def list(
        self, limit: int = 100, before: str | None = None, user: str | None = None, ended: bool | None = None
    ) -> list[JobView]:
        """The newest jobs first, those of other servers on this data folder among them.

        before: only those that are older than this job. user: only those of this one. ended: only those that have
        ended, or only the others. Raises Problem("job-not-found") if `before` is not in the list.
        """
        return [self._shown(stored) for stored in self._store.newest(limit, before, user, ended)]

    def counts(self) -> Sequence[Count]:
        """How many jobs of each pipeline are in each state, those of other servers on this data folder among them."""
        return self._store.statistics.counts()

    def user_of(self, job: str) -> str:
        """Whose job it is. Raises Problem("job-not-found")."""
        self.folders.path(job)
        if (user := self._store.users.owner_of(job)) is None:
            raise unknown(job)
        return user

    def queued_of(self, user: str) -> int:
        """How many jobs of a user wait."""
        return self._store.users.queued_of(user)

    def get(self, job: str) -> JobView:
        """Raises Problem("job-not-found")."""
        return self._shown(self._stored(job))

    def _shown(self, stored: StoredJob) -> JobView:
        return shown(stored, self.folders, self._at_work)

    def cancel(self, job: str) -> JobView:
        """Ask a running job to stop, cancel any other that has not ended at once; an ended one stays as it is."""
        waiting = self._stored(job).view.state == JobState.NEEDS_INPUT
        stored = self._store.request_cancel(job)
        if self._at_work and waiting and stored.view.state.ended and job not in self.running:
            self._at_work.runner.clear(stored)
        self._nudge(job)
        self.news.publish(job)
        return self._shown(stored)

    def finish(self, job: str) -> JobView:
        """Have a running job end early with the best it has. Raises Problem("job-not-found", "finish-not-possible")."""
        view = self._stored(job).view
        if not finishes_early(view):
            title = PIPELINES[view.pipeline].title if view.pipeline in PIPELINES else view.pipeline
            detail = f"{title} has nothing to show before its end."
            raise Problem("finish-not-possible", detail, "Wait until it is done, or cancel it.")
        stored = self._store.request_finish(job)
        self._nudge(job)
        self.news.publish(job)
        return self._shown(stored)

    def prioritise(self, job: str, priority: int) -> JobView:
        """Among the queued jobs of a user those of the highest priority go first, then the oldest. Of a job that does
        not queue it counts once it is queued again. One of the lowest priority, `turns.RESTING`, is not run until it
        has another. Raises Problem("job-not-found")."""
        self._stored(job)
        stored = self._store.prioritise(job, priority)
        self._look_up()
        self.news.publish(job)
        return self._shown(stored)

    def go_on(self, job: str) -> JobView:
        """Queue a job again that failed, was cancelled or finished early, to go on from its newest checkpoint.

        What an early finish has given stays until the new result takes its place. Raises Problem("job-not-found",
        "inputs-gone", "continue-not-possible"), and what `submit` raises if the job can no longer be run.
        """
        if self._at_work is None:
            raise RuntimeError("go_on() needs a service that was started")
        if not self._shown(self._stored(job)).can_continue:
            self._store.go_on(job, self._at_work.owner)  # raises, and says why
        check_going_on(self.folders.path(job))
        stored = self._store.go_on(job, self._at_work.owner)
        retention.mark_unfetched(self.folders, job)
        self._look_up()
        self.news.publish(job)
        return self._shown(stored)

    def take_over(self, job: str) -> JobView:
        """Have a job that has not ended run here if its owner is dead, and whatever else that one has left.

        One that runs elsewhere stays there: it can be waited for. Raises Problem("job-not-found").
        """
        if self._at_work is None:
            raise RuntimeError("take_over() needs a service that was started")
        stored = self._stored(job)
        if not stored.view.state.ended and stored.owner != self._at_work.owner:
            self._at_work.adopt_from(stored.owner)
            self._look_up()
            self.news.publish()
        return self.get(job)

    def delete(self, job: str) -> None:
        """Forget an ended job and remove its files. Raises Problem("job-not-found", "job-not-finished")."""
        self._stored(job)
        self._store.delete(job)
        self.folders.remove(job)
        self.news.publish(job)

    def limit(self, keep_bytes: int | None) -> None:
        """Another limit for what the jobs may hold, from now on. Returns at once."""
        self.keep_bytes = keep_bytes
        if self._at_work:
            self._at_work.runner.make_room()

    def surplus(self, keep_bytes: int) -> retention.Usage:
        """What such a limit would remove now. Raises Problem("storage-…") if the list of jobs cannot be used."""
        return retention.surplus(self._store, self.folders, keep_bytes)

    def usage(self, user: str | None = None) -> retention.Usage:
        """What the jobs hold of the disk; those of one user where that is given."""
        return retention.usage(self.folders, None if user is None else self._store.users.jobs_of(user))

    def answer(self, job: str, answer: dict[str, Any]) -> JobView:
        """Answer the question of a job in needs_input. Raises Problem("input-not-expected", "answer-invalid")."""
        self._stored(job)
        check_answer(answer)
        if self._at_work is None:
            raise Problem("input-not-expected", "The job is run by another process.")
        with self._at_work.runner.answering:
            asked = self._store.check_asks(job, self._at_work.owner)
            if asked is not None and (question := read_question(asked)) is not None:
                question.check(answer)
            if not self.folders.path(job).is_dir():
                raise Problem("inputs-gone", "The folder of this job is not there any more.")
            try:
                add_answer(self.folders.path(job), asked, answer)
            except OSError as error:
                raise storage_problem(error, "The answer cannot be kept") from error
            here = self._at_work.runner.answered(job)
            resumed = self._store.resume(job, self._at_work.owner, running=here)
            if here:
                self._at_work.runner.answer(job, answer)
        self._look_up()
        self.news.publish(job)
        return self._shown(resumed)

    def file(self, job: str, name: str, *, taken: bool = True) -> Path:
        """The path of a file of the result, or of one that a job has kept or shown to be seen on its way.

        taken: whoever asks for the scene gets it, as far as `retention` is concerned; otherwise see `take`.

        Raises Problem("job-not-finished", "file-not-found").
        """
        view = self.get(job)
        path = self.folders.find(job, name)
        told = name in view.files or name in (preview.file for preview in view.previews)
        if not view.state.ended and not told and (path is None or path.parent.name != KEPT):
            raise Problem("job-not-finished", f"The job is {view.state.value}.")
        if path is None or (view.state.ended and not told):
            has = f"It has {', '.join(view.files)}." if view.files else "It has none."
            raise Problem("file-not-found", f"The job has no file '{name[:40]}'.", has)
        if taken:
            self.take(job, name)
        return path

    def first_picture(self, job: str) -> Path | None:
        """Where the first picture of a job's inputs is; None if it came without, or they are gone."""
        path = self.folders.path(job) / "inputs" / "image-0.bin"
        return path if path.is_file() else None

    def take(self, job: str, name: str) -> None:
        """Somebody has had a file of the result."""
        if name == retention.SCENE:
            retention.mark_fetched(self.folders, job)

    # events

    def recent_events(self, job: str, after: int = 0) -> tuple[Sequence[Event], bool]:
        """Events with ids above `after`, and whether there can be no more of them.

        There can be no more when the job has ended, or has been deleted. Of progress and previews the newest are
        stored; a caller that follows a job of this process misses none.
        """
        ended = self._store.has_ended(job)  # asked first: whatever led to the end is among the events read after it
        events = self._store.events(job, after, EVENTS_AT_ONCE)
        last = ended and len(events) < EVENTS_AT_ONCE
        return self._at_work.runner.recent.complete(job, after, events) if self._at_work else events, last

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

    def _make_room(self) -> None:
        """Hold the limit. What goes wrong with it must not stop the queue; the next job tries again."""
        if self.keep_bytes is None:
            return
        try:
            if retention.free(self._store, self.folders, self.keep_bytes):
                self.news.publish()
        except (Problem, OSError) as error:
            logger.error("old jobs cannot be removed: %s", error)

    def _stored(self, job: str) -> StoredJob:
        self.folders.path(job)
        return self._store.get(job)
