"""The way to the backend for whatever is to be done: what is known, the tasks that take turns, and the server, which is
started for whoever asks first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..backend_process import setting_up
from ..backend_process.greeting import Studio
from ..backend_process.server_process import ServerProcess, ServerState
from ..backend_process.studio_server import StudioServer, passes
from ..ground import tick
from ..ground.messages import SetDresserError, as_error
from ..ground.slices import Slices
from ..state.desk import Desk
from ..state.job import JobRecord
from ..wire.client import Client, answer
from ..wire.http_exchange import Exchange
from ..wire.http_framing import ConnectionProblem
from ..wire.tasks import Steps, Tasks

AGAIN_SECONDS = 0.5
"""After a cut line, until it is asked again."""

OF_THE_FILE = ("too-large", "file-changed", "result-damaged")
"""Codes of problems with what is sent or fetched, not with the line."""

OF_WHO_ASKS = ("token-wrong", "users-unusable", "host-refused")
"""Codes of refusals that are the same whatever is asked."""


class Line:
    """Every verb takes it.

    desk: what is known. place: imports a fetched job as one undo step; handed in by whoever has the operator for that.
    streams: how many jobs are followed by their events.
    slices, imports, captures: how long Blender was held by the tick, by imports, and by pictures; held: by the latter
    two in this tick.
    """

    def __init__(self, desk: Desk, place: Callable[[JobRecord], None]) -> None:
        self.desk = desk
        self.place = place
        self.tasks = Tasks()
        self.streams = 0
        self.slices, self.imports, self.captures = Slices(), Slices(), Slices()
        self.held = 0.0

    # tasks

    def begin(self, steps: Steps[Any], failed: Callable[[Exception], None]) -> Steps[None]:
        """Start a task, and have the tick called; `failed` gets the exception that ends it, if one does."""
        self.tasks.start(steps, failed)
        self.desk.changed()
        tick.wake()
        return steps

    def report(self, error: Exception) -> None:
        """Show an error, whatever it is about."""
        self.desk.report(error)

    @contextmanager
    def holding(self, counted: Slices) -> Iterator[None]:
        """What is done in here takes as long as it takes, and is counted by itself."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self.held += seconds
            counted.seconds.append(seconds)

    # the server

    def ask(self, request: Callable[[Client], Exchange]) -> Steps[Any]:
        """Ask the server, starting it first if need be; returns its answer. Raises ServerProblem if it refuses."""
        client = yield from self.ready_client()
        return (yield from self.finish(request(client)))

    def finish(self, exchange: Exchange) -> Steps[Any]:
        """See an exchange through; returns the answer. Raises ServerProblem if it is a refusal."""
        yield from self.tasks.finish(exchange)
        return answer(exchange)

    def ready_client(self) -> Steps[Client]:
        """Wait until the server answers, starting it first if need be; returns the client.

        Raises SetDresserError if it does not start. A server that has crashed is started anew for whoever asks
        next, but not more than three times a minute. A studio's server that is away is not waited for.
        """
        server = self.desk.server
        if server.state is ServerState.INCOMPATIBLE and server.problem is not None:
            raise server.problem
        while server.state is ServerState.STOPPING:
            yield
        if not server.running:
            self.start_server()
        while (client := self._client()) is None:
            yield
        return client

    def _client(self) -> Client | None:
        server = self.desk.server
        refused = server.remote and server.state is ServerState.UNREACHABLE
        if server.state in (ServerState.READY, ServerState.STARTING, ServerState.UNREACHABLE) and not refused:
            return server.client
        if server.problem is not None:
            raise server.problem.with_traceback(None)
        raise SetDresserError("The backend was stopped.", "Start it again.", "stopped")

    # a server that others reach too, over a line that may be cut

    def patient_client(self) -> Steps[Client]:
        """As `ready_client`; a studio's server that is away, or does not let us in at the moment, is waited for."""
        while self.desk.server.remote and self.desk.server.state not in (ServerState.READY, ServerState.STOPPED):
            yield
        return (yield from self.ready_client())

    def endures(self, problem: Exception) -> bool:
        """Whether what has failed so is asked again once the studio's server is there again, and lets us in; how it is
        is asked at once. The server of this computer is started anew instead, by whoever needs it."""
        server = self.desk.server
        of_the_way = isinstance(problem, ConnectionProblem) and problem.code not in OF_THE_FILE
        if not server.remote or not (of_the_way or passes(problem) or getattr(problem, "code", "") in OF_WHO_ASKS):
            return False
        if passes(problem):
            self.desk.health_stale = True
        else:
            server.take_answer(as_error(problem))
        return True

    def patiently(self, request: Callable[[Client], Exchange]) -> Steps[Any]:
        """As `ask`, of what may be asked twice: where the line to a studio's server is cut, it is asked again."""
        while True:
            client = yield from self.patient_client()
            try:
                return (yield from self.finish(request(client)))
            except SetDresserError as problem:
                if not self.endures(problem):
                    raise
            yield from self.tasks.pause(AGAIN_SECONDS)

    def start_server(self) -> None:
        """Start the server if it does not run, or begin to connect. Raises SetDresserError."""
        self.check_set_up()
        desk = self.desk
        wanted = setting_up.wanted(desk.installation)
        desk.left = False
        if desk.server.running:
            return
        if isinstance(wanted, Studio):
            if not isinstance(desk.server, StudioServer):
                desk.server = StudioServer()
            desk.server.start(wanted)
        else:
            if not isinstance(desk.server, ServerProcess):
                desk.server = ServerProcess()
            desk.server.start(wanted)
            desk.installation.hold()
        desk.changed()
        tick.wake()

    def check_set_up(self) -> None:
        """Look whether the server could be started, for the panel, which must not touch the disk."""
        desk = self.desk
        desk.set_up_stale = False
        before, desk.studio = desk.studio, setting_up.uses_a_studio()
        if desk.studio:
            desk.addressed, desk.trusted = setting_up.studio_known()
        else:
            setting_up.look(desk.installation)
            if before and tick.timers_fire() and not setting_up.uses_another_python():
                setting_up.begin(desk.installation)  # while a studio's server did the work there was no reason to
        try:
            desk.wanted = setting_up.wanted(desk.installation)
            desk.set_up_problem = None
        except SetDresserError as error:
            desk.set_up_problem, desk.wanted = error, None
        desk.changed()

    def refresh(self) -> None:
        """Have the backend's lists fetched again soon."""
        self.desk.lists_stale = True
        tick.wake()


def told(value: Any, take: Callable[[Any], None]) -> None:
    """Take in what the server has told. Raises SetDresserError if it cannot be understood."""
    try:
        take(value)
    except (KeyError, TypeError, ValueError) as error:
        hint = "Install the same version of add-on and backend, then restart Blender."
        raise SetDresserError("The backend's list cannot be understood.", hint, "invalid", repr(error)) from error
