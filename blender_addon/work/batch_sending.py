"""The jobs of a batch: the server gets each entry once, whatever ends Blender or the server in between.

An entry's key is in the origin of its job. Before anything is sent by a Blender that cannot know, the server is asked
which entries it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..capture import block_outs as relation
from ..capture import kept_shots
from ..capture.capture import Capture
from ..capture.intrinsics import CaptureError
from ..ground import references
from ..ground.messages import SetDresserError
from ..state import batch as state
from ..state import listing, origin
from ..state.batch import Batch, Entry, Shot
from ..state.desk import Desk
from ..state.job import PROVISIONAL, RESTING, JobRecord
from ..wire.client import Client, ServerProblem, Uploaded
from ..wire.tasks import Steps
from . import batch_files, following, jobs, origins, sending, uploading
from .line import Line

PAGE = 200
"""Jobs in one answer, where the whole list is looked through."""

LATER = ("queue-full", "too-many-requests")
"""What the server refuses for a while only."""

REMOVED = "removed"
"""The outcome of a job that the server does not have any more."""

PATIENCE = 5.0
MOST_FOLLOWED = 16
"""Jobs of a batch whose events are read at once."""


def send_all(line: Line, batch: Batch) -> Steps[None]:
    """Have the server have every entry whose pictures are taken."""
    if not batch.unsent:
        return
    if batch.begun:
        yield from find_jobs(line, batch)
    for entry in batch.unsent:
        if batch.paused or batch.cancelled:
            return
        yield from _send(line, batch, entry)


def find_jobs(line: Line, batch: Batch) -> Steps[None]:
    """Look through the server's whole list for the batch's jobs, and know them."""
    found: dict[str, Mapping[str, Any]] = {}
    before = ""
    while True:
        page = yield from line.patiently(partial(Client.jobs, limit=PAGE, before=before))
        for description in page:
            mine = origin.batch_of(description.get("origin"))
            if mine.get("id") == batch.id:
                found.setdefault(mine["item"], description)
        if len(page) < PAGE:
            break
        before = str(page[-1]["id"])
    for entry in batch.entries:
        if entry.key in found:
            entry.state, entry.job, entry.problem = state.SENT, str(found[entry.key]["id"]), None
        elif entry.state == state.SENT and not entry.outcome:
            entry.outcome = REMOVED
    _know(line.desk, list(found.values()))
    batch_files.save(batch)


def _know(desk: Desk, descriptions: list[Mapping[str, Any]]) -> None:
    new = origins.first_seen(desk, [each for each in descriptions if str(each["id"]) not in desk.jobs])
    for description in descriptions:
        record = desk.jobs.get(str(description["id"]))
        if record is None:
            record = new[str(description["id"])]
            desk.jobs[record.id] = record
        if not record.busy:
            record.take_description(description)
    desk.changed()


def _send(line: Line, batch: Batch, entry: Entry) -> Steps[None]:
    shot = batch.shots[entry.shot]
    try:
        taken = kept_shots.read(batch.shot_folder(entry.shot))
    except CaptureError as error:  # somebody has tidied up
        shot.state, shot.problem = state.WAITING, error
        return
    record = _record(line.desk, batch, entry)
    record.noticed, record.warnings = taken.warnings, list(taken.warnings)
    request = {**batch.request, "seed": entry.seed, "name": record.name, **taken.request, **_only(batch, entry, taken)}
    record.request = request
    if not batch.begun:
        batch.begun = True
        batch_files.save(batch)
    try:
        description = yield from _submitted(line, batch, entry, record, {**request, "origin": record.origin}, taken)
    except ServerProblem as problem:
        if problem.status >= 500:  # it holds for the others, too
            raise
        entry.state, entry.problem = state.LEFT_OUT, problem
    else:
        if description is None:
            return
        adopt(line, batch, entry, record, description)
    batch_files.remove_pictures(batch)
    batch_files.save(batch)
    line.desk.changed()


def _submitted(
    line: Line, batch: Batch, entry: Entry, record: JobRecord, request: dict[str, Any], taken: Capture
) -> Steps[dict[str, Any] | None]:
    """What the server says of the new job; None if it was paused before the server had room for one more, or if it is
    known by now: over a line that was cut the job may have come although no answer has."""
    yield from sending.client_for_new(line)
    while True:
        client = yield from line.patient_client()
        files: Mapping[str, Sequence[Path | Uploaded]] = taken.files
        batch.sending, cut = entry, False
        try:
            if line.desk.server.remote:
                files = yield from uploading.send_first(line, record, taken.files)
            description: dict[str, Any] = yield from line.finish(
                client.submit(request, files, f"{batch.id}.{entry.key}")
            )
            return description
        except SetDresserError as problem:
            cut = line.endures(problem)
            if not cut and problem.code not in LATER:
                raise
        finally:
            batch.sending = None
        yield from line.tasks.pause(PATIENCE)
        if cut:
            yield from find_jobs(line, batch)
            if entry.state == state.SENT:
                return None
        if batch.paused or batch.cancelled:
            return None


def adopt(line: Line, batch: Batch, entry: Entry, record: JobRecord, description: Mapping[str, Any]) -> None:
    """The server has the job of an entry now."""
    line.desk.jobs = {record.id: record, **line.desk.jobs}
    jobs.adopt(line, record, description)
    entry.state, entry.job, entry.outcome, entry.problem = state.SENT, record.id, "", None
    if batch.cancelled:
        jobs.cancel(line, record)
    elif batch.paused:
        line.begin(rest(line, batch, record), line.report)
    follow(line, batch)


def follow(line: Line, batch: Batch) -> None:
    """See the jobs through that the server has, the first ones first, and not too many at once."""
    records = [record for entry in batch.entries if (record := line.desk.jobs.get(entry.job)) is not None]
    room = MOST_FOLLOWED - sum(record.busy for record in records)
    waiting = [record for record in records if not record.busy and (not record.ended or record.awaited)]
    for record in waiting[: max(room, 0)]:
        jobs.attend(line, record)


def rest(line: Line, batch: Batch, record: JobRecord) -> Steps[None]:
    """Have a job wait in the queue as long as the batch is paused, and no longer: whatever holds when it is told."""
    yield from following.tell(line, record, lambda client: client.prioritise(record.id, RESTING if batch.paused else 0))
    record.resting = batch.paused
    line.desk.changed()


def again(line: Line, batch: Batch, entry: Entry) -> Steps[None]:
    """Have the server make the job of an entry once more, of the pictures that it has."""
    record = _record(line.desk, batch, entry)
    former = entry.job
    description = yield from line.ask(lambda client: client.again(former, {"origin": record.origin}))
    adopt(line, batch, entry, record, description)
    batch_files.save(batch)


def _record(desk: Desk, batch: Batch, entry: Entry) -> JobRecord:
    """The job of an entry, before the server has it. It knows which block-outs it stands for; in another file than the
    batch's, by their names."""
    shot, options, ids = batch.shots[entry.shot], batch.options, state.made_of(batch, entry)
    desk.made += 1
    record = JobRecord(
        id=f"{PROVISIONAL}{desk.made}",
        name=listing.entry_title(batch, entry),
        pipeline=str(batch.request["pipeline"]),
        state="sending",
        block_outs=ids,
        one_with=_one_with(batch, shot) if shot.alone and not batch.away else [],
        place=batch.place,
        batch=batch.of_job(entry),
        import_when_done=bool(options["import_when_done"]),
        hide_block_outs=bool(options["hide_block_outs"]),
        keep_moves=bool(options["keep_moves"]),
        height=options["height"],
        place_at=options["place_at"],
    )
    record.origin = record.describe_origin(batch.file)
    if batch.away:
        record.come_home(references.this_file())
    return record


def _one_with(batch: Batch, shot: Shot) -> list[references.Reference]:
    """What is one block-out with the first one of a shot."""
    found = [relation.resolve(batch.block_outs[number]) for number in shot.block_outs]
    return [references.Reference.of(each) for each in relation.together(filter(None, found))[1:]]


def _only(batch: Batch, entry: Entry, taken: Capture) -> dict[str, Any]:
    """Which ids of the picture are made, where not all are."""
    shot = batch.shots[entry.shot]
    wanted = [] if shot.alone else sorted(shot.block_outs.index(number) + 1 for number in entry.only)
    return {"only": wanted} if wanted and wanted != sorted(row["id"] for row in taken.labels) else {}


def failed(batch: Batch, desk: Desk) -> list[tuple[Entry, JobRecord]]:
    """Entries whose job has failed or was cancelled."""
    known = [(entry, desk.jobs[entry.job]) for entry in batch.entries if entry.job in desk.jobs]
    return [(entry, record) for entry, record in known if record.state in ("failed", "cancelled")]


def check_taken(batch: Batch) -> None:
    """Raises SetDresserError: if pictures are still to be taken and cannot be, in this file."""
    if batch.away and batch.untaken:
        where = f"the file {batch.file}" if batch.file else "a file that was never saved"
        count = len(batch.untaken)
        message = f"{count} of {len(batch.shots)} pictures of {batch.name} are still to be taken, in {where}."
        raise SetDresserError(message, "Open it, and go on." if batch.file else "Begin it again.", "batch-file")
