"""A studio's server in place of a process of our own: met, asked again when it was away, left. Nothing here waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..ground.messages import SetDresserError
from ..wire.client import Client, ServerProblem
from ..wire.http_framing import ConnectionProblem
from .greeting import Greeting, Studio
from .server_process import ServerState

SLICE_SECONDS = 0.002
SOON, LATER = (1.0, 2.0, 4.0, 8.0, 15.0), 60.0
"""Seconds until it is asked again: after the first attempt that came to nothing, the second, …; and where only somebody
can help, who changes the token, a certificate or a version."""

PASSING = ("refused", "timeout", "no-way", "name-unknown", "lost", "proxy-alone")
"""Codes of problems that go by themselves."""

SENTENCES = {
    ServerState.STOPPED: "The studio's server is not connected; it is when it is needed.",
    ServerState.STARTING: "The studio's server is being asked.",
    ServerState.READY: "The studio's server is ready.",
    ServerState.UNREACHABLE: "The studio's server does not answer.",
    ServerState.INCOMPATIBLE: "Add-on and server do not belong together.",
}

BUSY = 429
OVERLOADED = (BUSY, 502, 503, 504)


def passes(problem: Exception | None) -> bool:
    """Whether that is a problem that goes by itself, so that what was asked for may be asked again."""
    if isinstance(problem, ServerProblem):
        return problem.status in OVERLOADED and problem.code != "queue-full"
    return isinstance(problem, ConnectionProblem) and problem.code in PASSING


class StudioServer:
    """The same as `ServerProcess` to whoever asks: it has a state and a problem, and a client while it is READY.

    It is UNREACHABLE while it is away, cannot be believed or refuses, and is asked again by itself; STARTING before it
    has answered the first time.

    user: whose the token is. administrator: whether that is one. met: whether it has answered in this session.
    """

    remote = True
    pid: int | None = None
    log: Path | None = None

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state = ServerState.STOPPED
        self.problem: SetDresserError | None = None
        self.client: Client | None = None
        self.environment: Studio | None = None
        self.version = self.user = ""
        self.administrator = self.met = False
        self._clock = clock
        self._greeting: Greeting | None = None
        self._attempts = 0
        self._next = 0.0

    @property
    def running(self) -> bool:
        """Whether it is, or is to be, connected."""
        return self.state is not ServerState.STOPPED

    @property
    def asking(self) -> bool:
        """Whether it is being asked right now, so that the tick must not rest."""
        return self._greeting is not None

    @property
    def token(self) -> str:
        """For whoever must leave it out of a text."""
        return self.environment.token if self.environment is not None else ""

    @property
    def away(self) -> bool:
        """Whether it does not answer for a reason that goes by itself."""
        return self.state is ServerState.UNREACHABLE and passes(self.problem)

    def may_restart(self) -> bool:
        return True

    def start(self, studio: Studio) -> None:
        """Begin to connect, unless that was done."""
        if self.running and studio == self.environment:
            return
        self.stop()
        self.environment = studio
        self.state = ServerState.STARTING
        self._attempts, self._next = 0, self._clock()

    def poll(self) -> ServerState:
        """Take the attempt that is due a little further."""
        if self.state in (ServerState.STOPPED, ServerState.READY) or self.environment is None:
            return self.state
        if self._greeting is None:
            if self._clock() < self._next:
                return self.state
            self._greeting = Greeting(self.environment)
            return self.state  # so that everybody sees that it is being asked
        try:
            if self._greeting.advance(time.perf_counter() + SLICE_SECONDS):
                self._met(self._greeting)
        except SetDresserError as problem:
            self._fail(problem)
        return self.state

    def take_answer(self, problem: SetDresserError | None) -> None:
        """What asking it how it is has come to: None if it has answered, otherwise why it has not."""
        if problem is not None and self.state is ServerState.READY and getattr(problem, "status", 0) != BUSY:
            self._fail(problem)

    def try_again(self) -> None:
        """Ask it now, not in a while."""
        self._attempts, self._next = 0, self._clock()

    def stop(self) -> None:
        """Leave it. What it does it goes on with."""
        self._let_go()
        self.problem, self.state, self.met = None, ServerState.STOPPED, False

    def end_now(self, seconds: float = 2.0) -> None:
        """As `stop`, which takes no time."""
        self.stop()

    def last_log_lines(self, count: int = 5) -> list[str]:
        """Its log is not here."""
        return []

    def _met(self, greeting: Greeting) -> None:
        assert greeting.welcome is not None
        self.version, self.user = greeting.welcome.version, greeting.welcome.user
        self.administrator = greeting.welcome.administrator
        self.client = greeting.client
        self._greeting, self.problem, self._attempts, self.met = None, None, 0, True
        self.state = ServerState.READY

    def _fail(self, problem: SetDresserError) -> None:
        self._let_go()
        self.problem = problem
        other = problem.code == "protocol-mismatch"
        self.state = ServerState.INCOMPATIBLE if other else ServerState.UNREACHABLE
        pause = SOON[min(self._attempts, len(SOON) - 1)] if self.away else LATER
        self._attempts, self._next = self._attempts + 1, self._clock() + pause

    def _let_go(self) -> None:
        if self._greeting is not None:
            self._greeting.close()
            self._greeting = None
        if self.client is not None:
            self.client.endpoint.close()
            self.client = None
