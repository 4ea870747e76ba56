"""A little server with TLS, or without, that gives every request the same answer."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from pathlib import Path

HANDSHAKE = b"\x16"
"""What TLS begins with; who does not speak it takes that for a bad request."""

WELCOME = {"version": "0.3.1", "protocol": 1, "pid": 7, "queued": 2, "user": "anna", "administrator": False}


def said(document: object, status: str = "200 OK") -> bytes:
    """An answer in JSON."""
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class SecurePeer:
    """Listens on a port of 127.0.0.1 in a thread of its own, until it is closed.

    pair: certificate and key; None for no TLS. heard: heads of requests.
    """

    def __init__(self, pair: tuple[Path, Path] | None, answer: bytes) -> None:
        self._context: ssl.SSLContext | None = None
        if pair is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*pair)
        self._answer = answer
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            connection.settimeout(5)
            with contextlib.suppress(OSError), connection:  # a client that refuses hangs up
                self._answer_on(connection)

    def _answer_on(self, connection: socket.socket) -> None:
        line = self._context.wrap_socket(connection, server_side=True) if self._context else connection
        with line:
            head = b""
            while b"\r\n\r\n" not in head and head[:1] != HANDSHAKE and (data := line.recv(65536)):
                head += data
            self.heard.append(head)
            line.sendall(self._answer)

    def __enter__(self) -> SecurePeer:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
