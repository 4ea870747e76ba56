"""A line that breaks: a relay in front of a server that closes every connection after so many bytes."""

import contextlib
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType

import httpx

MOST_TRIES = 12


class CutLine:
    """Relays to a port of this machine; each connection is cut after `most` bytes in either direction.

    tls: with that it is a proxy that speaks TLS with the clients, and none with the server.
    cuts: how often a connection was cut.
    """

    def __init__(self, port: int, most: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = port
        self._most = most
        self._tls = tls
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


def send_patiently(connect: Callable[[], httpx.Client], data: bytes) -> None:
    """An upload, as docs/api.md has it: ask how much is there, send the rest, and again after every cut."""
    sha = hashlib.sha256(data).hexdigest()
    for number in range(MOST_TRIES):
        try:
            time.sleep(0.1 * number)  # what was on its way when the line was cut is written first
            with connect() as client:
                first = client.get(f"/uploads/{sha}").json()["received"]
                headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
                answer = client.put(f"/uploads/{sha}", content=data[first:], headers=headers)
                if answer.status_code == 200:
                    assert answer.json()["complete"]
                    return
                assert answer.json()["code"] == "upload-out-of-step", "more of the former connection came meanwhile"
        except httpx.TransportError:
            continue
    raise AssertionError("the upload does not get on")


def fetch_patiently(connect: Callable[[], httpx.Client], path: str) -> bytes:
    """A file of a job, as docs/api.md has it: on from the last byte that came, if it is still the same file."""
    got, tag = b"", ""
    for _ in range(MOST_TRIES):
        asked = {"Range": f"bytes={len(got)}-", "If-Range": tag} if got else {}
        try:
            with connect() as client, client.stream("GET", path, headers=asked) as answer:
                assert answer.status_code == (206 if got else 200)
                tag = answer.headers["etag"]
                for piece in answer.iter_raw(65536):
                    got += piece
            assert tag == f'"{hashlib.sha256(got).hexdigest()}"'
            return got
        except httpx.TransportError:
            continue
    raise AssertionError("the file does not get on")
