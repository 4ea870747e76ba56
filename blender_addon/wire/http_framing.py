"""How an HTTP/1.1 answer is cut out of a stream of bytes that arrives in whatever pieces (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..ground.messages import SetDresserError

HEAD_LIMIT = 64 * 1024
CHUNK_LINE_LIMIT = 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: .*)?")


class ConnectionProblem(SetDresserError):
    """The request did not get a whole answer. `code` tells how: refused, lost, timeout, invalid or too-large."""


def invalid(why: str) -> ConnectionProblem:
    hint = "Another program may have taken its place; stop the backend and start it again."
    return ConnectionProblem(f"The backend's answer cannot be understood: {why}.", hint, "invalid")


class Head(NamedTuple):
    """Status and header fields, their names in lower case."""

    status: int
    headers: dict[str, str]


def take_head(received: bytearray) -> Head | None:
    """Take an answer's head off the front of `received`, interim answers (1xx) too; None if it is not complete yet."""
    while True:
        end = received.find(b"\r\n\r\n")
        if end < 0 and len(received) <= HEAD_LIMIT:
            return None
        if end < 0 or end > HEAD_LIMIT:
            raise invalid("its head is too long")
        lines = bytes(received[:end]).split(b"\r\n")
        del received[: end + 4]
        match = _STATUS_LINE.fullmatch(lines[0])
        if match is None:
            raise invalid("it is not HTTP")
        if int(match[1]) < 200:
            continue
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon:
                raise invalid("a header line is broken")
            headers[name.decode("latin-1").strip().lower()] = value.decode("latin-1").strip()
        return Head(int(match[1]), headers)


class PlainBody:
    """A body of known length, or one that ends when the server closes (length None)."""

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.ends_by_closing = length is None

    @property
    def done(self) -> bool:
        return self._left == 0

    def feed(self, data: bytes) -> list[bytes]:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return [data] if data else []


class ChunkedBody:
    """Transfer-Encoding: chunked (RFC 9112, section 7.1). Extensions and trailers are read over."""

    ends_by_closing = False

    def __init__(self) -> None:
        self.done = False
        self._buffer = bytearray()
        self._left = 0
        self._read: Callable[[], bytes | None] = self._read_size

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        pieces = []
        while not self.done and (piece := self._read()) is not None:
            if piece:
                pieces.append(piece)
        return pieces

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end > CHUNK_LINE_LIMIT or (end < 0 and len(self._buffer) > CHUNK_LINE_LIMIT):
            raise invalid("a chunk's head is too long")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_size(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        digits = line.split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", digits):
            raise invalid("a chunk's size is broken")
        self._left = int(digits, 16)
        self._read = self._read_data if self._left else self._read_trailer
        return b""

    def _read_data(self) -> bytes | None:
        if not self._buffer:
            return None
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(piece)
        if not self._left:
            self._read = self._read_end
        return piece

    def _read_end(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        if line:
            raise invalid("a chunk is longer than it says")
        self._read = self._read_size
        return b""

    def _read_trailer(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        self.done = not line
        return b""


def body_reader(status: int, headers: Mapping[str, str]) -> PlainBody | ChunkedBody:
    if status in (204, 304):
        return PlainBody(0)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return ChunkedBody()
    length = headers.get("content-length")
    if length is not None and not re.fullmatch(r"[0-9]{1,15}", length):
        raise invalid("its length is not a number")
    return PlainBody(int(length) if length is not None else None)
