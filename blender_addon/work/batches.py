"""What is done with batches: they begin, pause, go on and are cancelled as one."""

from __future__ import annotations

from datetime import UTC, datetime

from ..backend_process.server_process import ServerState
from ..ground import references, tick
from ..ground.messages import SetDresserError, as_error
from ..props import recipes
from ..state import batch as state
from ..state.batch import Batch
from ..state.desk import Desk
from ..state.job import ENDED, JobRecord
from ..wire.tasks import Steps
from . import batch_files, batch_sending, batch_shots, going_on, jobs
from .line import Line


def begin(line: Line, batch: Batch) -> None:
    """Start a new batch, whose folder is there: take the pictures, send the jobs, have the props come in. Raises
    SetDresserError."""
    batch.created = datetime.now(UTC).isoformat()
    batch_files.save(batch)
    line.desk.batches = {batch.id: batch, **line.desk.batches}
    batch_files.tidy(line.desk)
    _run(line, batch, _work(line, batch, taking=True), asked=True)


def go_on(line: Line, batch: Batch) -> None:
    """Take what is still to be taken, send what is still to be sent, try again what failed, and have the props come in
    that are not in the file. Raises SetDresserError: if another Blender works on it."""
    batch_files.hold(batch)
    if batch.task is not None:
        batch.wished = not batch.asked  # what goes on by itself ends first
        return
    batch.wished = False
    line.desk.settle()
    batch.paused = batch.cancelled = False
    batch.problem = None
    missing = set(state.unseen(batch))
    for number, shot in enumerate(batch.shots):
        entries = [entry for entry in batch.entries if entry.shot == number]
        of_use = entries or batch.choosing or missing
        if shot.state == state.LEFT_OUT and of_use:
            shot.state, shot.problem = state.WAITING, None
            batch.choosing |= not entries
    for entry in batch.entries:
        if entry.state in (state.LEFT_OUT, state.CANCELLED):
            entry.state, entry.problem = state.WAITING, None
    batch_files.save(batch)
    _run(line, batch, _go_on(line, batch), asked=True)


def _go_on(line: Line, batch: Batch) -> Steps[None]:
    if batch.begun:
        yield from batch_sending.find_jobs(line, batch)
    for entry in batch.entries:
        record = line.desk.jobs.get(entry.job)
        if record is not None and record.resting and not record.ended:
            yield from batch_sending.rest(line, batch, record)
    for entry, record in batch_sending.failed(batch, line.desk):
        if record.can_continue:
            entry.outcome = ""
            going_on.go_on(line, record, bool(batch.options["import_when_done"]) and not batch.away)
        else:
            yield from batch_sending.again(line, batch, entry)
    yield from _work(line, batch, taking=not batch.away)
    batch_sending.check_taken(batch)


def _work(line: Line, batch: Batch, taking: bool) -> Steps[None]:
    if line.desk.server.state in (ServerState.STOPPED, ServerState.CRASHED):
        line.start_server()  # it takes as long as the pictures do
    if taking and (batch.untaken or batch.choosing):
        yield from batch_shots.take_all(line, batch)
    yield from batch_sending.send_all(line, batch)
    if not batch.away:
        _bring_in(line, batch)


def _bring_in(line: Line, batch: Batch) -> None:
    """Have the props come in that are not in the file, also those that somebody has had: a Blender that was killed has
    not saved them."""
    here = recipes.jobs_here()
    for entry in batch.entries if batch.options["import_when_done"] else ():
        record = line.desk.jobs.get(entry.job)
        if record is not None and not record.away:
            record.result_imported = record.id in here
            record.import_when_done = not record.result_imported
            record.found = False  # nobody else comes first: the batch is held here
            if record.import_when_done and record.state == "done":
                entry.outcome, record.problem = "", None
    batch_sending.follow(line, batch)


def pause(line: Line, batch: Batch) -> None:
    """Have what waits go on waiting; what runs is finished. Raises SetDresserError."""
    batch_files.hold(batch)
    batch.paused, batch.wished = True, False
    _stop(line, batch)
    for record in _open_jobs(line.desk, batch):
        line.begin(batch_sending.rest(line, batch, record), line.report)
    batch_files.save(batch)
    line.desk.changed()


def cancel(line: Line, batch: Batch) -> None:
    """End all of it that has not ended. Raises SetDresserError."""
    batch_files.hold(batch)
    batch.cancelled, batch.wished = True, False
    _stop(line, batch)
    for entry in batch.entries:
        if entry.state == state.WAITING and entry is not batch.sending:
            entry.state = state.CANCELLED
    for record in _open_jobs(line.desk, batch):
        jobs.cancel(line, record)
    batch_files.save(batch)
    line.desk.changed()
    tick.wake()


def _stop(line: Line, batch: Batch) -> None:
    """Nothing more is taken or sent; what is on its way to the server comes to its end first."""
    if batch.task is not None and batch.sending is None:
        line.tasks.stop(batch.task)


def remove(line: Line, batch: Batch) -> None:
    """Take it off the list; its jobs stay. Raises SetDresserError: if it has not ended."""
    batch_files.hold(batch)
    if batch.task is not None or not (batch.ended or batch.cancelled):
        raise SetDresserError("The batch has not ended yet.", "Cancel it first.", "job-not-finished")
    batch_files.remove(line.desk, batch)


def _open_jobs(desk: Desk, batch: Batch) -> list[JobRecord]:
    known = (desk.jobs.get(entry.job) for entry in batch.entries)
    return [record for record in known if record is not None and not record.ended]


def _run(line: Line, batch: Batch, steps: Steps[None], asked: bool = False) -> None:
    def whole() -> Steps[None]:
        try:
            yield from steps
        finally:
            batch.task, batch.sending, batch.message = None, None, ""
            if batch.away:  # the Blender that has its file may want to go on
                batch_files.let_go(batch)
            line.desk.changed()

    def failed(error: Exception) -> None:
        batch.problem = as_error(error)
        line.desk.report(batch.problem, batch.id)

    batch.problem, batch.asked = None, asked
    batch.task = whole()
    line.begin(batch.task, failed)


def look(line: Line) -> None:
    """Called when something has changed: how jobs have ended is written down, what was taken and not sent is sent as
    soon as there is a server, and the next jobs are followed."""
    for batch in line.desk.batches.values():
        if _is_over(batch) and not batch.wished:
            continue
        _note_ends(line.desk, batch)
        if batch.wished and batch.task is None:
            go_on(line, batch)
        ready = line.desk.server.state is ServerState.READY
        idle = batch.task is None and batch.problem is None
        wanted = idle and not (batch.paused or batch.cancelled)
        if ready and idle and not batch.told and _held(batch):
            batch.told = True
            _run(line, batch, _tell_again(line, batch))
        elif ready and wanted and batch.unsent and _held(batch):
            _run(line, batch, _work(line, batch, taking=False))
        elif ready and wanted and not batch.searched and _is_missing(line.desk, batch) and _held(batch):
            batch.searched = True
            _run(line, batch, batch_sending.find_jobs(line, batch))
        elif ready and batch.lock is not None:
            batch_sending.follow(line, batch)


def _tell_again(line: Line, batch: Batch) -> Steps[None]:
    """Have the jobs rest, end or take their turn as the batch does: a Blender that was killed may have told a server
    that was away."""
    if _is_missing(line.desk, batch):
        batch.searched = True
        yield from batch_sending.find_jobs(line, batch)
    for record in _open_jobs(line.desk, batch):
        if batch.cancelled:
            jobs.cancel(line, record)
        elif record.resting != batch.paused:
            yield from batch_sending.rest(line, batch, record)


def _is_over(batch: Batch) -> bool:
    """Whether all that it began has ended, and nothing can come of the rest without being asked for."""
    return all(entry.outcome or entry.state in (state.LEFT_OUT, state.CANCELLED) for entry in batch.entries) and (
        batch.ended or batch.cancelled
    )


def _is_missing(desk: Desk, batch: Batch) -> bool:
    """Whether the server's list, of which only the newest are fetched by themselves, must be searched for its jobs."""
    return any(
        entry.state == state.SENT and not entry.outcome and entry.job not in desk.jobs for entry in batch.entries
    )


def _note_ends(desk: Desk, batch: Batch) -> None:
    changed = False
    for entry in batch.entries:
        record = desk.jobs.get(entry.job)
        if record is not None and record.batch.get("id") == batch.id:
            outcome = record.state if record.state in ENDED and not record.awaited and not record.busy else ""
            changed |= outcome != entry.outcome
            entry.outcome = outcome
    if changed and batch.lock is not None:
        try:
            batch_files.save(batch)
        except SetDresserError as error:
            desk.report(error, batch.id)


def _held(batch: Batch) -> bool:
    """Whether this Blender is, or has just become, the one that works on it."""
    try:
        batch_files.hold(batch)
    except SetDresserError:
        return False
    return True


def file_loaded(line: Line, same: bool) -> None:
    """Another file is open, or the `same` one again."""
    file = references.this_file()
    for batch in line.desk.batches.values():
        home = bool(file) and batch.file == file
        if batch.task is not None and not home and (batch.untaken or batch.choosing):
            _stop(line, batch)
            batch.problem = SetDresserError(
                "Another file was opened before all pictures were taken.",
                "Open the file of the batch, and go on.",
                "batch-file",
            )
        batch.file_opened((same and not batch.away) or home)
    line.desk.changed()


def find_home(desk: Desk) -> None:
    """Of the batches that were kept, those are at home that were made in the file that is open."""
    file = references.this_file()
    for batch in desk.batches.values():
        if batch.away and file and batch.file == file:
            batch.file_opened(True)
            desk.changed()


def close(desk: Desk) -> None:
    """Other Blenders may go on."""
    for batch in desk.batches.values():
        batch_files.let_go(batch)
