"""Which of the jobs the panel shows where."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .batch import Batch, Entry, made_of
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


def title(names: list[str], named: int = NAMED) -> str:
    """What to call a job after its block-outs, like "Sofa, Rug + 4"; "" without any."""
    more = len(names) - named
    return ", ".join(names[:named]) + (f" + {more}" if more > 0 else "")


def entry_title(batch: Batch, entry: Entry, named: int = NAMED) -> str:
    """What to call the job of a part of a batch: what it makes, and of which picture."""
    made = title([each.name for each in made_of(batch, entry).values()], named)
    return " · ".join(dict.fromkeys(filter(None, (made, entry.name)))) or batch.name


def of_the_last_press(desk: Desk) -> JobRecord | None:
    """The job of the last press that was to bring props in, Generate or Import; None before the first, and if nothing
    can come of it any more: it was refused or cancelled, or the job is off the list or belongs to another file."""
    record = desk.pressed
    if record is None or desk.jobs.get(record.id) is not record:
        return None
    return record if record.place and record.state != "cancelled" else None


def entry_state(desk: Desk, entry: Entry) -> str:
    """What has become of a part of a batch: waiting, left out, or the state of its job."""
    record = desk.jobs.get(entry.job)
    if record is not None:
        return "resting" if record.resting and record.state == "queued" else record.state
    return entry.outcome or entry.state


def counted(desk: Desk, batch: Batch) -> Counter[str]:
    """How many parts of a batch are in each state; see `entry_state`."""
    return Counter(entry_state(desk, entry) for entry in batch.entries)


def not_here(desk: Desk, batch: Batch) -> int:
    """How many jobs of a batch are done whose props are to be in the file that is open, are not, and do not come by
    themselves: a Blender that has ended had them, and had not saved them."""
    if batch.away or not batch.options["import_when_done"]:
        return 0
    records = [record for entry in batch.entries if (record := desk.jobs.get(entry.job)) is not None]
    done = [record for record in records if record.state == "done" and not record.away]
    return sum(not (record.result_imported or record.awaited or record.busy) for record in done)


def of_batches(desk: Desk) -> set[str]:
    """The ids of the jobs that are part of a batch on the list."""
    return {entry.job for batch in desk.batches.values() for entry in batch.entries if entry.job}


def cameras(scene: Any) -> list[Any]:
    """The cameras of a scene that can take pictures for props, in the order of their names."""
    found = [each for each in scene.objects if each.type == "CAMERA" and each.data.type == "PERSP"]
    return sorted(found, key=lambda each: each.name)


def waiting(desk: Desk) -> int:
    """How many jobs wait for their turn."""
    return sum(record.state in QUEUED for record in desk.jobs.values())
