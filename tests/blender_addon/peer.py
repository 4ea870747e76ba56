"""The other end of a connection, driven by the same test on the same thread: no timing, no luck."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from blender_addon.wire.http_exchange import Exchange

PATIENCE = 5.0


def turns(what: str) -> Iterator[None]:
    """Turns to take until something has happened; fails after five seconds."""
    end = time.monotonic() + PATIENCE
    while True:
        yield
        assert time.monotonic() < end, f"{what} did not happen within {PATIENCE} s"


class Peer:
    """Listens on a port of this machine and speaks only when told to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connection: socket.socket | None = None

    def close(self) -> None:
        self.hang_up()
        self.listener.close()

    def accept(self, exchange: Exchange) -> None:
        """Take the exchange's connection."""
        for _ in turns("the connection"):
            exchange.advance(0.0)
            if select.select([self.listener], [], [], 0.01)[0]:
                break
        self.connection, _ = self.listener.accept()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, exchange: Exchange) -> bytes:
        """Take the whole request, head and body."""
        if self.connection is None:
            self.accept(exchange)
        assert self.connection is not None
        received = b""
        for _ in turns("the request"):
            exchange.advance(time.perf_counter() + 0.001)
            if select.select([self.connection], [], [], 0.01)[0]:
                received += self.connection.recv(1 << 20)
            head, end, body = received.partition(b"\r\n\r\n")
            if end and len(body) >= _length(head):
                return received
        raise AssertionError

    def say(self, exchange: Exchange, data: bytes, piece: int | None = None) -> bool:
        """Send, a piece at a time, letting the exchange take each before the next; returns whether it is done."""
        assert self.connection is not None
        done = False
        for start in range(0, len(data), piece or len(data)):
            self.connection.sendall(data[start : start + (piece or len(data))])
            done = exchange.advance(time.perf_counter() + 0.001)
        return done

    def hang_up(self, rudely: bool = False) -> None:
        if self.connection is not None:
            if rudely:  # an RST instead of a FIN
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            self.connection = None


def finish(exchange: Exchange) -> None:
    """Advance until it is done."""
    for _ in turns("the end"):
        if exchange.advance(time.perf_counter() + 0.001):
            return


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    return 0


@contextmanager
def listening() -> Iterator[Peer]:
    peer = Peer()
    try:
        yield peer
    finally:
        peer.close()
