"""The list of jobs and their events, in one SQLite file that several processes share.

Every change is one transaction that also writes the event telling of it, so whoever reads the events in order
knows the job. The file is in write-ahead mode: a process killed at any moment leaves it whole.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from backend.contract import Event, JobState
from backend.errors import Problem
from backend.jobs.database import HASTE_SECONDS, PATIENCE_SECONDS, Database
from backend.jobs.of_users import OfUsers, asked_before
from backend.jobs.processes import may_live, signature
from backend.jobs.rows import Rows, StoredJob, event_of, last_event
from backend.jobs.schema import prepare
from backend.jobs.statistics import Statistics
from backend.jobs.submission import Submission
from backend.jobs.turns import RESTING, note_turn

RUNNING = (JobState.RUNNING, JobState.NEEDS_INPUT)
OPEN = (JobState.QUEUED, *RUNNING)
IS_OPEN = "('queued', 'running', 'needs_input')"

MOST_ATTEMPTS, MOST_LOST = 2, 2
"""How many ends of its worker a job may cause until it is set aside, and how often it begins anew after others."""

logger = logging.getLogger(__name__)


class Ended(NamedTuple):
    """What is to be known of a job that has ended to tell whether it may go; `moment`: of its end, ISO 8601."""

    id: str
    has_result: bool
    moment: str


class JobStore:
    """The jobs and events of one data folder. Usable from any thread and from several processes at once.

    A row that is damaged counts as one that is not there; the log tells of it. Raises Problem as `Database` does, and
    Problem("job-not-found") for ids that are not in the list.

    reached: how far a job's checkpoints reach, in steps; 0 for one that has none.
    statistics: of all jobs together. users: whose they are.
    tell_end: hears of every job that has ended by what was written here: pipeline, state, code of its problem or "".
    """

    def __init__(
        self,
        path: Path,
        reached: Callable[[str], int] = lambda job: 0,
        tell_end: Callable[[str, JobState, str], None] = lambda pipeline, state, code: None,
    ) -> None:
        self._reached = reached
        self._tell_end = tell_end
        self._ends: list[tuple[str, JobState, str]] = []  # of the transaction that is being written
        self._database = Database(path)
        self.statistics = Statistics(self._database)
        self.users = OfUsers(self._database)
        with self._database.transaction() as connection:
            prepare(connection, path.name)

    def close(self) -> None:
        self._database.close()

    # reading

    def get(self, job: str) -> StoredJob:
        with self._database.reading() as connection:
            return Rows(connection).job(job)

    def newest(
        self, limit: int, before: str | None = None, user: str | None = None, ended: bool | None = None
    ) -> list[StoredJob]:
        """At most `limit` jobs of every owner, the newest first; only those that are older than the job `before`, of
        one user, and that have ended or have not, where that is given."""
        with self._database.reading() as connection:
            wanted = ["number < (SELECT number FROM jobs WHERE id = :before)"] * (before is not None)
            wanted += ["user = :user"] * (user is not None)
            wanted += [f"state {'NOT ' if ended else ''}IN {IS_OPEN}"] * (ended is not None)
            if before is not None:
                Rows(connection).job(before)
            where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
            query = f"SELECT * FROM jobs {where} ORDER BY number DESC LIMIT :limit"
            rows = connection.execute(query, {"before": before, "limit": limit, "user": user}).fetchall()
            return Rows(connection).readable(rows)

    def ended(self) -> list[Ended]:
        """Every job that has ended, of every owner, in the order of their ends."""
        with self._database.reading() as connection:
            query = (
                "SELECT id, state = 'done' OR early != 0 AS has_result, COALESCE(finished, created) AS moment FROM jobs"
                " WHERE state IN ('done', 'failed', 'cancelled') ORDER BY finished, number"
            )
            return [Ended(row["id"], bool(row["has_result"]), str(row["moment"])) for row in connection.execute(query)]

    def next_ones(self, owner: str, most: int) -> list[StoredJob]:
        """At most so many of the owner's queued jobs, the one whose turn it is first."""
        with self._database.reading() as connection:
            return list(islice(Rows(connection).in_order(owner), most))

    def events(self, job: str, after: int, limit: int = 500) -> list[Event]:
        """At most `limit` events of a job with an id above `after`, in order; none for an unknown job."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?", (job, after, limit)
            ).fetchall()
        return [event for row in rows if (event := event_of(row)) is not None]

    def queued(self, owner: str) -> int:
        """How many of the owner's jobs wait for their turn; those that rest do not."""
        with self._database.reading() as connection:
            query = "SELECT COUNT(*) FROM jobs WHERE owner = ? AND state = 'queued' AND priority > ?"
            return int(connection.execute(query, (owner, RESTING)).fetchone()[0])

    def owners(self) -> set[str]:
        """Everyone who has jobs that have not ended."""
        with self._database.reading() as connection:
            query = f"SELECT DISTINCT owner FROM jobs WHERE state IN {IS_OPEN}"
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

    def is_complete(self, job: str) -> bool:
        """Whether a job has come to its very end: nothing can be added to it."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT state, early FROM jobs WHERE id = ?", (job,)).fetchone()
        return row is not None and row["state"] == JobState.DONE and not row["early"]

    def cancel_wanted(self, job: str) -> bool:
        with self._database.reading() as connection:
            row = connection.execute("SELECT cancel FROM jobs WHERE id = ?", (job,)).fetchone()
        return row is None or bool(row["cancel"])

    def finish_wanted(self, job: str) -> bool:
        with self._database.reading() as connection:
            row = connection.execute("SELECT finish FROM jobs WHERE id = ?", (job,)).fetchone()
        return row is not None and bool(row["finish"])

    # writing

    def note_owner(self, owner: str) -> None:
        """Remember that this process is that owner, for whoever cannot find its lock."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (owner, signature()))

    def add(
        self,
        job: str,
        owner: str,
        name: str,
        pipeline: str,
        origin: Mapping[str, Any] | None = None,
        user: str = "",
        asked: Submission | None = None,
    ) -> StoredJob:
        """A new job at the end of its user's share of its owner's queue; or the one that the user has `asked` for with
        the same key before. Raises Problem("key-reused") if that was another request."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            if asked is not None and (former := asked_before(connection, user, asked)) is not None:
                return Rows(connection).job(former)
            key, digest = (None, None) if asked is None else (asked.key, asked.digest)
            connection.execute(
                "INSERT INTO jobs (id, owner, name, pipeline, state, created, origin, user, key, digest)"
                " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
                (job, owner, name, pipeline, now(), json.dumps(origin or {}), user, key, digest),
            )
            self._state_event(connection, job, JobState.QUEUED)
            return Rows(connection).job(job)

    def take(self, owner: str, job: str | None = None) -> StoredJob | None:
        """The owner's next queued job, or the one that is named, now running; None if there is none, or if that one
        does not queue any more."""
        with self._database.transaction() as connection:
            rows = Rows(connection)
            if job is None:
                taken = next(rows.in_order(owner), None)
            else:
                query = "SELECT * FROM jobs WHERE id = ? AND owner = ? AND state = 'queued' AND priority > ?"
                taken = next(iter(rows.readable(connection.execute(query, (job, owner, RESTING)))), None)
            if taken is None:
                return None
            job = taken.view.id
            connection.execute(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started = ?, reached = ? WHERE id = ?",
                (now(), self._reached(job), job),
            )
            note_turn(connection, taken.view.user)
            self._state_event(connection, job, JobState.RUNNING)
            return Rows(connection).job(job)

    def prioritise(self, job: str, priority: int) -> StoredJob:
        """Among the queued jobs of a user those of the highest priority go first; of any other it counts once it is
        queued again."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            Rows(connection).job(job)
            connection.execute("UPDATE jobs SET priority = ? WHERE id = ?", (priority, job))
            return Rows(connection).job(job)

    def append(self, job: str, type: Literal["progress", "warning", "preview"], data: dict[str, Any]) -> Event | None:
        """An event that leaves the state as it is. Returns it as it was stored; None if nothing new was to be told.

        Progress takes the place of the progress before, and is not told to be less than that; a preview takes the place
        of the one before in its slot. What an attempt is warned of again was told by the one before.
        """
        with self._database.transaction() as connection:
            if type == "warning":
                query = "SELECT 1 FROM events WHERE job = ? AND type = 'warning' AND data = ?"
                told = connection.execute(query, (job, json.dumps(data))).fetchone()
                return None if told else self._event(connection, job, type, data)
            rows = connection.execute("SELECT * FROM events WHERE job = ? AND type = ?", (job, type)).fetchall()
            if type == "progress":
                data = self._not_less(connection, job, data)
            else:
                rows = [row for row in rows if (old := event_of(row)) is None or old.data.get("slot") == data["slot"]]
            stored = self._event(connection, job, type, data)
            for row in rows:  # only now: an id is never given twice
                connection.execute("DELETE FROM events WHERE job = ? AND id = ?", (job, row["id"]))
            if type == "progress":
                connection.execute("UPDATE jobs SET progress = ? WHERE id = ?", (json.dumps(data), job))
            return stored

    def _not_less(self, connection: sqlite3.Connection, job: str, data: dict[str, Any]) -> dict[str, Any]:
        """Progress of an attempt that resumes from a checkpoint, which lies behind what the one before had reached."""
        row = connection.execute("SELECT progress FROM jobs WHERE id = ?", (job,)).fetchone()
        former = json.loads(row["progress"]) if row is not None and row["progress"] else {}
        return {**data, "fraction": max(former.get("fraction", 0.0), data["fraction"])}

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
        row = Rows(connection).job(job)
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
                self._requeue(connection, job, Rows(connection).job(job).attempts - 1, owner)
            return Rows(connection).job(job)

    def finish(
        self,
        job: str,
        state: JobState,
        *,
        problem: Problem | None = None,
        files: tuple[str, ...] = (),
        early: bool = False,
    ) -> None:
        """The job ends as done, failed or cancelled. Of an ended or deleted job nothing changes.

        files, early: of one that is done; others keep what an attempt before may have finished early.
        """
        with self._ending() as connection:
            if state == JobState.DONE:
                self._done(connection, job, files, early)
            else:
                self._finish(connection, job, state, problem)

    def request_finish(self, job: str) -> StoredJob:
        """Have a running job end early with what it has. Raises Problem("finish-not-possible") in another state."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            row = Rows(connection).job(job)
            if row.view.state != JobState.RUNNING:
                detail = f"The job is {row.view.state.value.replace('_', ' ')}, so there is nothing to end early."
                raise Problem("finish-not-possible", detail)
            connection.execute("UPDATE jobs SET finish = 1 WHERE id = ?", (job,))
            return Rows(connection).job(job)

    def go_on(self, job: str, owner: str) -> StoredJob:
        """failed, cancelled, or done early -> queued in its old place, to go on from its checkpoint.

        The result of one that was finished early stays. Raises Problem("continue-not-possible").
        """
        with self._database.transaction(HASTE_SECONDS) as connection:
            view = Rows(connection).job(job).view
            if not view.state.ended:
                detail = f"The job is {view.state.value.replace('_', ' ')}: it goes on already."
                raise Problem("continue-not-possible", detail, "Refresh the list, and wait until it is done.")
            if view.state == JobState.DONE and not view.finished_early:
                raise Problem("continue-not-possible", "The job has come to its end.")
            if not self._reached(job):
                raise Problem("continue-not-possible", "The job has no checkpoint to go on from.")
            connection.execute(
                "UPDATE jobs SET cancel = 0, finish = 0, lost = 0, problem = NULL, finished = NULL,"
                " progress = CASE state WHEN 'done' THEN NULL ELSE progress END WHERE id = ?",
                (job,),
            )
            self._requeue(connection, job, 0, owner)
            return Rows(connection).job(job)

    def try_again(self, job: str, *, suspect: bool) -> bool:
        """running -> queued, after what ran it has gone. False, and nothing changes, if it has been tried often enough.

        suspect: the job may be why.
        """
        with self._database.transaction() as connection:
            query = "SELECT * FROM jobs WHERE id = ? AND state IN ('running', 'needs_input')"
            row = connection.execute(query, (job,)).fetchone()
            return row is not None and self._try_again(connection, row, row["owner"], suspect)

    def request_cancel(self, job: str) -> StoredJob:
        """Cancel: a running job is marked for its owner, one that queues or waits for an answer ends at once, an ended
        one stays as it is."""
        with self._ending(HASTE_SECONDS) as connection:
            row = Rows(connection).job(job)
            if row.view.state in RUNNING:  # one in needs_input too: its worker may be waiting with it
                connection.execute("UPDATE jobs SET cancel = 1 WHERE id = ?", (job,))
            if row.view.state in (JobState.QUEUED, JobState.NEEDS_INPUT):
                self._finish(connection, job, JobState.CANCELLED, None)
            return Rows(connection).job(job)

    def put_back(self, job: str) -> None:
        """running -> queued, as if it had never been taken: the server is leaving in good order, or the answer came
        when the job was being put aside. One in needs_input goes on waiting; it is run again when it has its answer."""
        with self._database.transaction() as connection:
            row = Rows(connection).job(job)
            if row.view.state == JobState.RUNNING:
                self._requeue(connection, job, row.attempts - 1, row.owner)

    def adopt(
        self,
        dead: str,
        owner: str,
        *,
        suspect: bool,
        outcome: Callable[[str], tuple[tuple[str, ...], bool] | None] = lambda job: None,
    ) -> None:
        """Take over the open jobs of an owner that is known to be dead.

        Queued ones queue again, those that wait for an answer go on waiting. Of interrupted ones those are done whose
        result is there, as `JobFolders.outcome` tells. The others queue, too, unless they
        were cancelled or have been tried often enough without coming to a newer checkpoint, see `MOST_ATTEMPTS`: then
        something about them kills the server, and they fail as `interrupted`.

        suspect: one of them may be why it died; not where they run on other machines.
        """
        with self._ending() as connection:
            rows = connection.execute(f"SELECT * FROM jobs WHERE owner = ? AND state IN {IS_OPEN}", (dead,)).fetchall()
            readable = Rows(connection).readable
            for row in (row for row in rows if readable([row])):
                if row["cancel"]:
                    self._finish(connection, row["id"], JobState.CANCELLED, None)
                elif row["state"] in (JobState.QUEUED, JobState.NEEDS_INPUT):
                    connection.execute("UPDATE jobs SET owner = ? WHERE id = ?", (owner, row["id"]))
                elif not row["early"] and (ended := outcome(row["id"])) is not None:
                    self._done(connection, row["id"], *ended)
                elif not self._try_again(connection, row, owner, suspect):
                    detail = f"The server ended during this job {row['attempts'] + row['lost']} times."
                    self._finish(connection, row["id"], JobState.FAILED, Problem("interrupted", detail))
            connection.execute("DELETE FROM owners WHERE id = ?", (dead,))

    def delete(self, job: str) -> None:
        """Forget an ended job. Raises Problem("job-not-finished") if it has not ended."""
        with self._database.transaction(HASTE_SECONDS) as connection:
            if not Rows(connection).job(job).view.state.ended:
                raise Problem("job-not-finished", "The job has not ended yet.", "Cancel it first.")
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))

    @contextmanager
    def _ending(self, patience: float = PATIENCE_SECONDS) -> Iterator[sqlite3.Connection]:
        """A transaction in which jobs may end; of those that do is told once it is written."""
        with self._database.transaction(patience) as connection:
            ends: list[tuple[str, JobState, str]] = []
            self._ends = ends
            yield connection
        for end in ends:
            self._tell_end(*end)

    # inside a transaction

    def _done(self, connection: sqlite3.Connection, job: str, files: tuple[str, ...], early: bool) -> None:
        changes = "UPDATE jobs SET files = ?, early = ? WHERE id = ? AND state IN ('running', 'needs_input')"
        connection.execute(changes, (json.dumps(files), early, job))
        self._finish(connection, job, JobState.DONE, None)
        if not early:  # the end is told: no id is given twice
            connection.execute("DELETE FROM events WHERE job = ? AND type = 'preview'", (job,))

    def _finish(
        self,
        connection: sqlite3.Connection,
        job: str,
        state: JobState,
        problem: Problem | None,
    ) -> None:
        document = problem.document() if problem else None
        changed = connection.execute(
            f"UPDATE jobs SET state = ?, finished = ?, problem = ? WHERE id = ? AND state IN {IS_OPEN}",
            (state.value, now(), json.dumps(document) if document else None, job),
        )
        if changed.rowcount:
            self._state_event(connection, job, state, document)
            pipeline = connection.execute("SELECT pipeline FROM jobs WHERE id = ?", (job,)).fetchone()[0]
            self._ends.append((str(pipeline), state, problem.code if problem else ""))

    def _try_again(self, connection: sqlite3.Connection, row: sqlite3.Row, owner: str, suspect: bool) -> bool:
        """Queue an attempt that was cut off once more. Those count that brought no newer checkpoint, one after another:
        whatever gets ahead comes to its end. One that the job is no suspect of counts as lost, and for nothing else."""
        attempts, lost = row["attempts"] - (not suspect), row["lost"] + (not suspect)
        if self._reached(row["id"]) > row["reached"]:
            attempts = lost = 0
        if attempts >= MOST_ATTEMPTS or lost > MOST_LOST:
            return False
        self._requeue(connection, row["id"], attempts, owner)
        connection.execute("UPDATE jobs SET lost = ? WHERE id = ?", (lost, row["id"]))
        return True

    def _requeue(self, connection: sqlite3.Connection, job: str, attempts: int, owner: str) -> None:
        connection.execute(
            "UPDATE jobs SET state = 'queued', owner = ?, attempts = ?, started = NULL WHERE id = ?",
            (owner, attempts, job),
        )
        if not self._reached(job):  # it is done again from its beginning
            connection.execute("UPDATE jobs SET progress = NULL WHERE id = ?", (job,))
        self._state_event(connection, job, JobState.QUEUED)

    def _state_event(
        self,
        connection: sqlite3.Connection,
        job: str,
        state: JobState,
        problem: dict[str, Any] | None = None,
    ) -> None:
        row = connection.execute("SELECT files FROM jobs WHERE id = ?", (job,)).fetchone()
        files = json.loads(row["files"]) if row is not None and state.ended else []
        self._event(connection, job, "state", {"state": state.value, "problem": problem, "files": files})

    def _event(self, connection: sqlite3.Connection, job: str, type: str, data: dict[str, Any]) -> Event | None:
        """The next event of a job; None if the job has been deleted meanwhile. A preview's revision is its id."""
        if connection.execute("SELECT 1 FROM jobs WHERE id = ?", (job,)).fetchone() is None:
            return None
        number = 1 + last_event(connection, job)
        if type == "preview":
            data = {**data, "revision": number}
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (job, number, type, json.dumps(data)))
        return Event.model_validate({"id": number, "type": type, "data": data})


def now() -> str:
    """This moment, ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
