"""POST /jobs: a multipart form of one JSON part and several files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

from fastapi import Header
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from backend.contract import MAXIMUM_INSTANCES, GenerateRequest, OutlineFiles
from backend.errors import Problem
from backend.imaging.outlines import MAXIMUM_LAYERS, pair_outlines
from backend.jobs.folders import storage_problem
from backend.jobs.submission import KEY
from backend.server import documents
from backend.server.problems import invalid

SENT_BEFORE = "sha256:"
"""Begins a part that is no file, but names what was sent with PUT /uploads/{sha256}."""

MOST_PARTS = 64
MOST_FILES = MOST_PARTS + 2 * MAXIMUM_LAYERS
ROLES = ("request", "image", "instances", "depth", "outlines", "outline_depths")

LAYERS: dict[str, Any] = {
    "type": "array",
    "maxItems": MAXIMUM_LAYERS,
    "items": {"type": "string", "format": "binary"},
}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["request"],
                    "additionalProperties": False,
                    "properties": {
                        "request": {"$ref": "#/components/schemas/GenerateRequest"},
                        "image": {
                            "type": "array",
                            "maxItems": MOST_PARTS - 3,
                            "items": {"type": "string", "format": "binary"},
                        },
                        "instances": {"type": "string", "format": "binary"},
                        "depth": {"type": "string", "format": "binary"},
                        "outlines": LAYERS,
                        "outline_depths": LAYERS,
                    },
                },
                "encoding": {"request": {"contentType": "application/json"}},
            }
        },
    }
}
"""The form in OpenAPI's words."""


def key_of(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(pattern=f"^{KEY.pattern}$", description="One for each job that is wanted; the same, if sent again."),
    ] = None,
) -> str | None:
    """The key that a request for a new job comes with. Raises Problem("request-invalid") for several."""
    if len(request.headers.getlist("idempotency-key")) > 1:
        raise Problem("request-invalid", "The request has several headers Idempotency-Key.", "Send one of them.")
    return idempotency_key


@asynccontextmanager
async def received_form(request: Request) -> AsyncIterator[None]:
    """Inside, all of the form has come and lies on disk.

    Raises Problem("request-invalid") or, where temporary files go, ("disk-full").
    """
    charset = parse_options_header(request.headers.get("content-type"))[1].get(b"charset", b"utf-8")
    if charset.lower() not in (b"utf-8", b"us-ascii"):
        detail = f"The form is in the character set '{charset.decode('latin-1')[:40]}'."
        raise Problem("request-invalid", detail, "Send UTF-8.")
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=MOST_PARTS, max_part_size=documents.LONGEST)
    except OSError as error:
        raise storage_problem(error, "The upload cannot be stored") from error
    async with AsyncExitStack() as ending:
        ending.push_async_callback(form.close)
        yield


class SentBefore:
    """The files of one form that were sent before, by their hash; all together no larger than what is sent at once.

    read: gives the bytes of one. Raises Problem("upload-not-found").
    """

    def __init__(self, read: Callable[[str], bytes], most: int) -> None:
        self._read = read
        self._most = most
        self._found = 0

    async def file(self, part: str) -> bytes:
        """Raises Problem("upload-not-found", "request-invalid", "request-too-large")."""
        data = await run_in_threadpool(self._read, part.removeprefix(SENT_BEFORE))
        self._found += len(data)
        if self._found > self._most:
            detail = f"The pictures that the request names have more than {self._most} bytes together."
            raise Problem("request-too-large", detail)
        return data


async def read_form(
    request: Request,
    sent: SentBefore | None = None,
) -> tuple[GenerateRequest, list[bytes], bytes | None, bytes | None, list[OutlineFiles]]:
    """The request, pictures, instance map, depth and outlines of a `received_form`.

    sent: gives what was sent before; None where nothing can be.

    Raises Problem("request-invalid"), ("camera-invalid") or, where temporary files go, ("disk-full").
    """
    try:
        async with request.form() as form:
            unknown = set(form) - set(ROLES)
            if unknown:
                detail = f"The form has a part '{min(unknown)[:40]}' that means nothing here."
                raise Problem("request-invalid", detail, f"Send the parts {', '.join(ROLES[:-1])} and {ROLES[-1]}.")
            document = _single(form, "request")
            if document is None:
                raise Problem("request-invalid", "The form has no part 'request'.", "Send multipart/form-data.")
            text = (
                (await document.read(documents.LONGEST + 1)) if isinstance(document, UploadFile) else document.encode()
            )
            images, layers, depths = [
                [await _file(part, name, sent) for part in form.getlist(name)]
                for name in ("image", "outlines", "outline_depths")
            ]
            instances, depth = [
                None if (part := _single(form, name)) is None else await _file(part, name, sent)
                for name in ("instances", "depth")
            ]
    except OSError as error:
        raise storage_problem(error, "The upload cannot be stored") from error
    outlines = pair_outlines(layers, depths)
    return await documents.off_the_loop(_read_request, text), images, instances, depth, outlines


def _read_request(text: bytes) -> GenerateRequest:
    """Raises Problem("request-too-large"), ("request-invalid"), ("camera-invalid"), ("instances-too-many")."""
    value = documents.read(text)
    rows = value.get("instances") if isinstance(value, dict) else None
    if isinstance(rows, list) and len(rows) > MAXIMUM_INSTANCES:
        detail = f"The request has {len(rows)} objects; {MAXIMUM_INSTANCES} are the limit."
        raise Problem("instances-too-many", detail, "Select fewer objects, or merge.")
    try:
        return GenerateRequest.model_validate_json(text)
    except ValidationError as error:
        raise invalid(error) from error


def _single(form: FormData, name: str) -> UploadFile | str | None:
    parts = form.getlist(name)
    if len(parts) > 1:
        raise Problem("request-invalid", f"The form has {len(parts)} parts '{name}'.", "Send one of them.")
    return parts[0] if parts else None


async def _file(part: UploadFile | str, name: str, sent: SentBefore | None) -> bytes:
    if isinstance(part, str):
        if sent is not None and part.startswith(SENT_BEFORE):
            return await sent.file(part)
        raise Problem("request-invalid", f"The part '{name}' is not a file.", "Give the part a file name.")
    return await part.read()
