"""Connections that strangers cannot use up.

Everybody on this machine may connect, also who has no token: a half-open connection costs nothing to make. So one that
has not shown the token lives ten seconds at most, whatever it sends, and where there are too many the oldest of these
goes to make room for the newcomer. A connection that has shown the token never goes for a stranger's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, Protocol

import h11
from starlette.types import Scope
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_SECONDS = 10.0
"""From the first byte of a request to the end of its head, and the whole life of a connection without the token."""

BODY_SECONDS = 600.0
"""From the head to the end of the body, with the token. Blender sends nothing while it renders."""

MOST_CONNECTIONS = 2048
MOST_PER_ADDRESS = 1536
"""Without the token, of one address; on Linux all of 127.0.0.0/8 are this machine's own."""

ACCEPTED_AT_ONCE = 64
"""The event loop accepts so many before it looks at the first of them."""

BACKLOG = 2048
"""Who has to wait in the system's queue; Linux lets a client whose place is taken try again only after a second."""

RESERVED_DESCRIPTORS = 128
"""For files, pipes and the database."""

WANTED_DESCRIPTORS = 4096
LONGEST_HEAD = 32 << 10
STATE = "connection"
"""Where an ASGI scope's `state` has the connection that it came by."""

logger = logging.getLogger(__name__)


class Guest(Protocol):
    """Whoever has a place in `Connections`: a `Connection`, or what is to become one."""

    transport: asyncio.Transport


class Connections:
    """Every open connection, and which has to go when there are too many.

    most: in all. most_per_address: of one address, without the token.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = min(most, most_per_address)
        self._strangers: dict[Guest, str] = {}  # the oldest first, as dictionaries keep their order
        self._per_address: dict[str, int] = {}
        self._known: set[Guest] = set()

    def add(self, connection: Guest, address: str) -> None:
        """Take in a newcomer; the oldest without the token goes if there is no room, be it the newcomer."""
        self._strangers[connection] = address
        self._per_address[address] = self._per_address.get(address, 0) + 1
        if self._per_address[address] > self._most_per_address:
            self._close(next(one for one, place in self._strangers.items() if place == address))
        elif len(self._strangers) + len(self._known) > self._most:
            self._close(next(iter(self._strangers)))

    def trust(self, connection: Guest) -> None:
        """It has shown the token."""
        if self._forget(connection):
            self._known.add(connection)

    def remove(self, connection: Guest) -> None:
        self._forget(connection)
        self._known.discard(connection)

    def _close(self, connection: Guest) -> None:
        self._forget(connection)
        logger.warning("too many connections: one without the token is closed")
        connection.transport.abort()

    def _forget(self, connection: Guest) -> bool:
        address = self._strangers.pop(connection, None)
        if address is None:
            return False
        self._per_address[address] -= 1
        if not self._per_address[address]:
            del self._per_address[address]
        return True


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, with deadlines and a place in `Connections`; malformed HTTP never becomes a traceback."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, STATE: self}, _loop)
        self._register = connections
        self._trusted = False
        self._half_closed = False
        self._deadline: asyncio.TimerHandle | None = None
        self._watched: type[h11.IDLE] | type[h11.SEND_BODY] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_late)
        self._watched = h11.IDLE
        self._register.add(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._register.remove(self)
        super().connection_lost(exc)
        self.app_state.clear()  # it leads back here

    def trust(self) -> None:
        """The request that is being answered has shown the token."""
        if not self._trusted and not self.transport.is_closing():
            self._trusted = True
            self._register.trust(self)
            self._unwatch()
            self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A client that has said all it wants to say may still listen: what it asked for is answered."""
        asked = self.conn.their_state in (h11.DONE, h11.MUST_CLOSE)
        self._half_closed = asked and self.cycle is not None and not self.cycle.response_complete
        return self._half_closed and self.scheme == "http"  # TLS closes both ways at once

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._half_closed:
            self.transport.close()

    def handle_events(self) -> None:
        try:
            super().handle_events()
        except h11.LocalProtocolError:  # it is malformed after an answer has begun, so no other can be given
            logger.warning("a connection is closed: what came after its request is not HTTP")
            self.transport.abort()

    def _should_upgrade(self) -> bool:
        return False  # nothing but HTTP is spoken here; what is asked is answered as if it had not been offered

    def _watch(self) -> None:
        """Set the deadline of what is being received now. That of a stranger was set when it came."""
        if not self._trusted or self.transport.is_closing():
            return
        state = self.conn.their_state
        if state is not self._watched:
            self._unwatch()
            if state in (h11.IDLE, h11.SEND_BODY):
                seconds = HEAD_SECONDS if state is h11.IDLE else BODY_SECONDS
                self._deadline = self.loop.call_later(seconds, self._too_late)
                self._watched = state

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._watched = None

    def _too_late(self) -> None:
        logger.warning("a connection is closed: its request did not come in time")
        self.transport.abort()


def trust(scope: Scope) -> None:
    """The request of this ASGI scope has shown the token."""
    connection = scope.get("state", {}).get(STATE)
    if isinstance(connection, Connection):
        connection.trust()


def most_connections() -> int:
    """How many connections this process may have, after asking the system for enough open files."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    else:  # noqa: RET505 - the type checker looks at one of the two
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = resource.RLIM_INFINITY
        wanted = WANTED_DESCRIPTORS if hard == unlimited else min(hard, WANTED_DESCRIPTORS)
        if soft != unlimited and soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                soft = wanted
            except (OSError, ValueError) as error:  # macOS has a limit below the one it tells
                logger.debug("the limit of open files stays at %d: %s", soft, error)
        room = WANTED_DESCRIPTORS if soft == unlimited else soft
        return max(16, min(MOST_CONNECTIONS, room - RESERVED_DESCRIPTORS - ACCEPTED_AT_ONCE))
