"""Jobs and the file they were made in: they part when another file is opened, and find each other again in the same
file, also in a Blender that was started anew.

The server keeps where a job was made (`state/origin.py`). A result comes in by itself once, into the file it was made
for and no other: not if somebody has had it, and not if its props are in the file already.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def first_seen(desk: Desk, descriptions: Collection[Mapping[str, Any]]) -> dict[str, JobRecord]:
    """By id, jobs that this Blender hears of for the first time. Those that were made in the file that is open are as
    if they had been made now."""
    found = {str(each["id"]): JobRecord(id=str(each["id"]), found=True) for each in descriptions}
    for record, description in zip(found.values(), descriptions, strict=True):
        record.take_origin(description)
    _come_home(desk, found.values())
    return found


def file_loaded(line: Line, same: bool) -> None:
    """Another file is open, or the `same` one again."""
    records = line.desk.jobs.values()
    for record in records:
        if record.arrival in ("fetching", "waiting"):
            jobs.stop(line, record)
        record.file_opened(same)
    _come_home(line.desk, [record for record in records if record.away])
    line.desk.changed()


def _come_home(desk: Desk, records: Collection[JobRecord]) -> None:
    """Of these jobs, newest first, those that were made in the file that is open find there what they stand for."""
    file = references.this_file()
    for record in records:
        record.come_home(file)
    at_home = [record for record in records if not record.away]
    here = recipes.jobs_here() if at_home else set()
    for record in at_home:
        record.result_imported |= record.id in here
    coming = [record for record in at_home if record.import_when_done and not record.result_imported]
    if coming and (desk.pressed is None or desk.pressed.away):
        desk.pressed = coming[0]  # the panel tells what becomes of it
