"""The list of jobs and their events, in one SQLite file that several processes share.

Every change is one transaction that also writes the event telling of it, so whoever reads the events in order
knows the job. The file is in write-ahead mode: a process killed at any moment leaves it whole.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from backend.contract import Event, JobState, JobView
from backend.errors import Problem
from backend.jobs.database import HASTE_SECONDS, Database
from backend.jobs.processes import may_live, signature

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    progress TEXT,
    problem TEXT,
    files TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner, state, number);
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (id TEXT PRIMARY KEY, process TEXT NOT NULL) WITHOUT ROWID;
"""

RUNNING = (JobState.RUNNING, JobState.NEEDS_INPUT)
OPEN = (JobState.QUEUED, *RUNNING)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredJob:
    """A row of the list: what everyone may see, and what the queue needs to know."""

    view: JobView
    owner: str
    attempts: int
    cancel: bool


class JobStore:
    """The jobs and events of one data folder. Usable from any thread and from several processes at once.

    A row that is damaged counts as one that is not there; the log tells of it. Raises Problem as `Database` does, and
    Problem("job-not-found") for ids that are not in the list.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        with self._database.transaction() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                detail = f"The list of jobs in {path.name} was written by a newer version of Set Dresser."
                raise Problem("protocol-mismatch", detail, "Use the newer version, or another data folder.")
            for statement in filter(str.strip, SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        self._database.close()

    # reading

    def get(self, job: str) -> StoredJob:
        with self._database.reading() as connection:
            return self._get(connection, job)

    def newest(self, limit: int) -> list[StoredJob]:
        """At most `limit` jobs of every owner, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM jobs ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
            return self._readable(connection, rows)

    def ended(self) -> list[JobView]:
        """Every job that has ended, of every owner, in the order of their ends."""
        with self._database.reading() as connection:
            query = "SELECT * FROM jobs WHERE state IN ('done', 'failed', 'cancelled') ORDER BY finished, number"
            return [stored.view for stored in self._readable(connection, connection.execute(query).fetchall())]

    def events(self, job: str, after: int, limit: int = 500) -> list[Event]:
        """At most `limit` events of a job with an id above `after`, in order; none for an unknown job."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?", (job, after, limit)
            ).fetchall()
        return [event for row in rows if (event := _event(row)) is not None]

    def queued(self, owner: str) -> int:
        with self._database.reading() as connection:
            query = "SELECT COUNT(*) FROM jobs WHERE owner = ? AND state = 'queued'"
            return int(connection.execute(query, (owner,)).fetchone()[0])

    def owners(self) -> set[str]:
        """Everyone who has jobs that have not ended."""
        with self._database.reading() as connection:
            query = "SELECT DISTINCT owner FROM jobs WHERE state IN ('queued', 'running', 'needs_input')"
            return {row["owner"] for row in connection.execute(query)}

    def owner_may_live(self, owner: str) -> bool:
        """Whether the process that an owner has noted lives, as far as can be told; False if it has noted none."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT process FROM owners WHERE id = ?", (owner,)).fetchone()
        try:
            return row is not None and may_live(row["process"])
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("what owner %.40r has noted is damaged: %s", owner, error)
            return False

    def holds(self, job: str) -> bool:
        with self._database.reading() as connection:
            return connection.execute("SELECT 1 FROM jobs WHERE id = ?", (job,)).fetchone() is not None

    def has_ended(self, job: str) -> bool:
        """Whether nothing will be added to a job's events: it has ended, or is not in the list any more."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        return row is None or row["state"] not in OPEN

    def cancel_wanted(self, job: str) -> bool:
        with self._database.reading() as connection:
            row = connection.execute("SELECT cancel FROM jobs WHERE id = ?", (job,)).fetchone()
        return row is None or bool(row["cancel"])

    # writing

    def note_owner(self, owner: str) -> None:
        """Remember that this process is that owner, for whoever cannot find its lock."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, signature()))

    def add(self, job: str, owner: str, name: str, pipeline: str) -> StoredJob:
        """A new job at the end of its owner's queue."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            connection.execute(
                "INSERT INTO jobs (id, owner, name, pipeline, state, created) VALUES (?, ?, ?, ?, 'queued', ?)",
                (job, owner, name, pipeline, now()),
            )
            self._state_event(connection, job, JobState.QUEUED)
            return self._get(connection, job)

    def take(self, owner: str) -> StoredJob | None:
        """The owner's next queued job, now running; None if there is none."""
        with self._database.transaction() as connection:
            query = "SELECT * FROM jobs WHERE owner = ? AND state = 'queued' ORDER BY number"
            readable = (row for row in connection.execute(query, (owner,)) if self._readable(connection, [row]))
            row = next(readable, None)
            if row is None:
                return None
            connection.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ?, progress = NULL WHERE id = ?",
                (now(), row["id"]),
            )
            self._state_event(connection, row["id"], JobState.RUNNING)
            return self._get(connection, row["id"])

    def append(self, job: str, type: Literal["progress", "warning"], data: dict[str, Any]) -> None:
        """An event that leaves the state as it is."""
        with self._database.transaction() as connection:
            if type == "progress":
                connection.execute("UPDATE jobs SET progress = ? WHERE id = ?", (json.dumps(data), job))
            self._event(connection, job, type, data)

    def ask(self, job: str, question: dict[str, Any]) -> None:
        """running -> needs_input."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE jobs SET state = 'needs_input' WHERE id = ?", (job,))
            self._state_event(connection, job, JobState.NEEDS_INPUT)
            self._event(connection, job, "needs_input", {"question": question})

    def check_asks(self, job: str, owner: str) -> dict[str, Any] | None:
        """What a job in needs_input asks. Raises Problem("input-not-expected") in another state or of another owner."""
        with self._database.reading() as connection:
            return self._asks(connection, job, owner)

    def _asks(self, connection: sqlite3.Connection, job: str, owner: str) -> dict[str, Any] | None:
        row = self._get(connection, job)
        if row.view.state != JobState.NEEDS_INPUT:
            raise Problem("input-not-expected", f"The job is {row.view.state.value} and asks nothing.")
        if row.owner != owner:
            hint = "Answer it in the Blender that started the job."
            raise Problem("input-not-expected", "Another server runs this job.", hint)
        return row.view.question

    def resume(self, job: str, owner: str, *, running: bool) -> StoredJob:
        """needs_input -> running, or queued in its old place for a job that was put aside. Raises as `check_asks`."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            self._asks(connection, job, owner)
            if running:
                connection.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
                self._state_event(connection, job, JobState.RUNNING)
            else:
                self._requeue(connection, job, self._get(connection, job).attempts - 1, owner)
            return self._get(connection, job)

    def finish(self, job: str, state: JobState, *, problem: Problem | None = None, files: tuple[str, ...] = ()) -> None:
        """The job ends as done, failed or cancelled. Of an ended or deleted job nothing changes."""
        with self._database.transaction() as connection:
            self._finish(connection, job, state, problem, files)

    def request_cancel(self, job: str) -> StoredJob:
        """Cancel: a running job is marked for its owner, one that queues or waits for an answer ends at once, an ended
        one stays as it is."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            row = self._get(connection, job)
            if row.view.state in RUNNING:  # one in needs_input too: its worker may be waiting with it
                connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (job,))
            if row.view.state in (JobState.QUEUED, JobState.NEEDS_INPUT):
                self._finish(connection, job, JobState.CANCELLED, None, ())
            return self._get(connection, job)

    def put_back(self, job: str) -> None:
        """running -> queued, as if it had never been taken: the server is leaving in good order, or the answer came
        when the job was being put aside. One in needs_input goes on waiting; it is run again when it has its answer."""
        with self._database.transaction() as connection:
            row = self._get(connection, job)
            if row.view.state == JobState.RUNNING:
                self._requeue(connection, job, row.attempts - 1, row.owner)

    def adopt(self, dead: str, owner: str, most_attempts: int) -> None:
        """Take over the open jobs of an owner that is known to be dead.

        Queued ones queue again, those that wait for an answer go on waiting. Interrupted ones queue too, unless they
        were cancelled or have been tried `most_attempts` times: then something about them kills the server, and they
        fail as `interrupted`.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE owner = ? AND state IN ('queued', 'running', 'needs_input')", (dead,)
            ).fetchall()
            for row in (row for row in rows if self._readable(connection, [row])):
                if row["cancel"]:
                    self._finish(connection, row["id"], JobState.CANCELLED, None, ())
                elif row["state"] in (JobState.QUEUED, JobState.NEEDS_INPUT):
                    connection.execute("UPDATE jobs SET owner = ? WHERE id = ?", (owner, row["id"]))
                elif row["attempts"] < most_attempts:
                    self._requeue(connection, row["id"], row["attempts"], owner)
                else:
                    detail = f"The server ended during this job {row['attempts']} times."
                    self._finish(connection, row["id"], JobState.FAILED, Problem("interrupted", detail), ())
            connection.execute("DELETE FROM owners WHERE id = ?", (dead,))

    def delete(self, job: str) -> None:
        """Forget an ended job. Raises Problem("job-not-finished") if it has not ended."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            if not self._get(connection, job).view.state.ended:
                raise Problem("job-not-finished", "The job has not ended yet.", "Cancel it first.")
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))

    # inside a transaction

    def _finish(
        self,
        connection: sqlite3.Connection,
        job: str,
        state: JobState,
        problem: Problem | None,
        files: tuple[str, ...],
    ) -> None:
        document = problem.document() if problem else None
        changed = connection.execute(
            "UPDATE jobs SET state = ?, finished = ?, problem = ?, files = ?"
            " WHERE id = ? AND state IN ('queued', 'running', 'needs_input')",
            (state.value, now(), json.dumps(document) if document else None, json.dumps(files), job),
        )
        if changed.rowcount:
            self._state_event(connection, job, state, document, files)

    def _requeue(self, connection: sqlite3.Connection, job: str, attempts: int, owner: str) -> None:
        connection.execute(
            "UPDATE jobs SET state = 'queued', owner = ?, attempts = ?, started = NULL, progress = NULL WHERE id = ?",
            (owner, attempts, job),
        )
        self._state_event(connection, job, JobState.QUEUED)

    def _state_event(
        self,
        connection: sqlite3.Connection,
        job: str,
        state: JobState,
        problem: dict[str, Any] | None = None,
        files: tuple[str, ...] = (),
    ) -> None:
        self._event(connection, job, "state", {"state": state.value, "problem": problem, "files": list(files)})

    def _event(self, connection: sqlite3.Connection, job: str, type: str, data: dict[str, Any]) -> None:
        """The next event of a job; nothing if the job has been deleted meanwhile."""
        connection.execute(
            "INSERT INTO events (job, id, type, data)"
            " SELECT jobs.id, 1 + COALESCE((SELECT MAX(id) FROM events WHERE job = jobs.id), 0), ?, ?"
            " FROM jobs WHERE jobs.id = ?",
            (type, json.dumps(data), job),
        )

    def _get(self, connection: sqlite3.Connection, job: str) -> StoredJob:
        row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
        found = [] if row is None else self._readable(connection, [row])
        if not found:
            raise _unknown(job)
        return found[0]

    def _readable(self, connection: sqlite3.Connection, rows: list[sqlite3.Row]) -> list[StoredJob]:
        """Those rows that make sense. Others are left alone, and told of in the log."""
        found = []
        for row in rows:
            try:
                found.append(self._stored(connection, row))
            except (ValueError, TypeError, KeyError) as error:  # pydantic's and json's are ValueErrors
                logger.warning("the row of job %.40r is damaged and left out: %.300s", row["id"], error)
        return found

    def _stored(self, connection: sqlite3.Connection, row: sqlite3.Row) -> StoredJob:
        position = None
        if row["state"] == JobState.QUEUED:
            query = (
                "SELECT COUNT(*) FROM jobs WHERE owner = ? AND (state = 'running' OR (state = 'queued' AND number < ?))"
            )
            position = connection.execute(query, (row["owner"], row["number"])).fetchone()[0]
        question = None
        if row["state"] == JobState.NEEDS_INPUT:
            query = "SELECT data FROM events WHERE job = ? AND type = 'needs_input' ORDER BY id DESC LIMIT 1"
            asked = connection.execute(query, (row["id"],)).fetchone()
            if asked is None:
                raise ValueError("its question is missing")
            question = json.loads(asked[0])["question"]
        view = JobView.model_validate(
            {
                **{key: row[key] for key in ("id", "name", "pipeline", "state", "created", "started", "finished")},
                "progress": json.loads(row["progress"]) if row["progress"] else None,
                "problem": json.loads(row["problem"]) if row["problem"] else None,
                "files": json.loads(row["files"]),
                "position": position,
                "question": question,
            }
        )
        return StoredJob(view, row["owner"], int(row["attempts"]), bool(row["cancel"]))


def _event(row: sqlite3.Row) -> Event | None:
    """The event of a row; None if it is damaged."""
    try:
        return Event(id=row["id"], type=row["type"], data=json.loads(row["data"]))
    except (ValueError, TypeError) as error:
        logger.warning("event %.20r of job %.40r is damaged and left out: %.300s", row["id"], row["job"], error)
        return None


def now() -> str:
    """This moment, ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unknown(job: str) -> Problem:
    return Problem("job-not-found", f"There is no job '{job[:40]}'.")
