"""The backend's lists: pipelines, preparations, models, jobs, and what the jobs hold of the disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..ground import folders
from ..ground.messages import SetDresserError
from ..state.desk import LISTS, Desk
from ..state.job import JobRecord
from ..wire.client import PAGE, Client
from ..wire.http_exchange import Exchange
from ..wire.tasks import Steps
from . import jobs, keeping, models, origins
from .line import AGAIN_SECONDS, Line, told

MOST_JOBS = 1000
"""Of a studio's server, that are looked through for one's own."""


class Lists:
    """Fetches them when they are stale: one fetch at a time, as two could overtake each other; whoever asks meanwhile
    has them fetched once more."""

    def __init__(self) -> None:
        self._task: Steps[Any] | None = None

    def poll(self, line: Line) -> None:
        """Called by every tick."""
        if line.desk.lists_stale and not (self._task is not None and line.tasks.runs(self._task)):
            self._task = line.begin(_fetch(line), lambda error: line.desk.report(error, LISTS))


def _fetch(line: Line) -> Steps[None]:
    while line.desk.lists_stale:
        line.desk.lists_stale = False
        try:
            yield from fetch(line)
        except SetDresserError as problem:
            if not line.endures(problem):
                raise
            line.desk.lists_stale = True
            yield from line.tasks.pause(AGAIN_SECONDS)
            yield from line.patient_client()
    line.desk.settle(LISTS)


def fetch(line: Line) -> Steps[None]:
    """Fetch the lists, and follow what has not ended."""
    client = yield from line.ready_client()
    desk = line.desk
    lists: tuple[tuple[Exchange, Callable[[Any], None]], ...] = (
        (client.pipelines(), lambda value: take_pipelines(desk, value)),
        (client.preparations(), lambda value: take_preparations(desk, value)),
        (client.models(), models.listener(line)),
    )
    for exchange, take in lists:
        told((yield from line.finish(exchange)), take)
        desk.changed()
    found = yield from _jobs(line, client)
    told(found, lambda value: take_jobs(line, value))
    # What a server keeps of all its users' jobs is decided by whoever runs it.
    storage = client.storage() if desk.server.remote else client.limit_storage(keeping.limit())
    told((yield from line.finish(storage)), desk.take_storage)
    desk.changed()


def _jobs(line: Line, client: Client) -> Steps[list[dict[str, Any]]]:
    """The newest jobs. Of a studio's server more of them, so that what was made a week ago is found again, and none but
    one's own: an administrator is told everybody's."""
    page: list[dict[str, Any]] = yield from line.finish(client.jobs())
    server, found = line.desk.server, list(page)
    while server.remote and len(page) == PAGE and len(found) < MOST_JOBS:
        page = yield from line.finish(client.jobs(str(page[-1]["id"])))
        found += page
    return [each for each in found if not server.user or each.get("user") == server.user]


def take_pipelines(desk: Desk, descriptions: list[dict[str, Any]]) -> None:
    """The list of GET /pipelines; the tick makes properties of what it describes."""
    if descriptions != desk.pipelines:
        desk.pipelines = descriptions
        desk.catalogue += 1
        folders.keep_descriptions("pipelines", descriptions)


def take_preparations(desk: Desk, descriptions: list[dict[str, Any]]) -> None:
    """The list of GET /preparations; as `take_pipelines`."""
    if descriptions != desk.preparations:
        desk.preparations = descriptions
        desk.catalogue += 1
        folders.keep_descriptions("preparations", descriptions)


def take_jobs(line: Line, descriptions: Sequence[Mapping[str, Any]]) -> None:
    """The list of GET /jobs, newest first. Jobs that have not ended are followed."""
    desk = line.desk
    listed: dict[str, JobRecord] = {}
    new = origins.first_seen(desk, [each for each in descriptions if str(each["id"]) not in desk.jobs])
    for description in descriptions:
        identifier = str(description["id"])
        record = desk.jobs.get(identifier) or new[identifier]
        if record.busy:  # its events tell more, and sooner
            record.position = description.get("position")
        else:
            record.take_description(description)
        listed[record.id] = record
    # What was sent while the list was on its way is not on it; nor are those of a long batch whose turn comes later.
    newer = {key: record for key, record in desk.jobs.items() if not record.sent or record.busy or _waits(record)}
    desk.jobs = {**{key: record for key, record in newer.items() if key not in listed}, **listed}
    for record in listed.values():
        if record.task is None and (not record.ended or record.awaited):
            jobs.attend(line, record)


def _waits(record: JobRecord) -> bool:
    """Whether it is part of a batch and not followed yet."""
    return bool(record.batch) and not record.ended
