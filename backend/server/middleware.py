"""Who may talk to the server, and how much. Plain ASGI: nothing is read before the answer is yes."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import Problem
from backend.server.connections import trust
from backend.server.hosts import Hosts
from backend.server.problems import ProblemResponse
from backend.server.static_pages import StaticPages
from backend.server.users import LOCAL, User

DRAIN_FACTOR = 4
DRAIN_SECONDS = 10.0
OTHER_HOST_HINT = (
    "Ask for it under a name in its certificate, or have whoever runs it start it with --host-name and that name."
)


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


Who = Callable[[str], User | None]
"""Whose token that is; None if nobody's. Raises Problem if that cannot be told."""


def the_one(token: str) -> Who:
    """A server with one token, for whoever started it."""
    wanted = token.encode()
    return lambda given: LOCAL if hmac.compare_digest(given.encode("latin-1"), wanted) else None


class Guard:
    """Refuses requests for another host (a web page that made its name point to this machine) or without a token.

    hosts: what the server is called. who: tells users by their tokens. users: whether there are several.
    elsewhere: whether the server was told where to listen; then pages of other origins are refused, too, by what the
    browser says of them. pages: what is shown to whoever comes; None for nothing.

    Who asks is in the `state` of what is let through, as `user`.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Hosts, who: Who, users: bool, elsewhere: bool, pages: StaticPages | None = None
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._who = who
        self._users = users
        self._elsewhere = elsewhere
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_names(scope)
            if self._pages is not None and (page := self._pages.asked(scope)) is not None:
                await page(scope, receive, send)
                return
            user = self._user(scope)
        except Problem as problem:
            headers = {"WWW-Authenticate": "Bearer"} if problem.code == "token-wrong" else {}
            await ProblemResponse(problem, headers)(scope, receive, send)
            return
        trust(scope)
        scope.setdefault("state", {})["user"] = user
        await self._app(scope, receive, send)

    def _check_names(self, scope: Scope) -> None:
        """Raises Problem("host-refused", "origin-refused")."""
        hosts = _headers(scope, b"host")
        if len(hosts) != 1 or not self._hosts.include(hosts[0]):
            name = hosts[0].decode("latin-1")[:80] if hosts else ""
            hint = OTHER_HOST_HINT if self._elsewhere else None
            raise Problem("host-refused", f"This server does not answer for '{name}'.", hint)
        if self._elsewhere:
            for origin in _headers(scope, b"origin"):
                if not self._hosts.include_origin(origin):
                    detail = f"Pages of '{origin.decode('latin-1')[:80]}' have no business here."
                    raise Problem("origin-refused", detail)

    def _user(self, scope: Scope) -> User:
        """Raises Problem("token-wrong", "users-unusable")."""
        given = _headers(scope, b"authorization")
        scheme, _, token = (given[0] if len(given) == 1 else b"").partition(b" ")
        user = self._who(token.strip().decode("latin-1"))
        if user is None or scheme.lower() != b"bearer":
            belongs = "is nobody's here" if self._users else "is not the one this server was started with"
            hint = "Ask whoever runs the server for a token." if self._users else None
            raise Problem("token-wrong", f"The access token {belongs if given else 'is missing'}.", hint)
        return user


class _TooLarge(Exception):
    """The body has passed its limit."""


class BodyLimit:
    """Counts the bytes that really come and answers `request-too-large` when they are too many.

    limit: for uploads, the paths in `uploads` and those below one that ends in "/"; other bodies: `small`.
    """

    def __init__(self, app: ASGIApp, *, limit: int, small: int, uploads: tuple[str, ...]) -> None:
        self._app = app
        self._limit = limit
        self._small = small
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        upload = any(path == one or (one.endswith("/") and path.startswith(one)) for one in self._uploads)
        limit = self._limit if upload else self._small
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
