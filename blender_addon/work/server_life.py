"""What happens to a server between its start and its end: whether it answers, whether it is still the one that is
wanted, and the memory that it holds. Nothing here waits."""

from __future__ import annotations

import time
from typing import Any

import bpy

from ..backend_process import setting_up
from ..backend_process.server_process import ServerState
from ..ground import tick
from ..ground.messages import SetDresserError
from ..state.desk import SERVER, Desk
from ..state.job import UNSENT, JobRecord
from ..wire.client import ServerProblem, answer
from ..wire.http_exchange import Exchange
from ..wire.http_framing import ConnectionProblem
from ..wire.tasks import Steps
from . import jobs
from .line import Line

ASK_SECONDS, ASK_FAR_SECONDS = 5.0, 10.0
"""Between two questions whether the server is there; whether a studio's is."""

FAILURES = 2
"""So many in a row, of up to eight seconds each, and the server counts as out of reach."""

SLICE_SECONDS = 0.001


class ServerLife:
    """Looks after the server, tick by tick."""

    def __init__(self, desk: Desk) -> None:
        self._seen = desk.server.state
        self._exchange: Exchange | None = None
        self._next = 0.0
        self._failures = 0
        self._online: bool = bpy.app.online_access

    def poll(self, line: Line) -> None:
        """See how the server is; replace one that is not wanted any more as soon as nothing runs."""
        desk = line.desk
        self._look(line)
        self._ask(desk)
        if self._online != bpy.app.online_access:
            self._online = bpy.app.online_access
            desk.set_up_stale = True
        if desk.set_up_stale:
            line.check_set_up()
        give_way(line)
        if desk.rest_wanted:
            desk.rest_wanted = False
            rest(line)
        if desk.studio and desk.wanted is None and desk.server.remote and desk.server.running:
            stop(line)  # there is no address any more, or no token
        elif desk.studio and tick.timers_fire() and not (desk.server.running or desk.left or desk.wanted is None):
            line.start_server()  # a studio's server is there all the time, and has what was asked of it before

    @property
    def asking(self) -> bool:
        """Whether an answer is on its way, so that the tick must not rest."""
        return self._exchange is not None

    def close(self) -> None:
        """Let go of what is being asked."""
        if self._exchange is not None:
            self._exchange.close()
        self._exchange, self._failures = None, 0

    def _look(self, line: Line) -> None:
        """What a server begins or ends, the desk is told."""
        desk = line.desk
        state = desk.server.poll()
        if state is self._seen:
            return
        self._seen = state
        desk.changed()
        if state is ServerState.READY:
            desk.settle(SERVER)
            line.refresh()
            desk.limit_wished = True
        elif state in (ServerState.CRASHED, ServerState.INCOMPATIBLE) and desk.server.problem is not None:
            desk.report(desk.server.problem, SERVER)

    def _ask(self, desk: Desk) -> None:
        """Whether it answers, asked now and then."""
        server = desk.server
        if server.client is None:
            self.close()
            self._next, desk.health = 0.0, {}
            return
        if self._exchange is None:
            if time.monotonic() < self._next and not desk.health_stale:
                return
            desk.health_stale = False
            self._exchange = server.client.health()
        refused: ServerProblem | None
        try:
            if not self._exchange.advance(time.perf_counter() + SLICE_SECONDS):
                return
            desk.health = answer(self._exchange)
            refused = None
        except ServerProblem as refusal:  # that is an answer; to somebody whose token counts no more it is the last
            desk.health = {}
            refused = refusal if server.remote else None
        except ConnectionProblem as problem:
            self._exchange = None
            self._failures += 1
            if self._failures >= FAILURES:
                server.take_answer(problem if server.remote else _unreachable(problem))
            return
        pause = ASK_FAR_SECONDS if server.remote else ASK_SECONDS
        self._exchange, self._failures, self._next = None, 0, time.monotonic() + pause
        server.take_answer(refused)


def stop(line: Line) -> None:
    """End the server. What was not sent fails; what the server has goes on when it starts again."""
    line.tasks.stop_all()
    line.desk.lists_stale = False  # whoever fetched them would start it again
    jobs.server_leaves(line)
    line.desk.server.stop()
    line.desk.changed()
    tick.wake()


def leave(line: Line) -> None:
    """End the server because the user wants that: it starts, or is connected to, when it is needed."""
    stop(line)
    line.desk.left = True


def restart(line: Line) -> None:
    """End the server, whatever it does, and start another; unfinished jobs go on in that one."""
    stop(line)
    line.begin(_start_again(line), line.report)


def _start_again(line: Line) -> Steps[None]:
    while line.desk.server.running:
        yield
    line.start_server()


def install(line: Line, build: str = "", offline: str | None = None, repair: bool = False) -> None:
    """Begin to install what the preferences, or the arguments, ask for. Raises SetDresserError."""
    plan = setting_up.make_plan(build, offline, repair)
    setting_up.check_permission(plan)
    if repair and line.desk.server.running and not line.desk.server.remote:
        stop(line)  # the installer waits for it to be gone
    line.desk.installation.start(plan)
    line.desk.changed()
    tick.wake()


# whether it is wanted


def outdated(desk: Desk) -> bool:
    """Whether another server would be started now: other preferences, another installation, online or not."""
    server = desk.server
    alive = server.state in (ServerState.STARTING, ServerState.READY, ServerState.UNREACHABLE)
    alive |= server.remote and server.running
    return alive and None not in (desk.wanted, server.environment) and desk.wanted != server.environment


def give_way(line: Line) -> None:
    """Replace an outdated server, unless that would interrupt anything."""
    if outdated(line.desk) and not (sending(line.desk) if line.desk.server.remote else at_work(line)):
        restart(line)


def catch_up(line: Line) -> None:
    """Replace an outdated server now, for something that needs the new one. Raises SetDresserError if jobs run."""
    line.check_set_up()
    if not outdated(line.desk):
        return
    if needed(line.desk):
        hint = "Wait until they have ended, or cancel them; the backend is restarted then."
        raise SetDresserError("Jobs still run in a backend with other settings.", hint, "restart-needed")
    restart(line)


def sending(desk: Desk) -> bool:
    """Whether a job is on its way to a studio's server that is there. All else goes on without this Blender."""
    on_its_way = any(record.state in UNSENT and record.busy for record in desk.jobs.values())
    return on_its_way and desk.server.state is ServerState.READY


def needed(desk: Desk) -> bool:
    """Whether a job needs this very server. One that asks something does not: its question outlives servers."""
    return any(record.state != "needs_input" for record in _open(desk))


def _open(desk: Desk) -> list[JobRecord]:
    """Jobs to which something still happens."""
    return [record for record in desk.jobs.values() if not record.ended or record.busy]


def at_work(line: Line) -> bool:
    """Whether ending the server now would interrupt anything. Models come along only if going online is allowed."""
    models = line.desk.models
    downloading = models.busy and bpy.app.online_access
    return bool(_open(line.desk)) or downloading or len(line.tasks) > int(models.pausing)


# its memory


def can_rest(desk: Desk) -> bool:
    """Whether there is a server that could give memory back: no job needs it. A studio's serves others, too."""
    return desk.server.state is ServerState.READY and not desk.server.remote and not needed(desk)


def rest(line: Line) -> Steps[Any] | None:
    """Have the backend give its memory back, the graphics card's too, unless a job needs it; returns the task."""
    return line.begin(_rest(line), line.report) if can_rest(line.desk) else None


def _rest(line: Line) -> Steps[None]:
    client = line.desk.server.client
    if client is None:
        return
    yield from line.finish(client.rest())
    line.desk.health_stale = True


def _unreachable(problem: ConnectionProblem) -> SetDresserError:
    hint = "It may be busy beyond measure: wait a little, or press Restart. Unfinished jobs go on after a restart."
    return SetDresserError("The backend runs but does not answer.", hint, "unreachable", problem.report())
