"""One HTTP/1.1 request to this machine, over a socket that never waits.

Blender does not support Python threads, and its interface must not freeze, so a request is a state machine:
`Exchange.advance(deadline)` sends and receives what can be sent and received right now, and returns.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO, Protocol

from ..ground.privacy import private_opener
from .http_framing import ChunkedBody, ConnectionProblem, PlainBody, body_reader, take_head

SLICE = 256 * 1024
MAXIMUM_GAP = 1.0
"""Longest time between two calls of `advance` that counts as waiting for the server: while Blender renders,
nobody asks, and that is not the server's silence."""

_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}


class Sink(Protocol):
    """Takes the body of a successful answer piece by piece."""

    def write(self, data: bytes) -> None: ...
    def finish(self) -> None: ...
    def abandon(self) -> None: ...


class FileSink:
    """Writes to `<path>.part` and renames when all has come, so that a file is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        if self._file is None:
            self._file = open(self.part, "wb", opener=private_opener)  # noqa: SIM115 - closed in _close
        self._file.write(data)

    def finish(self) -> None:
        self.write(b"")
        self._close()
        self.part.replace(self.path)

    def abandon(self) -> None:
        self._close()
        self.part.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


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
        port: on 127.0.0.1; no proxy is ever asked.
        body: pieces, sent one after the other; a path is sent as the file's bytes, read as it goes.
        sink: takes the body if the status is 2xx; any other body is kept in `body`.
        limit: most bytes of an answer.

    After `advance` has returned True: `status`, `headers` (lower-case names), `body`.
    """

    def __init__(
        self,
        port: int,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Sequence[bytes | Path] = (),
        sink: Sink | None = None,
        timeouts: Timeouts = PATIENCE,
        limit: int = 64 * 1024 * 1024,
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self._port = port
        self._timeouts = timeouts
        self._limit = limit
        self._sink = sink
        self._upload = _Upload(_request_head(port, method, target, headers or {}, body), body)
        self._received = bytearray()
        self._collected = bytearray()
        self._total = 0
        self._decoder: ChunkedBody | PlainBody | None = None
        self._socket: socket.socket | None = None
        self._state = _State.CONNECTING
        self._waited = 0.0
        self._asked = time.monotonic()

    @property
    def done(self) -> bool:
        return self._state is _State.DONE

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
        except (TimeoutError, ConnectionError) as error:
            self.close()
            raise self._lost(error) from error
        except BaseException:
            self.close()
            raise
        return self.done

    def close(self) -> None:
        """Give up what is not done. May be called at any time, any number of times."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
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
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            code = self._socket.connect_ex(("127.0.0.1", self._port))
            if code not in _IN_PROGRESS and code != 0:
                raise ConnectionRefusedError(code, os.strerror(code))
        if not _connected(self._socket):
            return False
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise ConnectionRefusedError(code, os.strerror(code))
        self._state = _State.SENDING
        return True

    def _send(self) -> bool:
        assert self._socket is not None
        data = self._upload.data()
        if not data:
            self._state = _State.HEAD
            return True
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            return self._read_early_answer()
        except (BrokenPipeError, ConnectionResetError):
            # The server may have answered (too large, wrong token) and closed before it took everything.
            self._state = _State.HEAD
            return True
        self._upload.sent(sent)
        return True

    def _read_early_answer(self) -> bool:
        assert self._socket is not None
        try:
            data = self._socket.recv(SLICE)
        except BlockingIOError:
            return False
        self._state = _State.HEAD
        self._take(data)
        return True

    def _receive(self) -> bool:
        assert self._socket is not None
        try:
            data = self._socket.recv(SLICE)
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
            what = "take the connection" if connecting else "answer"
            message = f"The backend did not {what} for {limit:g} seconds."
            raise ConnectionProblem(message, "It may be overloaded; stop it and start it again.", "timeout")

    def _lost(self, error: OSError) -> ConnectionProblem:
        if self._state is _State.DONE and self.status == 0 and isinstance(error, ConnectionRefusedError):
            hint = "Start it again, and look into its log if it ends again."
            return ConnectionProblem("The backend is not there.", hint, "refused", str(error))
        hint = "Try again; finished jobs are safe."
        return ConnectionProblem("The connection to the backend was cut.", hint, "lost", str(error))


class _Upload:
    """The bytes still to be sent: the head, then the body's pieces, a slice at a time."""

    def __init__(self, head: bytes, body: Sequence[bytes | Path]) -> None:
        self._pieces: list[bytes | tuple[Path, int]] = [head]
        self._pieces += [(piece, piece.stat().st_size) if isinstance(piece, Path) else piece for piece in body]
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

    def close(self) -> None:
        self._pieces.clear()
        self._view = memoryview(b"")
        self._left = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_piece(self, piece: bytes | tuple[Path, int]) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if isinstance(piece, bytes):
            self._view = memoryview(piece)
        else:
            self._file, self._left = piece[0].open("rb"), piece[1]

    def _read_file(self, file: BinaryIO) -> None:
        data = file.read(min(SLICE, self._left))
        if not data:
            raise ConnectionProblem("A picture changed while it was sent.", "Try again.", "file-changed")
        self._left -= len(data)
        self._view = memoryview(data)


def _request_head(
    port: int, method: str, target: str, headers: Mapping[str, str], body: Sequence[bytes | Path]
) -> bytes:
    length = sum(piece.stat().st_size if isinstance(piece, Path) else len(piece) for piece in body)
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close", **headers}
    if body:
        fields["Content-Length"] = str(length)
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any(character in line for line in lines for character in "\r\n"):
        raise ValueError("a header must not contain a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _connected(sock: socket.socket) -> bool:
    """Whether a pending connect has succeeded or failed. `poll` where there is one: `select` cannot take
    descriptors above 1023, which a large Blender session may reach."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        return bool(poll.poll(0))
    _, writable, failed = select.select([], [sock], [sock], 0)
    return bool(writable or failed)
