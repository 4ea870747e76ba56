"""Who goes next in a queue: users take turns, and each user's own jobs go by priority, then by age."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RESTING = -100
"""The priority of a job that is not run until it has another one."""


@dataclass(frozen=True)
class Share:
    """What one user has of a queue.

    queued, running: how many jobs wait, and run.
    turn: number of the last turn this user had; 0 for none.
    """

    queued: int
    running: int = 0
    turn: int = 0


class Turns:
    """The order of the jobs that wait, as it is at one moment.

    Next is always the user with the fewest running jobs; of several the one whose last turn is the longest ago. So
    somebody who queues a hundred jobs delays everybody else by one, and nobody gets ahead of others by priorities.
    A job is told by its user and its place, from 0, among those of this user that wait.
    """

    def __init__(self, shares: Mapping[str, Share]) -> None:
        self._shares = shares

    def order(self) -> Iterator[str]:
        """Whose job is next, time after time, if none of those that run ends before."""
        keys = ([self._key(user, place) for place in range(share.queued)] for user, share in self._shares.items())
        for *_, user in heapq.merge(*keys):
            yield user

    def ahead(self, user: str, place: int) -> int:
        """How many jobs run, or wait and go before this one."""
        key = self._key(user, place)
        return sum(share.running + self._before(key, other) for other, share in self._shares.items())

    def _key(self, user: str, place: int) -> tuple[int, int, int, str]:
        """What the jobs that wait are sorted by.

        Once `place` jobs of the same user have begun that many more run, and whoever has begun some in the meantime has
        had a later turn than who has not.
        """
        share = self._shares[user]
        return share.running + place, place, share.turn, user

    def _before(self, key: tuple[int, int, int, str], user: str) -> int:
        """How many of a user's jobs that wait go before the one with this key."""
        share = self._shares[user]
        place = min(max(key[0] - share.running, 0), share.queued)  # those before it begin when fewer run
        return place + (place < share.queued and self._key(user, place) < key)


class Queue:
    """The jobs of one owner that wait for their turn, read from the list; of one moment. Those that rest do not."""

    def __init__(self, connection: sqlite3.Connection, owner: str) -> None:
        self._connection = connection
        self._owner = owner
        self._known: dict[tuple[Any, Any], tuple[int, int]] = {}
        queued, running = self._counts("queued"), self._counts("running")
        query = "SELECT user, CAST(turn AS INTEGER) AS turn FROM turns"
        last = {row["user"]: row["turn"] for row in connection.execute(query)}
        users = queued.keys() | running.keys()
        self._turns = Turns(
            {user: Share(queued.get(user, 0), running.get(user, 0), last.get(user, 0)) for user in users}
        )

    def _counts(self, state: str) -> dict[str, int]:
        """Of each user. Jobs in needs_input keep nobody from a turn: they make room."""
        awake = f"AND priority > {RESTING}" if state == "queued" else ""
        query = f"SELECT user, COUNT(*) AS jobs FROM jobs WHERE owner = ? AND state = ? {awake} GROUP BY user"
        return {str(row["user"]): row["jobs"] for row in self._connection.execute(query, (self._owner, state))}

    def rows(self) -> Iterator[sqlite3.Row]:
        """Those that wait, the one whose turn it is first."""
        query = (
            f"SELECT * FROM jobs WHERE owner = ? AND state = 'queued' AND user = ? AND priority > {RESTING}"
            " ORDER BY priority DESC, number"
        )
        waiting: dict[str, Iterator[sqlite3.Row]] = {}
        for user in self._turns.order():
            if user not in waiting:
                waiting[user] = self._connection.execute(query, (self._owner, user))
            if (row := next(waiting[user], None)) is not None:
                yield row

    def ahead(self, row: sqlite3.Row) -> int | None:
        """How many jobs run, or wait and go before this one, which waits; None for one that rests."""
        if row["priority"] <= RESTING:
            return None
        user, priority, number = row["user"], row["priority"], row["number"]
        among = "SELECT COUNT(*) FROM jobs WHERE owner = ? AND state = 'queued' AND user = ? AND priority"
        if (user, priority) in self._known:  # a list of a hundred jobs counts what lies between them, once
            other, place = self._known[user, priority]
            between = f"{among} = ? AND number >= ? AND number < ?"
            between_them = self._count(between, user, priority, min(number, other), max(number, other))
            place += between_them if number > other else -between_them
        else:
            place = self._count(f"{among} > ?", user, priority)
            place += self._count(f"{among} = ? AND number < ?", user, priority, number)
        self._known[user, priority] = number, place
        return self._turns.ahead(str(user), place)

    def _count(self, query: str, *values: Any) -> int:
        return int(self._connection.execute(query, (self._owner, *values)).fetchone()[0])


def note_turn(connection: sqlite3.Connection, user: str) -> None:
    """A user has had the newest turn."""
    connection.execute(
        "INSERT OR REPLACE INTO turns SELECT ?, 1 + COALESCE(MAX(CAST(turn AS INTEGER)), 0) FROM turns", (user,)
    )
