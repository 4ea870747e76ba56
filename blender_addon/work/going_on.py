"""Finish Now, and Continue: a job ends early with what it has, and one that has ended goes on from where it was."""

from __future__ import annotations

import bpy

from ..ground.messages import SetDresserError, as_error
from ..ground.references import Place
from ..state.job import JobRecord
from ..wire.tasks import Steps
from . import following, jobs, results
from .line import Line


def finish(line: Line, record: JobRecord, import_result: bool | None = None) -> None:
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
            line.desk.report(error, record.id)

    record.finishing = True
    if import_result is not None:
        record.import_when_done = import_result
    if import_result:
        line.desk.pressed = record
        record.place = record.place or Place.of(bpy.context.scene, bpy.context.view_layer)
    line.begin(following.tell(line, record, lambda client: client.finish(record.id)), failed)


def go_on(line: Line, record: JobRecord, import_result: bool = True) -> None:
    """Have an ended job go on from where it was. Its props come into the scene that is in sight now, and those that an
    earlier end has brought give way. Raises SetDresserError if it cannot go on."""
    if not record.can_continue:
        message = "There is nothing that this job could go on from."
        raise SetDresserError(message, "Generate it again.", "continue-not-possible")
    if record.continuing:
        return

    def failed(error: Exception) -> None:
        record.problem = as_error(error)
        line.desk.report(error, record.id)

    record.continuing, record.import_when_done, line.desk.pressed = True, import_result, record
    record.place = Place.of(bpy.context.scene, bpy.context.view_layer)
    line.begin(_go_on(line, record), failed)


def _go_on(line: Line, record: JobRecord) -> Steps[None]:
    try:
        description = yield from line.ask(lambda client: client.go_on(record.id))
        cancelled = record.cancelling
        line.desk.settle(record.id)
        results.forget(record)
        record.warnings = list(record.noticed)  # its next result tells the rest anew
        record.take_description(description)
        jobs.attend(line, record)
        if cancelled:
            jobs.cancel(line, record)
    finally:  # also where the backend was stopped meanwhile
        record.continuing, record.cancelling = False, record.cancelling and not record.ended
        line.desk.changed()
