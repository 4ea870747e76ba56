"""One HTTP/1.1 request, over a connection that never waits.

Blender does not support Python threads, and its interface must not freeze, so a request is a state machine:
`Exchange.advance(deadline)` sends and receives what can be sent and received right now, and returns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from .connections import Connection
from .endpoints import Endpoint
from .http_framing import ChunkedBody, ConnectionProblem, PlainBody, body_reader, take_head
from .sinks import Sink

SLICE = 256 * 1024
MAXIMUM_GAP = 1.0
"""Longest time between two calls of `advance` that counts as waiting for the server: while Blender renders,
nobody asks, and that is not the server's silence."""


@dataclass(frozen=True)
class FilePart:
    """The bytes of a file from number `first` on, as a piece of a body."""

    path: Path
    first: int


Piece = bytes | Path | FilePart
"""Of a body; a path stands for the whole file, read as it goes."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds until the connection stands, and of silence after that."""

    connect: float = 5.0
    silence: float = 30.0


PATIENCE = Timeouts()


class _State(Enum):
    CONNECTING = auto()
    SENDING = auto()
    HEAD = auto()
    BODY = auto()
    DONE = auto()


class Exchange:
    """One request and its answer.

    Args:
        body: pieces, sent one after the other.
        sink: takes the body if the status is 2xx; any other body is kept in `body`.
        limit: most bytes of an answer.

    After `advance` has returned True: `status`, `headers` (lower-case names), `body`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Sequence[Piece] = (),
        sink: Sink | None = None,
        timeouts: Timeouts = PATIENCE,
        limit: int = 64 * 1024 * 1024,
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self._endpoint = endpoint
        self._timeouts = timeouts
        self._limit = limit
        self._sink = sink
        self._upload = _Upload(_request_head(endpoint.host, method, target, headers or {}, body), body)
        self._received = bytearray()
        self._collected = bytearray()
        self._total = 0
        self._decoder: ChunkedBody | PlainBody | None = None
        self._connection: Connection | None = None
        self._state = _State.CONNECTING
        self._waited = 0.0
        self._asked = time.monotonic()

    @property
    def done(self) -> bool:
        return self._state is _State.DONE

    @property
    def sent(self) -> int:
        """Bytes that were sent so far, of head and body."""
        return self._upload.count

    def advance(self, deadline: float) -> bool:
        """Send and receive until nothing more can be done now, or until `time.perf_counter()` reaches `deadline`.

        Returns whether the answer is complete. At least one step is tried, however late it is. Raises
        ConnectionProblem, and whatever the sink raises; the exchange is closed then.
        """
        if self.done:
            return True
        moved = False
        try:
            while self._step():
                moved = True
                if self.done or time.perf_counter() >= deadline:
                    break
            self._watch(moved)
        except ConnectionProblem as problem:
            self.close()
            raise self._endpoint.misunderstood(problem) from problem.__cause__
        except (TimeoutError, ConnectionError) as error:
            answered = bool(self.status or self._received)
            self.close()
            raise self._endpoint.lost(error, answered) from error
        except BaseException:
            self.close()
            raise
        return self.done

    def close(self) -> None:
        """Give up what is not done. May be called at any time, any number of times."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._upload.close()
        if not self.done:
            self._state = _State.DONE
            if self._sink is not None:
                self._sink.abandon()

    # One step: True if something moved, False if the other side must act first.

    def _step(self) -> bool:
        if self._state is _State.CONNECTING:
            return self._connect()
        if self._state is _State.SENDING:
            return self._send()
        return self._receive()

    def _connect(self) -> bool:
        if self._connection is None:
            self._connection = self._endpoint.connection()
        if not self._endpoint.establish(self._connection):
            return False
        self._state = _State.SENDING
        return True

    def _send(self) -> bool:
        assert self._connection is not None
        data = self._upload.data()
        if not data:
            self._state = _State.HEAD
            return True
        try:
            sent = self._connection.send(data)
        except BlockingIOError:
            return self._read_early_answer()
        except (BrokenPipeError, ConnectionResetError):
            # The server may have answered (too large, wrong token) and closed before it took everything.
            self._state = _State.HEAD
            return True
        self._upload.sent(sent)
        return True

    def _read_early_answer(self) -> bool:
        assert self._connection is not None
        try:
            data = self._connection.receive(SLICE)
        except BlockingIOError:
            return False
        self._state = _State.HEAD
        self._take(data)
        return True

    def _receive(self) -> bool:
        assert self._connection is not None
        try:
            data = self._connection.receive(SLICE)
        except BlockingIOError:
            return False
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        if self._state is _State.HEAD:
            if not data:
                raise ConnectionResetError("closed before an answer came")
            self._received += data
            if not self._read_head():
                return
            data, self._received = bytes(self._received), bytearray()
        elif not data:
            self._end_of_stream()
            return
        self._read_body(data)

    def _read_head(self) -> bool:
        head = take_head(self._received)
        if head is None:
            return False
        self.status, self.headers = head
        self._decoder = body_reader(self.status, self.headers)
        self._state = _State.BODY
        if self._sink is not None and 200 <= self.status < 300:
            self._sink.begin(self.status, self.headers)
        return True

    def _read_body(self, data: bytes) -> None:
        assert self._decoder is not None
        for piece in self._decoder.feed(data):
            self._total += len(piece)
            if self._total > self._limit:
                message = f"The backend's answer is larger than {self._limit // 1024**2} MB."
                raise ConnectionProblem(message, "Use fewer or smaller objects.", "too-large")
            if self._sink is not None and 200 <= self.status < 300:
                self._sink.write(piece)
            else:
                self._collected += piece
        if self._decoder.done:
            self._finish()

    def _end_of_stream(self) -> None:
        assert self._decoder is not None
        if not self._decoder.ends_by_closing:
            raise ConnectionResetError("closed in the middle of an answer")
        self._finish()

    def _finish(self) -> None:
        self.body = bytes(self._collected)
        if self._sink is not None:
            if 200 <= self.status < 300:
                self._sink.finish()
            else:
                self._sink.abandon()
        self._state = _State.DONE
        self.close()

    def _watch(self, moved: bool) -> None:
        now = time.monotonic()
        gap, self._asked = min(now - self._asked, MAXIMUM_GAP), now
        self._waited = 0.0 if moved else self._waited + gap
        connecting = self._state is _State.CONNECTING
        limit = self._timeouts.connect if connecting else self._timeouts.silence
        if not self.done and self._waited > limit:
            raise self._endpoint.silent(limit, connecting)


class _Upload:
    """The bytes still to be sent: the head, then the body's pieces, a slice at a time."""

    def __init__(self, head: bytes, body: Sequence[Piece]) -> None:
        self._pieces: list[bytes | tuple[Path, int, int]] = [head, *(_measured(piece) for piece in body)]
        self.count = 0
        self._view = memoryview(b"")
        self._file: BinaryIO | None = None
        self._left = 0

    def data(self) -> memoryview:
        """What to send next; empty when all is sent."""
        while not self._view:
            if self._file is not None and self._left:
                self._read_file(self._file)
            elif self._pieces:
                self._next_piece(self._pieces.pop(0))
            else:
                break
        return self._view[:SLICE]

    def sent(self, count: int) -> None:
        self._view = self._view[count:]
        self.count += count

    def close(self) -> None:
        self._pieces.clear()
        self._view = memoryview(b"")
        self._left = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_piece(self, piece: bytes | tuple[Path, int, int]) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if isinstance(piece, bytes):
            self._view = memoryview(piece)
        else:
            path, first, self._left = piece
            self._file = path.open("rb")
            self._file.seek(first)

    def _read_file(self, file: BinaryIO) -> None:
        data = file.read(min(SLICE, self._left))
        if not data:
            raise ConnectionProblem("A picture changed while it was sent.", "Try again.", "file-changed")
        self._left -= len(data)
        self._view = memoryview(data)


def _measured(piece: Piece) -> bytes | tuple[Path, int, int]:
    """Of a file: where to begin, and how many bytes."""
    if isinstance(piece, bytes):
        return piece
    path, first = (piece, 0) if isinstance(piece, Path) else (piece.path, piece.first)
    return path, first, path.stat().st_size - first


def _length(piece: Piece) -> int:
    measured = _measured(piece)
    return len(measured) if isinstance(measured, bytes) else measured[2]


def _request_head(host: str, method: str, target: str, headers: Mapping[str, str], body: Sequence[Piece]) -> bytes:
    fields = {"Host": host, "Connection": "close", **headers}
    if body:
        fields["Content-Length"] = str(sum(map(_length, body)))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any(character in line for line in lines for character in "\r\n"):
        raise ValueError("a header must not contain a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
