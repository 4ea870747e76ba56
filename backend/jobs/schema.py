"""The tables of the list of jobs, and how a list of a version before becomes one of this."""

from __future__ import annotations

import sqlite3

from backend.errors import Problem

VERSION = 5
TABLES = """
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
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS owners (id TEXT PRIMARY KEY, process TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS turns (user TEXT PRIMARY KEY, turn INTEGER NOT NULL) WITHOUT ROWID;
"""
"""Of progress the last event is kept, of previews the last of each slot. turns: of each user the number of the turn
that was given last, see `backend/jobs/turns.py`."""

ADDED = {
    "finish": "INTEGER NOT NULL DEFAULT 0",
    "early": "INTEGER NOT NULL DEFAULT 0",
    "reached": "INTEGER NOT NULL DEFAULT 0",
    "origin": "TEXT NOT NULL DEFAULT '{}'",
    "user": "TEXT NOT NULL DEFAULT ''",
    "priority": "INTEGER NOT NULL DEFAULT 0",
    "lost": "INTEGER NOT NULL DEFAULT 0",
    "key": "TEXT",
    "digest": "TEXT",
}
"""Columns of `jobs` that came after the first version. finish: the user wants an early end. early: the files are those
of a run that had one. reached: how far the checkpoints reached when the attempt that runs began. origin: that of the
request. user: who takes turns with others; empty where the server knows no users. priority: among the jobs of its user,
the highest goes first. lost: how many attempts a machine's end has cut off, beside `attempts`. key, digest: by which
its user has asked for it, and what was asked for, see `backend/jobs/submission.py`; null where no key was given."""

INDICES = (
    "CREATE INDEX IF NOT EXISTS jobs_by_turn ON jobs (owner, state, user, priority DESC, number, id)",
    "CREATE INDEX IF NOT EXISTS jobs_by_user ON jobs (user, number)",
    "CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_key ON jobs (user, key) WHERE key IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS jobs_that_wait ON jobs (user) WHERE state = 'queued'",
)


def prepare(connection: sqlite3.Connection, name: str) -> None:
    """Make the tables, or bring them up to this version; inside a transaction.

    Raises Problem("protocol-mismatch") for a list of a newer version; it is not touched then.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        detail = f"The list of jobs in {name} was written by a newer version of Set Dresser."
        raise Problem("protocol-mismatch", detail, "Use the newer version, or another data folder.")
    for statement in filter(str.strip, TABLES.split(";")):
        connection.execute(statement)
    there = {row["name"] for row in connection.execute("PRAGMA table_info(jobs)")}
    for column, definition in ADDED.items():
        if column not in there:
            connection.execute(f"ALTER TABLE jobs ADD COLUMN {column} {definition}")
    for index in INDICES:
        connection.execute(index)
    connection.execute("DROP INDEX IF EXISTS jobs_by_owner")  # that of the versions before 4
    if version == 1:
        connection.execute(
            "DELETE FROM events WHERE type = 'progress' AND id <"
            " (SELECT MAX(id) FROM events AS later WHERE later.job = events.job AND later.type = 'progress')"
        )
    connection.execute(f"PRAGMA user_version = {VERSION}")
