"""Every error of the server as an RFC 9457 problem document, the framework's own included."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match, Route

from backend.errors import ERRORS, Problem, said

MEDIA_TYPE = "application/problem+json"
ANY_TIME = ("request-invalid", "token-wrong", "host-refused", "internal", "disk-full")
ANY_TIME_OF_USERS = ("not-allowed", "origin-refused", "too-many-requests", "users-unusable")
MOST_FIELDS = 5
logger = logging.getLogger(__name__)


class ProblemResponse(JSONResponse):
    """A problem as an HTTP response."""

    media_type = MEDIA_TYPE

    def __init__(self, problem: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.document(), problem.kind.status, headers)

    def render(self, content: Any) -> bytes:
        """Whatever a sentence quotes can be sent: half a surrogate pair, which is no character, as a question mark."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def documented(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that raises these problems, besides those that can come at any time."""
    titles: dict[int | str, list[str]] = {}
    for code in (*codes, *ANY_TIME):
        titles.setdefault(ERRORS[code].status, []).append(f"`{code}`: {ERRORS[code].title}.")
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"description": " ".join(lines), "content": content} for status, lines in sorted(titles.items())}


def invalid(error: ValidationError | RequestValidationError) -> Problem:
    """Names what is wrong in a request; `camera-invalid` if only the camera is."""
    quiet: dict[str, bool] = {"include_url": False, "include_context": False, "include_input": False}
    errors: Iterable[Any] = error.errors(**quiet) if isinstance(error, ValidationError) else error.errors()
    wrong = [(tuple(map(str, item["loc"])), said(str(item["msg"]))) for item in errors]
    fields = [f"{'.'.join(place) or 'request'}: {message}" for place, message in wrong[:MOST_FIELDS]]
    if len(wrong) > MOST_FIELDS:
        fields.append(f"and {len(wrong) - MOST_FIELDS} more")
    detail = f"The request cannot be used: {'; '.join(fields)}."[:2000]
    code = "camera-invalid" if all(place[:1] == ("camera",) for place, _ in wrong) else "request-invalid"
    return Problem(code, detail, fields=fields)


def install(app: FastAPI) -> None:
    """Have every exception leave `app` as a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, problem: Problem) -> ProblemResponse:
        return ProblemResponse(problem)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> ProblemResponse:
        return ProblemResponse(invalid(error))

    @app.exception_handler(HTTPException)
    async def on_framework_error(request: Request, error: HTTPException) -> ProblemResponse:
        if error.status_code == 404:
            return ProblemResponse(Problem("not-found", f"There is nothing at '{request.url.path[:100]}'."))
        if error.status_code == 405:
            methods = allowed_methods(app, request)
            detail = f"'{request.url.path[:100]}' takes {methods}, not {request.method[:20]}."
            return ProblemResponse(Problem("method-not-allowed", detail), {"Allow": methods})
        return ProblemResponse(Problem("request-invalid", f"The request cannot be read: {error.detail}."))

    @app.exception_handler(ClientDisconnect)
    async def on_disconnect(request: Request, error: ClientDisconnect) -> ProblemResponse:
        return ProblemResponse(Problem("request-invalid", "The connection was closed before the request was complete."))

    @app.exception_handler(Exception)
    async def on_surprise(request: Request, error: Exception) -> ProblemResponse:
        identity = secrets.token_hex(4)
        logger.error("error %s at %s", identity, request.url.path, exc_info=error)
        detail = f"The server failed with an unexpected {type(error).__name__}; its log tells more under {identity}."
        return ProblemResponse(Problem("internal", detail, log=identity))


def allowed_methods(app: FastAPI, request: Request) -> str:
    """All methods that the address takes; a route only knows its own."""
    methods: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] != Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))
