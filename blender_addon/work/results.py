"""The small pictures of results in the list of jobs: fetched one after the other, for as many as are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..answers import thumbnails
from ..backend_process.server_process import ServerState
from ..wire.client import answer
from ..wire.tasks import Steps

if TYPE_CHECKING:
    from ..session import Session
    from .jobs import JobRecord

SHOWN = 20
"""Jobs in the panel's list."""

NAMED = 2
"""Block-outs in the title of a job; the rest is a number."""

QUEUED = ("preparing", "sending", "queued")
THUMBNAIL = "thumbnail.png"


def listed(session: Session) -> list[JobRecord]:
    """The jobs that the list is about: those that have ended, newest first."""
    return [record for record in session.jobs.values() if record.ended and not record.busy]


def title(names: list[str]) -> str:
    """What to call a job after its block-outs, like "Sofa, Rug + 4"; "" without any."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" + {more}" if more > 0 else "")


def of_the_last_press(session: Session) -> JobRecord | None:
    """The job of the last press that was to bring props in, Generate or Import; None before the first, and if nothing
    can come of it any more: it was refused or cancelled, or the job is off the list or belongs to another file."""
    record = session.pressed
    if record is None or session.jobs.get(record.id) is not record:
        return None
    return record if record.place and record.state != "cancelled" else None


def waiting(session: Session) -> int:
    """How many jobs wait for their turn."""
    return sum(record.state in QUEUED for record in session.jobs.values())


def show_thumbnails(session: Session) -> None:
    """Begin to have the pictures of the jobs that are listed, and free those of others."""
    shown = listed(session)[:SHOWN]
    thumbnails.keep_results([record.id for record in session.jobs.values() if record.ended])
    wanted = [record for record in shown if THUMBNAIL in record.files and not record.thumbnail]
    if not wanted or session.server.state is not ServerState.READY:
        return
    record = wanted[0]
    if any(each.thumbnail == "fetching" for each in session.jobs.values()):
        return

    def failed(error: Exception) -> None:
        """A result without a picture is as good a result: the list shows its name alone."""
        record.thumbnail = "missing"
        session.changed()

    record.thumbnail = "fetching"
    session.tasks.start(_fetch(session, record), failed)


def _fetch(session: Session, record: JobRecord) -> Steps:
    try:
        path = session.result_folder(record.id) / THUMBNAIL
        if not path.is_file():
            client = yield from session.ready_client()
            exchange = client.download(record.id, THUMBNAIL, path)
            yield from session.tasks.finish(exchange)
            answer(exchange)
        thumbnails.load_result(record.id, path)
        record.thumbnail = "ready"
        session.changed()
    finally:
        if record.thumbnail == "fetching":  # it was stopped, with the server, say
            record.thumbnail = ""
