"""What the list of jobs tells of users: whose a job is, which are theirs, which one they have asked for before."""

from __future__ import annotations

import sqlite3

from backend.errors import Problem
from backend.jobs.database import Database
from backend.jobs.submission import Submission


class OfUsers:
    """Of one list of jobs. Usable from any thread. Raises Problem as `Database` does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner_of(self, job: str) -> str | None:
        """Whose job it is; None if there is none. Of the same cost for any job, and for none."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT user FROM jobs WHERE id = ?", (job,)).fetchone()
        return None if row is None else str(row["user"])

    def jobs_of(self, user: str) -> set[str]:
        """All jobs of a user."""
        with self._database.reading() as connection:
            return {row["id"] for row in connection.execute("SELECT id FROM jobs WHERE user = ?", (user,))}

    def queued_of(self, user: str) -> int:
        """How many jobs of a user wait, of every owner."""
        with self._database.reading() as connection:
            query = "SELECT COUNT(*) FROM jobs WHERE user = ? AND state = 'queued'"
            return int(connection.execute(query, (user,)).fetchone()[0])

    def asked_before(self, user: str, asked: Submission) -> str | None:
        """The job that a user has asked for with this key, if it is still there. Raises Problem("key-reused")."""
        with self._database.reading() as connection:
            return asked_before(connection, user, asked)


def asked_before(connection: sqlite3.Connection, user: str, asked: Submission) -> str | None:
    """See `OfUsers.asked_before`; inside a transaction."""
    query = "SELECT id, digest FROM jobs WHERE user = ? AND key = ?"
    row = connection.execute(query, (user, asked.key)).fetchone()
    if row is None:
        return None
    if row["digest"] != asked.digest:
        raise Problem("key-reused", f"With the key '{asked.key[:40]}' another job was asked for before.")
    return str(row["id"])
