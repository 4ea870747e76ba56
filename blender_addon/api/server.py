"""The server as Python calls; see `api`."""

from __future__ import annotations

from typing import Any

import bpy

from .. import session
from ..backend_process.greeting import Studio
from ..backend_process.server_process import ServerState
from ..backend_process.studio_server import SENTENCES as STUDIO
from ..ground.messages import SetDresserError
from ..state import desk
from ..work import server_life
from .waiting import SHORT_TIMEOUT, refresh_lists, wait_until

__all__ = ["free_memory", "restart_server", "server_status", "shutdown", "start_server"]


def start_server(*, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> dict[str, Any]:
    """Start the server, if it does not run; returns `server_status()`."""
    session.current.line.start_server()
    if bpy.app.background if wait is None else wait:
        refresh_lists(timeout)
    return server_status()


def restart_server(*, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> dict[str, Any]:
    """End the server, whatever it does, and start it again; returns `server_status()`. Unfinished jobs go on."""
    former = desk.current.server.pid
    desk.current.problem = None
    server_life.restart(session.current.line)

    def again() -> bool:
        server = desk.current.server
        return server.running if server.remote else server.pid not in (None, former)

    if bpy.app.background if wait is None else wait:
        wait_until(again, timeout, "The backend has not started again")
        refresh_lists(timeout)
    return server_status()


def free_memory(*, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> None:
    """Have the server give its memory back now, the graphics card's too; the next job takes it again.

    Raises SetDresserError: if the server does not run, or a job needs it. One that waits for an answer does not.
    """
    line = session.current.line
    if not server_life.can_rest(line.desk):
        running = line.desk.server.state is ServerState.READY
        message = "A job needs the backend." if running else "The backend does not run."
        raise SetDresserError(
            message, "Wait for it, or cancel it." if running else "It holds no memory.", "server-busy"
        )
    resting = server_life.rest(line)
    assert resting is not None
    if bpy.app.background if wait is None else wait:
        wait_until(lambda: not line.tasks.runs(resting), timeout, "The backend has not answered")


def server_status() -> dict[str, Any]:
    """{"state", "message", "hint", "version", "pid", "log", "address", "user"} of the server, as far as is known; asks
    nobody. Of a studio's server pid is None and log ""; of this computer's address and user are ""."""
    server = desk.current.server
    state, problem = server.poll(), server.problem
    return {
        "state": state.name.lower(),
        "message": problem.message if problem else STUDIO[state] if server.remote else state.value,
        "hint": problem.hint if problem else "",
        "version": server.version,
        "pid": server.pid,
        "log": str(server.log) if server.log else "",
        "address": studio.address.authority if isinstance(studio := server.environment, Studio) else "",
        "user": server.user,
    }


def shutdown() -> None:
    """End the server, within two seconds. What it has not finished goes on when it is started again."""
    server_life.leave(session.current.line)
    desk.current.server.end_now()
