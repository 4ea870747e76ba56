"""Which of the jobs the panel shows where."""

from __future__ import annotations

from .desk import Desk
from .job import JobRecord

SHOWN = 20
"""Jobs in the panel's list."""

NAMED = 2
"""Block-outs in the title of a job; the rest is a number."""

QUEUED = ("preparing", "sending", "queued")


def listed(desk: Desk) -> list[JobRecord]:
    """The jobs that the list is about: those that have ended, newest first."""
    return [record for record in desk.jobs.values() if record.ended and not record.busy]


def title(names: list[str]) -> str:
    """What to call a job after its block-outs, like "Sofa, Rug + 4"; "" without any."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" + {more}" if more > 0 else "")


def of_the_last_press(desk: Desk) -> JobRecord | None:
    """The job of the last press that was to bring props in, Generate or Import; None before the first, and if nothing
    can come of it any more: it was refused or cancelled, or the job is off the list or belongs to another file."""
    record = desk.pressed
    if record is None or desk.jobs.get(record.id) is not record:
        return None
    return record if record.place and record.state != "cancelled" else None


def waiting(desk: Desk) -> int:
    """How many jobs wait for their turn."""
    return sum(record.state in QUEUED for record in desk.jobs.values())
