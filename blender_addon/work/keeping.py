"""How much of the disk finished jobs may hold, and how much they do.

The limit is a preference. A tighter one that would remove jobs is not told to the backend before the user has seen how
many and agreed; until then the former one holds. What the jobs hold is asked for again whenever one has ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bpy

from ..backend_process.server_process import ServerState
from ..ground import preferences
from ..wire.client import answer
from ..wire.tasks import Steps

if TYPE_CHECKING:
    from ..session import Session

GIGABYTE = 10**9
WISHED, AGREED = "keep_gigabytes", "agreed_gigabytes"
"""Preferences: what the user has set, and what the backend may act on."""

DEFAULT = 20.0
"""Where the add-on has no preferences that are kept."""

LOOK_SECONDS, REST_SECONDS, REMOVAL_SECONDS = 0.5, 1.0, 1.5
"""From a change of the jobs to the look; from the last step of a slider until it counts; until old jobs are gone."""


@dataclass(frozen=True)
class Surplus:
    """What a limit would remove: so many jobs, so many bytes; limit: in gigabytes."""

    limit: float
    jobs: int
    bytes: int


def limit() -> int | None:
    """The limit that was agreed to, in bytes; None for no limit."""
    return in_bytes(getattr(preferences.get(), AGREED, DEFAULT))


def in_bytes(gigabytes: float) -> int | None:
    return round(gigabytes * GIGABYTE) if gigabytes > 0 else None


def is_tighter(one: float, other: float) -> bool:
    """Whether a limit in gigabytes keeps less than another; 0 is none."""
    return one > 0 and (other <= 0 or one < other)


class Keeping:
    """Follows the preference and the jobs. One request at a time; the newest wish counts.

    surplus: what the wished limit would remove, while that waits for the user's word.
    """

    def __init__(self) -> None:
        self.surplus: Surplus | None = None
        self._rests: float | None = None
        self._looks: float | None = None
        self._task: Steps | None = None

    def look_soon(self) -> None:
        """The jobs have changed."""
        self._looks = time.monotonic() + LOOK_SECONDS

    def wished(self) -> None:
        """The preference has changed, or may be another than what was agreed to."""
        self.surplus, self._rests = None, time.monotonic() + REST_SECONDS

    def poll(self, session: Session) -> None:
        """Move on; called by every tick."""
        if session.server.state is not ServerState.READY or (self._task and session.tasks.runs(self._task)):
            return
        now = time.monotonic()
        if self._rests is not None and now >= self._rests:
            self._rests = None
            self._task = session.begin(self._consider(session), session.report)
        elif self._looks is not None and now >= self._looks:
            self._looks = None
            self._task = session.begin(self._look(session), session.report)

    def agree(self, session: Session) -> None:
        """The user has seen what would go."""
        chosen = preferences.get()
        setattr(chosen, AGREED, getattr(chosen, WISHED))
        self.surplus = None
        self._task = session.begin(self._apply(session), session.report)

    def take_back(self) -> None:
        """The user wants the former limit again."""
        chosen = preferences.get()
        setattr(chosen, WISHED, getattr(chosen, AGREED))
        self.surplus, self._rests = None, None

    def _consider(self, session: Session) -> Steps:
        chosen = preferences.get()
        wish, agreed = getattr(chosen, WISHED, DEFAULT), getattr(chosen, AGREED, DEFAULT)
        if wish == agreed:
            return
        if is_tighter(wish, agreed):
            client = yield from session.ready_client()
            exchange = client.storage(in_bytes(wish))
            yield from session.tasks.finish(exchange)
            view = answer(exchange)
            over = view["surplus"]
            if self._rests is not None:  # it was moved on meanwhile
                return
            if over["jobs"]:
                self.surplus = Surplus(wish, int(over["jobs"]), int(over["bytes"]))
                session.changed()
                return
        setattr(chosen, AGREED, wish)
        yield from self._apply(session)

    def _apply(self, session: Session) -> Steps:
        client = yield from session.ready_client()
        exchange = client.limit_storage(limit())
        yield from session.tasks.finish(exchange)
        answer(exchange)
        yield from session.tasks.pause(REMOVAL_SECONDS)
        session.refresh()  # the list of jobs too

    def _look(self, session: Session) -> Steps:
        client = yield from session.ready_client()
        exchange = client.storage()
        yield from session.tasks.finish(exchange)
        session.take_storage(answer(exchange))
        session.changed()


def draw(layout: bpy.types.UILayout, chosen: Any, keeping: Keeping) -> None:
    """The preference; below it what it would remove, with the two answers."""
    layout.prop(chosen, WISHED)
    over = keeping.surplus
    if over is None:
        return
    box = layout.box()
    jobs = "1 job" if over.jobs == 1 else f"{over.jobs} jobs"
    box.label(
        text=f"To hold {over.limit:.1f} GB, {jobs} with {over.bytes / GIGABYTE:.2f} GB would be removed", icon="ERROR"
    )
    row = box.row(align=True)
    row.operator("set_dresser.agree_to_limit", icon="TRASH")
    row.operator("set_dresser.take_back_limit", icon="LOOP_BACK")
