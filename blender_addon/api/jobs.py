"""Jobs as Python calls: what is known of them, and what can be done with them; see `api`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from .. import session
from ..ground.messages import SetDresserError
from ..state import desk
from ..state.job import JobRecord
from ..work import going_on, questions, results
from ..work import jobs as work
from .waiting import SHORT_TIMEOUT, refresh_lists, wait_until


class Job:
    """A job: what is known of it, and what can be done with it."""

    def __init__(self, record: JobRecord) -> None:
        self._record = record

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    @property
    def id(self) -> str:
        """The server's id; a provisional one until the job has been sent."""
        return self._record.id

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def pipeline(self) -> str:
        return self._record.pipeline

    @property
    def state(self) -> str:
        """preparing, capturing, sending, queued, running, needs_input, done, failed or cancelled."""
        return self._record.state

    @property
    def stage(self) -> str:
        return self._record.stage

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        return self._record.fraction

    @property
    def eta(self) -> float | None:
        """Seconds left; None while unknown."""
        return self._record.eta

    @property
    def problem(self) -> SetDresserError | None:
        """Why it failed, or why its result could not be imported."""
        return self._record.problem

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What should be known although it went on: {"code", "message", "hint", "instance"}."""
        return list(self._record.warnings)

    @property
    def question(self) -> dict[str, Any] | None:
        """What it asks, as in docs/api.md; None if it asks nothing, or an answer is on its way."""
        return dict(self._record.question.document) if self._record.question and self._record.asks else None

    @property
    def objects(self) -> list[bpy.types.Object]:
        """The props of the last import that are still in the file."""
        found = (prop.find(bpy.data.objects) for prop in self._record.props)
        return [prop for prop in found if prop is not None]

    @property
    def result(self) -> dict[str, Any]:
        """result.json. Raises SetDresserError if it has not been fetched yet."""
        return results.read(self._record)

    @property
    def glb(self) -> Path | None:
        """The fetched scene.glb, which stays until Blender ends; None before."""
        return self._record.folder / "scene.glb" if self._record.folder else None

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until the job has ended and its props are in the scene, or until it asks something: `question` is not
        None then. Blocks: for scripts, not for a window.

        timeout: the longest wait in seconds; None to wait as long as the job takes.

        Raises SetDresserError: if it fails, is cancelled, its backend is gone, or it takes longer than `timeout` (it
        goes on then).
        """
        record = self._record
        wait_until(lambda: not record.busy or record.asks, timeout, f"The job is still {self.state}")
        if record.asks:
            return self
        if self._record.problem is not None:
            raise self._record.problem
        if self.state == "cancelled":
            raise SetDresserError("The job was cancelled.", "Start it again when you want it.", "cancelled")
        if self.state != "done":
            raise SetDresserError("The backend was stopped.", "Start it; the job goes on then.", "stopped")
        return self

    def answer(self, given: dict[str, Any] | None = None, *, wait: bool | None = None) -> None:
        """Answer its question; see `answer`."""
        answer(self, given, wait=wait)

    @property
    def can_finish(self) -> bool:
        """Whether it can end early with what it has: it runs, and its pipeline is one that can."""
        return self._record.can_finish

    @property
    def can_continue(self) -> bool:
        """Whether it can go on although it has ended: it failed, was cancelled or finished early, and has kept where
        it was."""
        return self._record.can_continue

    @property
    def finished_early(self) -> bool:
        return self._record.finished_early

    def cancel(self) -> None:
        cancel(self)

    def finish(self) -> None:
        """Have it end early with the best it has; see `finish_job`."""
        finish_job(self)

    def go_on(self, *, wait: bool | None = None) -> Job:
        """Have it go on from where it was; see `continue_job`."""
        return continue_job(self, wait=wait)


def question(job: Job | str) -> dict[str, Any] | None:
    """What a job asks, as in docs/api.md; None if it asks nothing, or an answer is on its way."""
    return Job(find_record(job)).question


def answer(
    job: Job | str,
    given: dict[str, Any] | None = None,
    *,
    wait: bool | None = None,
    timeout: float = SHORT_TIMEOUT,
) -> None:
    """Answer what a job asks.

    Args:
        given: {"chosen": [indices]}, {"instances": [{"ids": [ids], "name": name}]}, or what a plug-in's own question
            wants; what the question itself proposes if left out.
        wait: whether to return only when the server has taken the answer; by default in background mode only.
        timeout: longest wait in seconds.

    Raises SetDresserError: if the job asks nothing; and, if it waits, what the server has against the answer. The
    question stands then.
    """
    record = find_record(job)
    asked = record.question
    if asked is None or asked.sending:
        raise SetDresserError("The job asks nothing.", "It may have gone on or ended.", "input-not-expected")
    given = asked.default_answer() if given is None else given
    check_can_be_sent(given)
    questions.answer(session.current.line, record, given)
    if bpy.app.background if wait is None else wait:
        wait_until(lambda: not asked.sending, timeout, "The answer has not been taken")
        if asked.problem is not None:
            raise asked.problem


def cancel(job: Job | str) -> None:
    """Cancel a job, given as such or by id."""
    work.cancel(session.current.line, find_record(job))


def finish_job(job: Job | str, *, import_result: bool | None = None) -> None:
    """Have a running job end early with the best it has; its props come in as if it were done.

    import_result: whether they come in, also into another file than the job was made in; by default as was said when it
        was made.

    Raises SetDresserError: if it cannot, see `Job.can_finish`.
    """
    going_on.finish(session.current.line, find_record(job), import_result)


def continue_job(
    job: Job | str, *, import_result: bool = True, wait: bool | None = None, timeout: float | None = None
) -> Job:
    """Have a job that failed, was cancelled or finished early go on from where it was. Its props replace those that it
    has brought before, which stay as hidden variants. `import_result`, `wait` and `timeout` as in `generate`.

    Raises SetDresserError: if it cannot, see `Job.can_continue`; and, if it waits, what the server has against it.
    """
    record = find_record(job)
    going_on.go_on(session.current.line, record, import_result)
    found = Job(record)
    return found.wait(timeout) if (bpy.app.background if wait is None else wait) else found


def import_job(
    job: Job | str, *, keep_moves: bool = True, wait: bool | None = None, timeout: float | None = None
) -> Job:
    """Import a finished job, again if need be: its props replace those of the former import, which stay as hidden
    variants. `keep_moves` and `wait` as in `generate`."""
    record = find_record(job)
    if not record.has_result:
        raise SetDresserError(
            f"The job is {record.state}; there is nothing to import.", "Wait until it is done.", "job-not-finished"
        )
    record.keep_moves = keep_moves
    work.bring_in(session.current.line, record)
    found = Job(record)
    return found.wait(timeout) if (bpy.app.background if wait is None else wait) else found


def delete_job(job: Job | str) -> None:
    """Remove an ended job with its files. The objects in the scene stay."""
    record = find_record(job)
    if not record.ended:
        raise SetDresserError("The job has not ended yet.", "Cancel it first.", "job-not-finished")
    work.delete(session.current.line, record)


def jobs(*, refresh: bool = True, timeout: float = SHORT_TIMEOUT) -> list[Job]:
    """The jobs, newest first. With `refresh` the server is asked, and waited for."""
    if refresh:
        refresh_lists(timeout)
    return [Job(record) for record in desk.current.jobs.values()]


def find_record(job: Job | str) -> JobRecord:
    """The job's record. Raises SetDresserError if the list does not have it."""
    if isinstance(job, Job):
        return job._record
    record = desk.current.jobs.get(job)
    if record is None:
        raise SetDresserError(f"There is no job '{job[:40]}'.", "Refresh the list.", "job-not-found")
    return record


def check_can_be_sent(values: dict[str, Any]) -> None:
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        hint = "Use numbers, texts, truth values, and lists and dictionaries of them."
        raise SetDresserError(f"These values cannot be sent: {error}.", hint, "parameters-invalid") from error
