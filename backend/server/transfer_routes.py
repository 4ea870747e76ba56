"""Large files over slow lines, on a server that others reach: results in parts, pictures sent before their request."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from fastapi import FastAPI, Path, Request, Response
from fastapi.responses import StreamingResponse

from backend.errors import Problem
from backend.server import ranges
from backend.server.limits import asking
from backend.server.problems import documented
from backend.server.scope import JobsOf
from backend.server.uploads import HASH, Uploads, UploadView

SWEEP_SECONDS = 1800.0
logger = logging.getLogger(__name__)
Sha256 = Annotated[str, Path(pattern=f"^{HASH.pattern}$", description="Of the file, in lower-case hexadecimal.")]
BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    "parameters": [
        {
            "name": "Content-Range",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": r"^bytes \d{1,18}-\d{1,18}/\d{1,18}$"},
            "description": "Which bytes of the file come; left out where all do.",
        }
    ],
}
"""What PUT /uploads/{sha256} takes, in OpenAPI's words."""


def add_file_routes(app: FastAPI, jobs_of: Callable[[Request], JobsOf], kinds: dict[str, str]) -> None:
    """GET and HEAD of a job's file. kinds: media types by ending."""
    content: dict[str, Any] = {kind: {"schema": {}} for kind in kinds.values()}
    responses: dict[int | str, dict[str, Any]] = {
        **documented("job-not-found", "job-not-finished", "file-not-found", "range-unusable"),
        200: {"content": content},
        206: {"description": "The part that was asked for.", "content": content},
    }

    def sent(request: Request, job: str, name: str, *, head: bool) -> Response:
        mine = jobs_of(request)
        path = mine.file(job, name, taken=False)
        kind = kinds.get(path.suffix, "application/octet-stream")
        try:
            opened = path.open("rb")
            return ranges.answer(opened, kind, request.headers, head=head, whole_sent=lambda: mine.take(job, name))
        except OSError as error:
            raise Problem("file-not-found", f"The file '{name[:40]}' cannot be read any more.") from error

    @app.get("/jobs/{job}/files/{name}", response_class=StreamingResponse, responses=responses)
    def file(job: str, name: str, request: Request) -> Response:
        """A file of the result, one of `files`, or (Range) a part of it; on the way, a picture that its question or a
        preview mentions."""
        return sent(request, job, name, head=False)

    @app.head("/jobs/{job}/files/{name}", response_class=Response, responses={**responses, 200: {}})
    def file_head(job: str, name: str, request: Request) -> Response:
        """How long a file is, and its hash (ETag)."""
        return sent(request, job, name, head=True)


def add_upload_routes(app: FastAPI, uploads: Uploads) -> None:
    """Asked for and sent by hash; see docs/api.md."""

    @app.get("/uploads/{sha256}", responses=documented())
    def upload(sha256: Sha256, request: Request) -> UploadView:
        """How much of a picture is here: nothing, a part to go on from, or all of it."""
        return uploads.view(asking(request.scope).name, sha256)

    @app.put(
        "/uploads/{sha256}",
        openapi_extra=BYTES,
        responses=documented(
            "upload-out-of-step", "upload-damaged", "request-too-large", "share-used-up", "output-not-writable"
        ),
    )
    async def send(sha256: Sha256, request: Request) -> UploadView:
        """Send a picture, or the rest of it, before the request that names it."""
        asked = request.headers.get("content-range")
        if asked is None:
            length = request.headers.get("content-length", "")
            asked = f"bytes 0-{int(length) - 1}/{length}" if length.isdigit() and int(length) else ""
        return await uploads.receive(asking(request.scope).name, sha256, asked, request.stream())


@asynccontextmanager
async def swept(uploads: Uploads) -> AsyncIterator[None]:
    """Inside, uploads that nobody uses are removed now and then."""

    async def sweep() -> None:
        while True:
            try:
                await run_sync(uploads.sweep)
            except OSError as error:  # the disk, which the next time may be better
                logger.warning("old uploads are not removed: %s", error)
            await anyio.sleep(SWEEP_SECONDS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sweep)
        yield
        tasks.cancel_scope.cancel()
