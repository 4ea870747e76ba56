"""Whether a running server answers, and whether it is still the one that is wanted. Nothing here waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import bpy

from ..backend_process.environment import Environment
from ..backend_process.server_process import ServerProcess, ServerState
from ..ground.messages import SetDresserError
from ..wire.client import ServerProblem, answer
from ..wire.http_exchange import Exchange
from ..wire.http_framing import ConnectionProblem
from ..wire.tasks import Steps

if TYPE_CHECKING:
    from ..session import Session
    from .jobs import JobRecord

ASK_SECONDS = 5.0
"""Between two questions whether the server is there."""

FAILURES = 2
"""So many in a row, of up to eight seconds each, and the server counts as out of reach."""

SLICE_SECONDS = 0.001


class ServerLife:
    """What happens to a server between its start and its end.

    wanted: what a server would be started with now; told by `Session.check_set_up`. health: the last answer of
    GET /health, {} if there is none. rest_wanted: somebody else needs the graphics card's memory; may be set from any
    thread.
    """

    def __init__(self) -> None:
        self.wanted: Environment | None = None
        self.health: dict[str, Any] = {}
        self.rest_wanted = False
        self._exchange: Exchange | None = None
        self._next = 0.0
        self._failures = 0
        self._online: bool = bpy.app.online_access

    def poll(self, session: Session) -> None:
        """Ask the server how it is, now and then; replace one that is not wanted any more as soon as nothing runs."""
        self._ask(session.server)
        if self._online != bpy.app.online_access:
            self._online = bpy.app.online_access
            session.check_set_up()
        if self.rest_wanted:
            self.rest_wanted = False
            self.rest(session)
        if self.outdated(session.server) and not at_work(session):
            self.restart(session)

    def close(self) -> None:
        """Let go of what is being asked."""
        if self._exchange is not None:
            self._exchange.close()
        self._exchange, self._failures, self.health = None, 0, {}

    @property
    def holds_memory(self) -> bool:
        """Whether the worker process was there when the server was last asked."""
        return self.health.get("worker", "asleep") != "asleep"

    @property
    def why_jobs_wait(self) -> str:
        """What keeps the server from running the jobs that are queued, as sentences; "" if nothing does."""
        for kind in ("waiting", "problem"):
            told = self.health.get(kind)
            if isinstance(told, dict) and isinstance(told.get("detail"), str):
                return f"{told['detail']} {told.get('hint', '')}".strip()
        return ""

    # its memory

    def can_rest(self, session: Session) -> bool:
        """Whether there is a server that could give memory back: no job needs it."""
        return session.server.state is ServerState.READY and not needed(session)

    def rest(self, session: Session) -> Steps | None:
        """Have the backend give its memory back, the graphics card's too, unless a job needs it; returns the task."""
        return session.begin(self._rest(session), session.report) if self.can_rest(session) else None

    def _rest(self, session: Session) -> Steps:
        client = session.server.client
        if client is None:
            return
        exchange = client.rest()
        yield from session.tasks.finish(exchange)
        answer(exchange)
        self._next = 0.0

    # whether it answers

    def _ask(self, server: ServerProcess) -> None:
        if server.client is None:
            self.close()
            self._next = 0.0
            return
        if self._exchange is None:
            if time.monotonic() < self._next:
                return
            self._exchange = server.client.health()
        try:
            if not self._exchange.advance(time.perf_counter() + SLICE_SECONDS):
                return
            self.health = answer(self._exchange)
        except ServerProblem:  # a refusal is an answer
            self.health = {}
        except ConnectionProblem as problem:
            self._exchange = None
            self._failures += 1
            if self._failures >= FAILURES:
                server.take_answer(_unreachable(problem))
            return
        self._exchange, self._failures, self._next = None, 0, time.monotonic() + ASK_SECONDS
        server.take_answer(None)

    # whether it is wanted

    def outdated(self, server: ServerProcess) -> bool:
        """Whether another server would be started now: other preferences, another installation, online or not."""
        alive = server.state in (ServerState.STARTING, ServerState.READY, ServerState.UNREACHABLE)
        return alive and None not in (self.wanted, server.environment) and self.wanted != server.environment

    def catch_up(self, session: Session) -> None:
        """Replace an outdated server now, for something that needs the new one. Raises SetDresserError if jobs run."""
        session.check_set_up()
        if not self.outdated(session.server):
            return
        if needed(session):
            hint = "Wait until they have ended, or cancel them; the backend is restarted then."
            raise SetDresserError("Jobs still run in a backend with other settings.", hint, "restart-needed")
        self.restart(session)

    def restart(self, session: Session) -> None:
        """End the server, whatever it does, and start another; unfinished jobs go on in that one."""
        session.stop_server()
        session.begin(_start_again(session), session.report)


def _start_again(session: Session) -> Steps:
    while session.server.running:
        yield
    session.start_server()


def needed(session: Session) -> bool:
    """Whether a job needs this very server. One that asks something does not: its question outlives servers."""
    return any(record.state != "needs_input" for record in _open(session))


def _open(session: Session) -> list[JobRecord]:
    """Jobs to which something still happens."""
    return [record for record in session.jobs.values() if not record.ended or record.busy]


def at_work(session: Session) -> bool:
    """Whether ending the server now would interrupt anything. Models come along only if going online is allowed."""
    models = session.models
    downloading = models.busy and bpy.app.online_access
    return bool(_open(session)) or downloading or len(session.tasks) > int(models.pausing)


def _unreachable(problem: ConnectionProblem) -> SetDresserError:
    hint = "It may be busy beyond measure: wait a little, or press Restart. Unfinished jobs go on after a restart."
    return SetDresserError("The backend runs but does not answer.", hint, "unreachable", problem.report())
