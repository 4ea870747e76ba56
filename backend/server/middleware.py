"""Who may talk to the server, and how much. Plain ASGI: nothing is read before the answer is yes."""

from __future__ import annotations

import hmac
import time
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import Problem
from backend.server.connections import trust
from backend.server.problems import ProblemResponse

DRAIN_FACTOR = 4
DRAIN_SECONDS = 10.0


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


class Guard:
    """Refuses requests for another host (a web page that made its name point to this machine) or without the token."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app = app
        self._hosts = {f"{host}:{port}".encode() for host in ("127.0.0.1", "localhost", "[::1]")}
        self._credentials = b"bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem, headers = self._refusal(scope)
        if problem is None:
            trust(scope)
            await self._app(scope, receive, send)
        else:
            await ProblemResponse(problem, headers)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[Problem | None, dict[str, str]]:
        hosts = _headers(scope, b"host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            name = hosts[0].decode("latin-1")[:80] if hosts else ""
            return Problem("host-refused", f"This server does not answer for '{name}'."), {}
        given = _headers(scope, b"authorization")
        scheme, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        if not hmac.compare_digest(scheme.lower() + b" " + token.strip(), self._credentials):
            what = "is not the one this server was started with" if given else "is missing"
            return Problem("token-wrong", f"The access token {what}."), {"WWW-Authenticate": "Bearer"}
        return None, {}


class _TooLarge(Exception):
    """The body has passed its limit."""


class BodyLimit:
    """Counts the bytes that really come and answers `request-too-large` when they are too many.

    limit: for uploads, the paths in `uploads`; other bodies may have `small` bytes.
    """

    def __init__(self, app: ASGIApp, *, limit: int, small: int, uploads: frozenset[str]) -> None:
        self._app = app
        self._limit = limit
        self._small = small
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit if scope["path"] in self._uploads else self._small
        received = 0
        too_large = started = False

        async def counted() -> Message:
            nonlocal received, too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                too_large = True
                raise _TooLarge
            return message

        async def watched(message: Message) -> None:
            """What the application says after its input was cut off is not the answer."""
            nonlocal started
            started = started or not too_large
            if started:
                await send(message)

        announced = _headers(scope, b"content-length")
        if announced and announced[0].isdigit() and int(announced[0]) > limit:
            too_large = True
        else:
            with suppress(_TooLarge):  # answered below
                await self._app(scope, counted, watched)
        if too_large and not started:
            if not _headers(scope, b"expect"):
                await self._drain(receive, limit)
            detail = f"The request has more than {limit // 1_000_000} MB."
            await ProblemResponse(Problem("request-too-large", detail))(scope, receive, send)

    async def _drain(self, receive: Receive, limit: int) -> None:
        """Swallow the rest, within reason: a client that is cut off while it sends may never see the answer."""
        received, give_up = 0, time.monotonic() + DRAIN_SECONDS
        while received < DRAIN_FACTOR * limit and time.monotonic() < give_up:
            message = await receive()
            received += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return
