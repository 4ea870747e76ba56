"""Jobs and the file they were made in: they part when another file is opened, and find each other again in the same
file, also in a Blender that was started anew.

The server keeps where a job was made (`state/origin.py`). A result comes in by itself once, into the file it was made
for and no other: not if somebody has had it, and not if its props are in the file already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ground import references
from ..props import recipes
from ..state.desk import Desk
from ..state.job import JobRecord
from . import jobs
from .line import Line


def note(record: JobRecord) -> dict[str, Any]:
    """The member of a request that tells where its job is made; {} in a file that was never saved, which nothing could
    find again, and for a job whose file was closed before it was sent."""
    record.origin = record.describe_origin(references.this_file())
    return {"origin": record.origin} if record.origin else {}


def take(desk: Desk, record: JobRecord, description: Mapping[str, Any]) -> None:
    """A job that this Blender hears of for the first time: if it was made in the file that is open, it is as if it had
    been made now."""
    record.take_origin(description)
    _come_home(record, references.this_file(), recipes.jobs_here())
    if desk.pressed is None and record.import_when_done and not (record.away or record.result_imported):
        desk.pressed = record


def file_loaded(line: Line, same: bool) -> None:
    """Another file is open, or the `same` one again."""
    file, here = references.this_file(), recipes.jobs_here()
    for record in line.desk.jobs.values():
        if record.arrival in ("fetching", "waiting"):
            jobs.stop(line, record)
        record.file_opened(same)
        if record.away:
            _come_home(record, file, here)
    line.desk.changed()


def _come_home(record: JobRecord, file: str, here: set[str]) -> None:
    record.come_home(file)
    record.result_imported |= not record.away and record.id in here
