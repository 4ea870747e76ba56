"""The first word with a server of a studio: whether it is one, whether it knows the token, and who that is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..ground.messages import SetDresserError
from ..wire.address import Address
from ..wire.client import PROTOCOL_VERSION, Client, ServerProblem
from ..wire.endpoints import CONNECT_SECONDS, StudioEndpoint, not_set_dresser
from ..wire.http_exchange import Exchange, Timeouts
from ..wire.http_framing import ConnectionProblem

TIMEOUTS = Timeouts(connect=CONNECT_SECONDS, silence=30.0)
BEHIND_A_PROXY = (502, 503, 504)


@dataclass(frozen=True)
class Studio:
    """A server that others reach too, and who asks it.

    authority: the file with the certificate of a private authority; None for those that the system believes.
    """

    address: Address
    token: str = field(repr=False)
    authority: Path | None = None


@dataclass(frozen=True)
class Welcome:
    """What a server says of itself and of whoever asks. health: the whole answer of GET /health."""

    version: str
    user: str
    administrator: bool
    health: Mapping[str, Any]


class Greeting:
    """One attempt. `advance` moves it on; after it has returned True `welcome` is there."""

    def __init__(self, studio: Studio) -> None:
        self.endpoint = StudioEndpoint(studio.address, studio.authority)
        self.client = Client(self.endpoint, studio.token, TIMEOUTS)
        self.welcome: Welcome | None = None
        self._exchange: Exchange | None = None

    def advance(self, deadline: float) -> bool:
        """Whether the server has answered as one that can be used. Raises SetDresserError for anything else."""
        if self.welcome is not None:
            return True
        if self._exchange is None:
            if not self.endpoint.prepare(deadline):
                return False
            self._exchange = self.client.health()
        if not self._exchange.advance(deadline):
            return False
        self.welcome = _read(self._exchange, self.endpoint.address)
        return True

    def close(self) -> None:
        """Give up, or let go of what is over."""
        if self._exchange is not None:
            self._exchange.close()
        self.endpoint.close()


def _read(exchange: Exchange, address: Address) -> Welcome:
    where, document = address.authority, _document(exchange.body)
    if exchange.status >= 400 and "code" in document:
        raise ServerProblem.from_document(document, exchange.status)
    if exchange.status in BEHIND_A_PROXY:
        message = f"At {where} a proxy answers, and the server behind it does not (status {exchange.status})."
        raise ConnectionProblem(message, "Ask whoever runs the server whether it does.", "proxy-alone")
    if exchange.status == 400 and not address.tls and b"HTTPS" in exchange.body:
        message = f"{where} wants TLS."
        raise ConnectionProblem(message, "Write https:// before the address.", "tls-wanted")
    if exchange.status != 200 or not isinstance(document.get("protocol"), int):
        raise not_set_dresser(where, f"status {exchange.status}")
    version, protocol = str(document.get("version", "")), document["protocol"]
    if protocol != PROTOCOL_VERSION:
        older = "server" if protocol < PROTOCOL_VERSION else "add-on"
        hint = "Ask whoever runs it to update it." if older == "server" else f"Install the add-on of version {version}."
        message = f"This {older} is too old: the server speaks protocol {protocol}, the add-on {PROTOCOL_VERSION}."
        raise SetDresserError(message, hint, "protocol-mismatch")
    # Where there are no users, whoever has the one token may do all.
    return Welcome(version, str(document.get("user", "")), bool(document.get("administrator", True)), document)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
