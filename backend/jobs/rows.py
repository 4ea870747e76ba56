"""Rows of the list of jobs, read: what everyone may see of a job, and what the queue needs to know of it."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from backend.contract import Event, JobState, JobView
from backend.errors import Problem
from backend.jobs.turns import Queue

OF_THE_VIEW = ("id", "name", "pipeline", "state", "created", "started", "finished", "user", "priority")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredJob:
    """A row of the list: what everyone may see, and what the queue needs to know."""

    view: JobView
    owner: str
    attempts: int
    cancel: bool
    finish: bool


class Rows:
    """The jobs of one moment, that of the transaction it is used in. A damaged row counts as none."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queues: dict[str, Queue] = {}

    def job(self, job: str) -> StoredJob:
        """Raises Problem("job-not-found")."""
        row = self._connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        found = [] if row is None else self.readable([row])
        if not found:
            raise unknown(job)
        return found[0]

    def in_order(self, owner: str) -> Iterator[StoredJob]:
        """An owner's queued jobs, the one whose turn it is first."""
        for row in self._queue(owner).rows():
            yield from self.readable([row])

    def _queue(self, owner: str) -> Queue:
        if owner not in self._queues:
            self._queues[owner] = Queue(self._connection, owner)
        return self._queues[owner]

    def readable(self, rows: Iterable[sqlite3.Row]) -> list[StoredJob]:
        """Those rows that make sense. Others are left alone, and told of in the log."""
        rows = list(rows)
        told = self._told([row["id"] for row in rows])
        found = []
        for row in rows:
            try:
                found.append(self._stored(row, *told[row["id"]]))
            except (ValueError, TypeError, KeyError) as error:  # pydantic's and json's are ValueErrors
                logger.warning("the row of job %.40r is damaged and left out: %.300s", row["id"], error)
        return found

    def _told(self, jobs: Sequence[str]) -> dict[str, tuple[Any, list[Any]]]:
        """Of each job the id of its last event, None without any, and its previews, as they stand there; all of them
        with two questions, as a list has a hundred jobs and more."""
        among = "events WHERE job IN (SELECT value FROM json_each(?))"  # the same words, however many there are
        execute, these = self._connection.execute, (json.dumps(jobs),)
        last = dict(map(tuple, execute(f"SELECT job, MAX(id) FROM {among} GROUP BY job", these)))
        told = {job: (last.get(job), list[Any]()) for job in jobs}
        for job, data in execute(f"SELECT job, data FROM {among} AND type = 'preview' ORDER BY job, id", these):
            told[job][1].append(data)
        return told

    def _stored(self, row: sqlite3.Row, last: Any, shown: Sequence[Any]) -> StoredJob:
        position = self._queue(row["owner"]).ahead(row) if row["state"] == JobState.QUEUED else None
        question = None
        if row["state"] == JobState.NEEDS_INPUT:
            query = "SELECT data FROM events WHERE job = ? AND type = 'needs_input' ORDER BY id DESC LIMIT 1"
            asked = self._connection.execute(query, (row["id"],)).fetchone()
            if asked is None:
                raise ValueError("its question is missing")
            question = json.loads(asked[0])["question"]
        view = JobView.model_validate(
            {
                **{key: row[key] for key in OF_THE_VIEW},
                "progress": json.loads(row["progress"]) if row["progress"] else None,
                "problem": json.loads(row["problem"]) if row["problem"] else None,
                "files": json.loads(row["files"]),
                "position": position,
                "question": question,
                "last_event": int(last or 0),
                "previews": [json.loads(each) for each in shown],
                "finished_early": bool(row["early"]),
                "origin": json.loads(row["origin"]),
            }
        )
        return StoredJob(view, row["owner"], int(row["attempts"]), bool(row["cancel"]), bool(row["finish"]))


def unknown(job: str) -> Problem:
    """What there is to say of a job that is not there; of one that is not to be seen the same."""
    return Problem("job-not-found", f"There is no job '{job[:40]}'.")


def last_event(connection: sqlite3.Connection, job: str) -> int:
    """Id of a job's last event; 0 without any."""
    found = connection.execute("SELECT MAX(id) FROM events WHERE job = ?", (job,)).fetchone()[0]
    return int(found or 0)


def event_of(row: sqlite3.Row) -> Event | None:
    """The event of a row; None if it is damaged."""
    try:
        return Event(id=row["id"], type=row["type"], data=json.loads(row["data"]))
    except (ValueError, TypeError) as error:
        logger.warning("event %.20r of job %.40r is damaged and left out: %.300s", row["id"], row["job"], error)
        return None
