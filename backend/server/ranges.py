"""A file over HTTP that may be cut off and goes on: strong ETag, Range and If-Range.

RFC 9110, sections 8.8.3, 13.1.5 and 14. The ETag is the file's SHA-256, so that a client can also check what it has put
together.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader

from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from backend.errors import Problem

CHUNK = 1 << 18
ONE_RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{1,18})?|-(?P<tail>\d{1,18}))")
MOST_HASHES = 512


@dataclass(frozen=True)
class Part:
    """Bytes `first` to before `end` of a file of `size` bytes."""

    first: int
    end: int
    size: int


def asked_part(headers: Headers, tag: str, size: int) -> Part | None:
    """The part that a request asks for; None for the whole file.

    Several ranges at once, other units and malformed ones count as none, which the standard allows. A range of another
    state of the file (If-Range) counts as none. Raises Problem("range-unusable").
    """
    found = ONE_RANGE.fullmatch(headers.get("range", "").strip())
    if found is None or headers.get("if-range", tag).strip() != tag:
        return None
    if found["tail"] is not None:
        first, end = max(0, size - int(found["tail"])), size
    else:
        first = int(found["first"])
        end = min(size, int(found["last"]) + 1) if found["last"] is not None else size
        if found["last"] is not None and int(found["last"]) < first:
            return None
    if first >= end:
        raise Problem("range-unusable", f"The file has {size} bytes.", size=size)
    return Part(first, end, size)


State = tuple[int, int, int, int]
_hashes: dict[State, str] = {}
_adding = threading.Lock()


def tag_of(opened: BufferedReader) -> str:
    """The strong ETag of an open file: its SHA-256 in quotes. Files are hashed once, as long as they stay the same."""
    status = os.fstat(opened.fileno())
    state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    found = _hashes.get(state)
    if found is None:
        opened.seek(0)
        found = hashlib.file_digest(opened, "sha256").hexdigest()
        with _adding:
            while len(_hashes) >= MOST_HASHES:
                del _hashes[next(iter(_hashes))]  # the oldest
            _hashes[state] = found
    return f'"{found}"'


def answer(
    opened: BufferedReader, kind: str, headers: Headers, *, head: bool, whole_sent: Callable[[], None]
) -> Response:
    """The file, a part of it, or for `head` what would be said of it; closes the file.

    kind: its media type. whole_sent: called when its last byte was handed on. Raises Problem("range-unusable"),
    OSError; the file is closed then, too.
    """
    try:
        tag, size = tag_of(opened), os.fstat(opened.fileno()).st_size
        part = None if head else asked_part(headers, tag, size)
    except BaseException:
        opened.close()
        raise
    told = {"Accept-Ranges": "bytes", "ETag": tag, "Cache-Control": "no-cache"}
    if head:
        opened.close()
        return Response(status_code=200, media_type=kind, headers={**told, "Content-Length": str(size)})
    first, end = (part.first, part.end) if part else (0, size)
    told["Content-Length"] = str(end - first)
    if part:
        told["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    last = whole_sent if end == size else None
    return StreamingResponse(
        _chunks(opened, first, end, last), status_code=206 if part else 200, media_type=kind, headers=told
    )


def _chunks(opened: BufferedReader, first: int, end: int, last: Callable[[], None] | None) -> Iterator[bytes]:
    with opened:
        opened.seek(first)
        while first < end and (chunk := opened.read(min(CHUNK, end - first))):
            first += len(chunk)
            yield chunk
        if last is not None:
            last()
