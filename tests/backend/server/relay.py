"""A relay in front of a server, whose connections break. It needs nothing but the standard library."""

import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType


class CutLine:
    """Relays to a port of this machine; each connection is cut after `most` bytes in either direction.

    tls: with that it is a proxy that speaks TLS with the clients, and none with the server.
    rate: bytes a second in one direction; None for as many as go.
    cuts: how often a connection was cut.
    """

    def __init__(self, port: int, most: int, tls: ssl.SSLContext | None = None, rate: float | None = None) -> None:
        self._target = port
        self._most = most
        self._tls = tls
        self._rate = rate
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            near = self._tls.wrap_socket(near, server_side=True) if self._tls else near
            far = socket.create_connection(("127.0.0.1", self._target))
            for one, other in ((near, far), (far, near)):
                self._threads.append(threading.Thread(target=self._relay, args=(one, other)))
                self._threads[-1].start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):  # the other direction was cut
            while passed < self._most and (data := source.recv(min(65536, self._most - passed))):
                passed += len(data)
                sink.sendall(data)
                if self._rate:
                    time.sleep(len(data) / self._rate)
        self.cuts += passed >= self._most
        for each in (source, sink):
            with contextlib.suppress(OSError):  # it is closed already
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "CutLine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
