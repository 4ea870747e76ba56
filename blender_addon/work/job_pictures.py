"""The small pictures of results in the list of jobs: fetched one after the other, for as many as are shown."""

from __future__ import annotations

from ..answers import thumbnails
from ..backend_process.server_process import ServerState
from ..state import listing
from ..state.job import JobRecord
from ..wire.tasks import Steps
from . import results
from .line import Line


def show(line: Line) -> None:
    """Begin to have the pictures of the jobs that are listed, and free those of others."""
    desk = line.desk
    shown = listing.listed(desk)[: listing.SHOWN]
    thumbnails.keep_results([record.id for record in desk.jobs.values() if record.ended])
    wanted = [record for record in shown if results.THUMBNAIL in record.files and not record.thumbnail]
    if not wanted or desk.server.state is not ServerState.READY:
        return
    record = wanted[0]
    if any(each.thumbnail == "fetching" for each in desk.jobs.values()):
        return

    def failed(error: Exception) -> None:
        """A result without a picture is as good a result: the list shows its name alone."""
        record.thumbnail = "missing"
        desk.changed()

    record.thumbnail = "fetching"
    line.tasks.start(_fetch(line, record), failed)


def _fetch(line: Line, record: JobRecord) -> Steps[None]:
    try:
        path = results.folder_of(record.id) / results.THUMBNAIL
        yield from results.fetch_file(line, record.id, results.THUMBNAIL, path)
        thumbnails.load_result(record.id, path)
        record.thumbnail = "ready"
        line.desk.changed()
    finally:
        if record.thumbnail == "fetching":  # it was stopped, with the server, say
            record.thumbnail = ""
