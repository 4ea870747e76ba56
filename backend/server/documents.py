"""JSON that comes in: bounded by what it can mean, and read where it holds nobody up.

A parser holds Python's lock while it works, and so the event loop, whatever thread it runs in. What is large is
therefore refused by a glance at the bytes, one document is read at a time, and what passes takes a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio
import pydantic_core
from anyio.to_thread import run_sync
from fastapi import Request, Response
from fastapi.routing import APIRoute

from backend.errors import Problem

LONGEST = 2_000_000
"""Bytes of one document: a thousand objects with names and boxes are a fifth of that."""

MOST_VALUES = 100_000
"""Values of one document; a thousand objects with boxes have thirty thousand."""

MOST_MEMBERS = 1_000
"""Members of one object."""

Result = TypeVar("Result")
_reading = anyio.CapacityLimiter(1)


async def off_the_loop(work: Callable[..., Result], *arguments: Any) -> Result:
    """Do what reads a document in a thread, after whatever reads another one."""
    return await run_sync(work, *arguments, limiter=_reading)


def check_size(text: bytes) -> None:
    """A glance: raises Problem("request-too-large") for a document with more than anything can mean."""
    if len(text) > LONGEST:
        detail = f"The JSON of the request has {len(text)} bytes; {LONGEST} are the limit."
        raise Problem("request-too-large", detail, "Send fewer objects and shorter texts.")
    if sum(map(text.count, (b",", b"[", b"{"))) > MOST_VALUES:
        detail = f"The JSON of the request has more than {MOST_VALUES} values."
        raise Problem("request-too-large", detail, "Send fewer objects and parameters.")


def read(text: bytes) -> Any:
    """The value of a document. Raises Problem("request-too-large", "request-invalid")."""
    check_size(text)
    try:
        value = pydantic_core.from_json(text)
    except (ValueError, RecursionError) as error:
        raise Problem("request-invalid", f"The request is not JSON: {error}.") from error
    _check_members(value)
    return value


def _check_members(value: Any) -> None:
    """Raises Problem("request-too-large") if an object has too many members: each would be complained about."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if len(item) > MOST_MEMBERS:
                detail = f"An object in the request has {len(item)} members; {MOST_MEMBERS} are the limit."
                raise Problem("request-too-large", detail, "Send only what docs/api.md names.")
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


class DocumentRequest(Request):
    """A request whose JSON has been read already."""

    async def read_document(self) -> None:
        """Read it. Raises Problem as `read`."""
        body = await self.body()
        self._document = await off_the_loop(read, body) if body else None

    async def json(self) -> Any:
        return self._document


class DocumentRoute(APIRoute):
    """A route with a JSON body, read by `read`; the models see only what has passed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_document(request: Request) -> Response:
            document = DocumentRequest(request.scope, request.receive)
            await document.read_document()
            return await handle(document)

        return handle_document
