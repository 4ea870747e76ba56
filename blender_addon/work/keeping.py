"""How much of the disk finished jobs may hold, and how much they do.

The limit is a preference. A tighter one that would remove jobs is not told to the backend before the user has seen how
many and agreed; until then the former one holds. What the jobs hold is asked for again whenever one has ended.
"""

from __future__ import annotations

import time
from typing import Any

from ..backend_process.server_process import ServerState
from ..ground import preferences
from ..state.desk import Desk
from ..state.storage import Surplus, in_bytes, is_tighter
from ..wire.tasks import Steps
from .line import Line

WISHED, AGREED = "keep_gigabytes", "agreed_gigabytes"
"""Preferences: what the user has set, and what the backend may act on."""

DEFAULT = 20.0
"""Where the add-on has no preferences that are kept."""

LOOK_SECONDS, REST_SECONDS, REMOVAL_SECONDS = 0.5, 1.0, 1.5
"""From a change of the jobs to the look; from the last step of a slider until it counts; until old jobs are gone."""


def limit() -> int | None:
    """The limit that was agreed to, in bytes; None for no limit."""
    return in_bytes(getattr(preferences.get(), AGREED, DEFAULT))


class Keeping:
    """Follows the preference and the jobs. One request at a time; the newest wish counts."""

    def __init__(self) -> None:
        self._rests: float | None = None
        self._looks: float | None = None
        self._task: Steps[Any] | None = None

    def poll(self, line: Line) -> None:
        """Move on; called by every tick."""
        desk, now = line.desk, time.monotonic()
        if desk.server.remote:  # its disk is whoever runs it's to think of
            desk.limit_wished, self._rests = False, None
        if desk.limit_wished:
            desk.limit_wished, desk.surplus, self._rests = False, None, now + REST_SECONDS
        if desk.storage_stale:
            desk.storage_stale, self._looks = False, now + LOOK_SECONDS
        if desk.server.state is not ServerState.READY or (self._task and line.tasks.runs(self._task)):
            return
        if self._rests is not None and now >= self._rests:
            self._rests = None
            self._task = line.begin(self._consider(line), line.report)
        elif self._looks is not None and now >= self._looks:
            self._looks = None
            self._task = line.begin(_look(line), line.report)

    def agree(self, line: Line) -> None:
        """The user has seen what would go."""
        chosen = preferences.get()
        setattr(chosen, AGREED, getattr(chosen, WISHED))
        line.desk.surplus = None
        self._task = line.begin(_apply(line), line.report)

    def take_back(self, desk: Desk) -> None:
        """The user wants the former limit again."""
        chosen = preferences.get()
        setattr(chosen, WISHED, getattr(chosen, AGREED))
        desk.limit_wished, desk.surplus, self._rests = False, None, None

    def _consider(self, line: Line) -> Steps[None]:
        desk, chosen = line.desk, preferences.get()
        wish, agreed = getattr(chosen, WISHED, DEFAULT), getattr(chosen, AGREED, DEFAULT)
        if wish == agreed:
            return
        if is_tighter(wish, agreed):
            description = yield from line.ask(lambda client: client.storage(in_bytes(wish)))
            over = description["surplus"]
            if self._rests is not None or desk.limit_wished:  # it was moved on meanwhile
                return
            if over["jobs"]:
                desk.surplus = Surplus(wish, int(over["jobs"]), int(over["bytes"]))
                desk.changed()
                return
        setattr(chosen, AGREED, wish)
        yield from _apply(line)


def _apply(line: Line) -> Steps[None]:
    yield from line.ask(lambda client: client.limit_storage(limit()))
    yield from line.tasks.pause(REMOVAL_SECONDS)
    line.refresh()  # the list of jobs too


def _look(line: Line) -> Steps[None]:
    line.desk.take_storage((yield from line.ask(lambda client: client.storage())))
    line.desk.changed()
