"""What the backend is at the moment, in one word: how the panel shows it, and which buttons that offers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..backend_process import setting_up
from ..backend_process.installation import InstallationState
from ..backend_process.server_process import ServerState
from .desk import Desk


@dataclass(frozen=True)
class Action:
    """A button: its operator, its icon, and its words; without words it is an icon only."""

    operator: str
    icon: str
    text: str = ""


START = Action("set_dresser.start_server", "PLAY")
STOP = Action("set_dresser.stop_server", "QUIT")
CONNECT = Action("set_dresser.start_server", "LINKED")
TRY_AGAIN = Action("set_dresser.restart_server", "FILE_REFRESH", "Try Again")
RESTART = Action("set_dresser.restart_server", "FILE_REFRESH", "Restart")
LOG = Action("set_dresser.open_log", "TEXT")
OPEN_LOG = Action("set_dresser.open_log", "TEXT", "Open Log")
REPORT = Action("set_dresser.support_bundle", "PACKAGE", "Save Report")


@dataclass(frozen=True)
class Look:
    """How a condition is shown.

    text: a word or two, for one line of the narrowest sidebar.
    small: icons at the end of the line; large: buttons below, where something must be done.
    """

    text: str
    icon: str
    small: tuple[Action, ...] = ()
    large: tuple[Action, ...] = ()


class Condition(Enum):
    """Every state there is. What installs is in `backend_process/installation.py`, what runs in `server_process.py`."""

    NOT_INSTALLED = Look("Not set up", "ERROR")
    INSTALLING = Look("Installing", "IMPORT")
    STOPPED = Look("Stopped", "RADIOBUT_OFF", (START, LOG))
    STARTING = Look("Starting", "SORTTIME", (STOP, LOG))
    READY = Look("Ready", "RADIOBUT_ON", (STOP, LOG))
    BUSY = Look("At work", "RENDER_ANIMATION", (STOP, LOG))
    STOPPING = Look("Stopping", "SORTTIME", (LOG,))
    UNREACHABLE = Look("No answer", "ERROR", (STOP,), (RESTART, OPEN_LOG))
    LEFT = Look("Not connected", "RADIOBUT_OFF", (CONNECT,))
    CONNECTING = Look("Connecting", "SORTTIME")
    CONNECTED = Look("Ready", "RADIOBUT_ON")
    AWAY = Look("No answer", "ERROR", (), (TRY_AGAIN,))
    REFUSED = Look("Not connected", "ERROR", (), (TRY_AGAIN,))
    INCOMPATIBLE = Look("Wrong version", "ERROR", (), (OPEN_LOG, REPORT))
    CRASHED = Look("Crashed", "ERROR", (), (RESTART, OPEN_LOG, REPORT))


_OF_SERVER = {
    ServerState.STOPPED: Condition.STOPPED,
    ServerState.STARTING: Condition.STARTING,
    ServerState.READY: Condition.READY,
    ServerState.STOPPING: Condition.STOPPING,
    ServerState.UNREACHABLE: Condition.UNREACHABLE,
    ServerState.INCOMPATIBLE: Condition.INCOMPATIBLE,
    ServerState.CRASHED: Condition.CRASHED,
}


_OF_STUDIO = {
    ServerState.STOPPED: Condition.LEFT,
    ServerState.STARTING: Condition.CONNECTING,
    ServerState.READY: Condition.CONNECTED,
}


def _of_studio(desk: Desk) -> Condition:
    """Of a server that others reach too."""
    server = desk.server
    if desk.set_up_problem is not None:
        return Condition.NOT_INSTALLED
    if server.state is ServerState.INCOMPATIBLE:
        return Condition.INCOMPATIBLE
    if server.state is ServerState.UNREACHABLE:
        return Condition.AWAY if server.away else Condition.REFUSED
    return _OF_STUDIO[server.state if server.remote else ServerState.STOPPED]


def condition(desk: Desk) -> Condition:
    """What the backend is now. Asks nobody."""
    server, installation = desk.server, desk.installation
    if server.remote or (desk.studio and not server.running):
        return _of_studio(desk)
    if not server.running and desk.set_up_problem is not None:
        private = installation.plan is not None and not setting_up.uses_another_python()
        installing = private and installation.state is InstallationState.INSTALLING
        return Condition.INSTALLING if installing else Condition.NOT_INSTALLED
    now = _OF_SERVER[server.state]
    if now is Condition.READY and any(job.state in ("queued", "running") for job in desk.jobs.values()):
        return Condition.BUSY
    return now


def holds_memory(desk: Desk) -> bool:
    """Whether the worker process was there when the server was last asked."""
    return bool(desk.health.get("worker", "asleep") != "asleep")


def is_away(desk: Desk) -> bool:
    """Whether a studio's server that is to be used cannot be at the moment."""
    return desk.server.remote and desk.server.state is ServerState.UNREACHABLE


def why_jobs_wait(desk: Desk) -> str:
    """What keeps the server from running the jobs that are queued, as sentences; "" if nothing does."""
    if is_away(desk):
        return "The server is away. Jobs that it has go on there, and are told of when it is back."
    for kind in ("waiting", "problem"):
        told = desk.health.get(kind)
        if isinstance(told, dict) and isinstance(told.get("detail"), str):
            return f"{told['detail']} {told.get('hint', '')}".strip()
    return ""
