"""What a connection from elsewhere passes before it may ask for anything: whether it may come at all, then TLS.

A handshake that is begun and not ended costs a stranger nothing either, so it has ten seconds and a place among the
connections that have not shown a token (`backend/server/connections.py`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from backend.server.connections import HEAD_SECONDS, Connection, Connections
from backend.server.hosts import normal
from backend.server.tls import Certificate

CLOSING_SECONDS = 2.0
"""Wait so long for the other side's word that it has heard of the end. Less than a server has to leave."""

logger = logging.getLogger(__name__)


class Doorway(asyncio.Protocol):
    """A connection that has come and is not let in yet; what it becomes is a `Connection`.

    certificate: of this server; None where there is no TLS. only: the one address that may connect; None for any.
    """

    def __init__(
        self,
        connections: Connections,
        certificate: Certificate | None,
        only: str | None,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._register = connections
        self._certificate = certificate
        self._only = only
        self._server_state = server_state
        self._become = Connection(connections, config, server_state, app_state, _loop)
        self._loop = _loop or asyncio.get_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._early = b""
        self._over = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        address = (get_remote_addr(transport) or ("", 0))[0]
        if self._only is not None and normal(address) != self._only:
            logger.warning("a connection from %s is closed: it did not come through the proxy", address)
            transport.abort()
        elif self._certificate is None:
            self._let_in(transport)
        else:
            transport.pause_reading()  # nothing is read before TLS is there to read it
            self._register.add(self, address)
            self._server_state.connections.add(self)  # type: ignore[arg-type]
            self._task = self._loop.create_task(self._shake_hands(self._certificate))

    async def _shake_hands(self, certificate: Certificate) -> None:
        try:
            encrypted = await self._loop.start_tls(
                self.transport,
                self,
                certificate.context,
                server_side=True,
                ssl_handshake_timeout=HEAD_SECONDS,
                ssl_shutdown_timeout=CLOSING_SECONDS,
            )
        except OSError as error:  # those of ssl are, too
            reason = getattr(error, "reason", None) or error
            logger.warning("a connection is closed: no TLS was agreed upon (%s)", reason)
            return
        finally:
            self._register.remove(self)
            self._server_state.connections.discard(self)
        if encrypted is not None and not self._over:
            self._let_in(encrypted)

    def _let_in(self, transport: asyncio.Transport) -> None:
        transport.set_protocol(self._become)
        self._become.connection_made(transport)
        if self._early:
            self._become.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        """What came with the last words of the handshake."""
        self._early += data

    def connection_lost(self, error: Exception | None) -> None:
        self._over = True

    def shutdown(self) -> None:
        """The server ends."""
        self.transport.abort()
