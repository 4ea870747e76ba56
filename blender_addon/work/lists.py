"""The backend's lists: pipelines, preparations, models, jobs, and what the jobs hold of the disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..ground import folders
from ..state.desk import LISTS, Desk
from ..state.job import JobRecord
from ..wire.tasks import Steps
from . import jobs, keeping, models
from .line import Line, told


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
        yield from fetch(line)
    line.desk.settle(LISTS)


def fetch(line: Line) -> Steps[None]:
    """Fetch the lists, and follow what has not ended."""
    client = yield from line.ready_client()
    desk = line.desk
    lists = (
        (client.pipelines(), lambda value: take_pipelines(desk, value)),
        (client.preparations(), lambda value: take_preparations(desk, value)),
        (client.models(), models.listener(line)),
        (client.jobs(), lambda value: take_jobs(line, value)),
        (client.limit_storage(keeping.limit()), desk.take_storage),
    )
    for exchange, take in lists:
        told((yield from line.finish(exchange)), take)
        desk.changed()


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


def take_jobs(line: Line, descriptions: Iterable[Mapping[str, Any]]) -> None:
    """The list of GET /jobs, newest first. Jobs that have not ended are followed."""
    desk = line.desk
    listed: dict[str, JobRecord] = {}
    for description in descriptions:
        record = desk.jobs.get(str(description["id"])) or JobRecord(id=str(description["id"]))
        if record.last_event and record.busy:  # its events tell more, and sooner
            record.position = description.get("position")
        else:
            record.take_description(description)
        listed[record.id] = record
    # What was sent while the list was on its way is not on it.
    newer = {key: record for key, record in desk.jobs.items() if not record.sent or record.busy}
    desk.jobs = {**{key: record for key, record in newer.items() if key not in listed}, **listed}
    for record in listed.values():
        if record.task is None and (not record.ended or record.awaited):
            jobs.attend(line, record)
