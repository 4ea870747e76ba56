"""Connections that never wait: bytes to a server and back, in the clear or over TLS, a slice at a time."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

Place = tuple[socket.AddressFamily, str, int]
"""Family, address and port."""

NEXT_SECONDS = 3.0
"""An address that says nothing for so long gives way to the next one of the same name."""

_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}


class NotConnected(ConnectionRefusedError):
    """No connection came about, with the system's reason."""


@contextmanager
def _told_as_reset() -> Iterator[None]:
    """Inside, no way to the network any more is a connection that was reset."""
    try:
        yield
    except (BlockingIOError, ConnectionError, ssl.SSLError):
        raise
    except OSError as error:
        raise ConnectionResetError(error.errno, error.strerror) from error


class Connection:
    """To the first of several places that takes it. Every method returns at once."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = list(places)
        self._socket: socket.socket | None = None
        self._since = 0.0

    def establish(self) -> bool:
        """Go on with connecting; whether bytes can be sent now. Raises NotConnected if no place takes it."""
        if self._socket is None:
            self._begin()
        assert self._socket is not None
        if _decided(self._socket):
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return True
            self._next(code)
        elif len(self._places) > 1 and time.monotonic() - self._since > NEXT_SECONDS:
            self._next(errno.ETIMEDOUT)
        return False

    def send(self, data: memoryview) -> int:
        """How many of the bytes are on their way. Raises BlockingIOError if none can be now, ConnectionError."""
        assert self._socket is not None
        with _told_as_reset():
            return self._socket.send(data)

    def receive(self, most: int) -> bytes:
        """What has come; b"" if no more will. Raises as `send`."""
        assert self._socket is not None
        with _told_as_reset():
            return self._socket.recv(most)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self) -> None:
        family, address, port = self._places[0]
        self._since = time.monotonic()
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = self._socket.connect_ex((address, port))
        except OSError as error:  # a system without this family
            code = error.errno or errno.EAFNOSUPPORT
        if code not in _IN_PROGRESS and code != 0:
            self._next(code)

    def _next(self, code: int) -> None:
        """Leave a place that does not take it."""
        self.close()
        self._places = self._places[1:]
        if not self._places:
            raise NotConnected(code, os.strerror(code))
        self._begin()


class SecureConnection(Connection):
    """The same over TLS; the handshake goes on with every call of `establish`, which raises ssl.SSLError, too.

    name: whom the certificate must be for.
    """

    def __init__(self, places: Sequence[Place], context: ssl.SSLContext, name: str) -> None:
        super().__init__(places)
        self._context = context
        self._name = name
        self._secure: ssl.SSLSocket | None = None

    def establish(self) -> bool:
        if self._secure is None:
            if not super().establish():
                return False
            assert self._socket is not None
            self._secure = self._context.wrap_socket(
                self._socket,
                server_hostname=self._name,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )
            self._socket = self._secure
        try:
            self._secure.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        return True

    def send(self, data: memoryview) -> int:
        try:
            return super().send(data)
        except ssl.SSLError as error:
            raise _as_plain(error) from error

    def receive(self, most: int) -> bytes:
        try:
            return super().receive(most)
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            raise _as_plain(error) from error


def _as_plain(error: ssl.SSLError) -> OSError:
    """What a connection without TLS would have raised."""
    if isinstance(error, (ssl.SSLWantReadError, ssl.SSLWantWriteError)):
        return BlockingIOError(errno.EAGAIN, "TLS waits for the other side")
    return ConnectionResetError(errno.ECONNRESET, str(error.reason or error))


def _decided(sock: socket.socket) -> bool:
    """Whether a pending connect has succeeded or failed. `poll` where there is one: `select` cannot take
    descriptors above 1023, which a large Blender session may reach."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        return bool(poll.poll(0))
    _, writable, failed = select.select([], [sock], [sock], 0)
    return bool(writable or failed)
