"""What is done with jobs: they are made, seen through, cancelled, imported, and taken off the list."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import bpy

from ..ground import tick
from ..ground.messages import SetDresserError, as_error
from ..ground.references import Place
from ..state.desk import Desk
from ..state.job import PROVISIONAL, UNSENT, JobRecord
from ..wire.client import ServerProblem
from ..wire.tasks import Steps
from . import following, results
from .line import Line, told


def make(desk: Desk, **values: Any) -> JobRecord:
    """A job that the server does not have yet, on the list from now on; values: as in `JobRecord`."""
    desk.made += 1
    desk.settle()
    record = JobRecord(id=f"{PROVISIONAL}{desk.made}", **values)
    desk.jobs, desk.pressed = {record.id: record, **desk.jobs}, record
    desk.changed()
    return record


def older_unsent(desk: Desk, record: JobRecord) -> bool:
    """Whether a job that was made before this one still has to be sent."""
    older = itertools.takewhile(lambda job: job is not record, reversed(desk.jobs.values()))
    return any(not job.sent and not job.ended for job in older)


def run(line: Line, record: JobRecord, steps: Steps[Any]) -> None:
    """Have these steps be what happens to the job by itself; what ends them is its problem."""

    def whole() -> Steps[None]:
        try:
            yield from steps
        finally:
            record.task = None
            line.desk.changed()

    def failed(error: Exception) -> None:
        if record.has_result:
            record.problem, record.arrival = as_error(error), ""
        else:
            record.fail(error)
        assert record.problem is not None
        line.desk.report(record.problem, record.id)

    record.task = whole()
    line.begin(record.task, failed)


def stop(line: Line, record: JobRecord) -> None:
    """Nothing happens to the job by itself any more."""
    if record.task is not None:
        line.tasks.stop(record.task)
        record.task = None


def attend(line: Line, record: JobRecord) -> None:
    """See a job through that the server has."""
    if not record.ended:
        results.forget(record)
    run(line, record, following.until_placed(line, record))


def adopt(line: Line, record: JobRecord, description: Mapping[str, Any]) -> None:
    """The server has the job now, and has given it an id."""
    twin = line.desk.jobs.pop(str(description["id"]), None)
    if twin is not None:  # the list came in between
        stop(line, twin)
    record.take_description(description)
    line.desk.jobs = {job.id: job for job in line.desk.jobs.values()}
    line.desk.changed()


def cancel(line: Line, record: JobRecord) -> None:
    """Cancel a job wherever it is."""
    if record.state == "sending" or record.continuing:  # the server may have it: it is told once it has answered
        record.cancelling = True
    elif record.state in UNSENT:
        stop(line, record)
        record.state = "cancelled"
    elif not record.ended:
        record.cancelling = True
        line.tasks.start(tell_cancelled(line, record), line.report)
    elif record.arrival in ("fetching", "waiting"):
        stop(line, record)
        record.arrival = "imported" if record.imported else ""
    line.desk.changed()
    tick.wake()


def tell_cancelled(line: Line, record: JobRecord) -> Steps[None]:
    """Ask the server to cancel; that it is cancelled comes as an event."""
    yield from following.tell(line, record, lambda client: client.cancel(record.id))


def delete(line: Line, record: JobRecord) -> None:
    """Remove an ended job from the list and from the disk; the objects in the scene stay."""
    if not record.sent:
        drop(line.desk, record)
    else:
        stop(line, record)
        line.tasks.start(_delete(line, record), line.report)
        tick.wake()


def _delete(line: Line, record: JobRecord) -> Steps[None]:
    """One that is gone from the server already counts as removed."""
    try:
        yield from line.ask(lambda client: client.forget(record.id))
    except ServerProblem as problem:
        if problem.status != 404:
            raise
    drop(line.desk, record)
    told((yield from line.ask(lambda client: client.storage())), line.desk.take_storage)


def drop(desk: Desk, record: JobRecord) -> None:
    """Take a job off the list here."""
    desk.jobs.pop(record.id, None)
    results.remove(record.id)
    desk.changed()


def bring_in(line: Line, record: JobRecord) -> None:
    """Import a finished job, again if need be."""
    if record.task is None:
        record.problem, line.desk.pressed = None, record
        record.place = Place.of(bpy.context.scene, bpy.context.view_layer)
        run(line, record, results.bring_in(line, record))


def server_leaves(line: Line) -> None:
    """What was not sent fails; what the server has goes on when it starts again."""
    for record in line.desk.jobs.values():
        record.task, record.arrival = None, "imported" if record.imported else ""
        if record.state in UNSENT:
            hint = "Generate it again."
            record.fail(SetDresserError("The backend was stopped before it had the job.", hint, "stopped"))
        elif not record.ended:
            record.put_back()


def file_loaded(line: Line, same: bool) -> None:
    """Another file is open, or the `same` one again."""
    for record in line.desk.jobs.values():
        if record.arrival in ("fetching", "waiting"):
            stop(line, record)
        record.file_opened(same)
    line.desk.changed()
