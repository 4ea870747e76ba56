"""Finish Now, and Continue: a job ends early with what it has, and one that has ended goes on from where it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..ground.messages import SetDresserError, as_error
from ..ground.references import Place
from ..wire.client import answer
from ..wire.tasks import Steps
from . import jobs, results

if TYPE_CHECKING:
    from ..session import Session
    from .jobs import JobRecord


def finish(session: Session, record: JobRecord, import_result: bool | None = None) -> None:
    """Have a running job end early with the best that it has. Raises SetDresserError if it cannot.

    import_result: whether its props come in then; None for what was said before. If it was made for another file, or
    before this one was opened again, they come into the scene that is in sight now.
    """
    if not record.can_finish:
        message = "This job cannot end early."
        raise SetDresserError(message, "Wait until it is done, or cancel it.", "finish-not-possible")
    if record.finishing:
        return

    def failed(error: Exception) -> None:
        record.finishing = False
        if not record.ended:  # otherwise it came to its end by itself, meanwhile
            session.report(error, record.id)

    record.finishing = True
    if import_result is not None:
        record.import_when_done = import_result
    if import_result:
        session.pressed = record
        record.place = record.place or Place.of(bpy.context.scene, bpy.context.view_layer)
    session.begin(jobs.tell(session, record, lambda client: client.finish(record.id)), failed)


def go_on(session: Session, record: JobRecord, import_result: bool = True) -> None:
    """Have an ended job go on from where it was. Its props come into the scene that is in sight now, and those that an
    earlier end has brought give way. Raises SetDresserError if it cannot go on."""
    if not record.can_continue:
        message = "There is nothing that this job could go on from."
        raise SetDresserError(message, "Generate it again.", "continue-not-possible")
    if record.continuing:
        return

    def failed(error: Exception) -> None:
        record.problem = as_error(error)
        session.report(error, record.id)

    record.continuing, record.import_when_done, session.pressed = True, import_result, record
    record.place = Place.of(bpy.context.scene, bpy.context.view_layer)
    session.begin(_go_on(session, record), failed)


def begin_again(session: Session, record: JobRecord) -> None:
    """What is here of an earlier end of the job goes: it will have another one. The objects in the scene stay."""
    folder = session.result_folder(record.id, create=False)
    for name in (*jobs.RESULT_FILES, results.THUMBNAIL):
        (folder / name).unlink(missing_ok=True)
    record.folder, record.problem, record.files, record.thumbnail = None, None, [], ""
    record.cancelling = record.finishing = record.continuing = record.result_imported = False


def _go_on(session: Session, record: JobRecord) -> Steps:
    try:
        client = yield from session.ready_client()
        exchange = client.go_on(record.id)
        yield from session.tasks.finish(exchange)
        view, cancelled = answer(exchange), record.cancelling
        session.settle(record.id)
        begin_again(session, record)
        record.warnings = list(record.noticed)  # its next result tells the rest anew
        record.take_view(view)
        session.attend(record)
        if cancelled:
            session.cancel(record)
    finally:  # also where the backend was stopped meanwhile
        record.continuing, record.cancelling = False, record.cancelling and not record.ended
        session.changed()
