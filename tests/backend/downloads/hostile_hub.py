"""A file server that speaks like the hub, and misbehaves when it is told to.

Two servers, as in life: the hub lists files and redirects, its storage on another host and port has the bytes of large
files. Both keep a log of what was asked and of the bytes that were sent.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = "VAST-AI/MIDI-3D"
COMMIT = "194c4af0" * 5
SIGNATURE = "signature-of-an-address"
LARGE = ".safetensors"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    after: bytes of the content that are sent before the connection is cut, or stalls.
    stalls: say nothing more before it is cut, until the client leaves, or `release` is called.
    status, headers: an error instead of an answer.
    corrupt: one byte is another.
    ignore_range: begin at the beginning, whatever was asked for.
    wrong_range: begin, and say so, one byte too late.
    short: announce and send so many bytes less.
    unannounced: do not say how long the content is; then cutting is no error of HTTP.
    body: something else, with status 200.
    """

    after: int | None = None
    stalls: bool = False
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    corrupt: bool = False
    ignore_range: bool = False
    wrong_range: bool = False
    short: int = 0
    unannounced: bool = False
    body: bytes | None = None


@dataclass
class Seen:
    """One request: `sent` is the range of bytes of the content that left, None if it was no content."""

    place: str
    path: str
    headers: dict[str, str]
    status: int = 0
    sent: tuple[int, int] | None = None


@dataclass
class HostileHub:
    """Serves a folder as a repository. A context manager.

    faults: by "listing" or the path of a file in the repository, one for each request; after the last all is well.
    always: the same for every request.
    """

    folder: Path
    extra: dict[str, bytes] = field(default_factory=dict)
    certificate: Path | None = None

    def __post_init__(self) -> None:
        self.files = {
            path.relative_to(self.folder).as_posix(): path.read_bytes() for path in self._paths()
        } | self.extra
        self.faults: dict[str, list[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.log: list[Seen] = []
        self.stalled = threading.Event()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._hub = _serve(self, "hub", self.certificate)
        self._storage = _serve(self, "storage", None)

    def _paths(self) -> Iterator[Path]:
        return (path for path in sorted(self.folder.rglob("*")) if path.is_file())

    def __enter__(self) -> HostileHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        for server in (self._hub, self._storage):
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self._hub.server_address[1]}"

    @property
    def storage(self) -> str:
        return f"http://localhost:{self._storage.server_address[1]}"

    def release(self) -> None:
        """Cut what stalls, now and later."""
        self._released.set()

    # what the log tells

    def requests(self, place: str = "") -> list[Seen]:
        with self._lock:
            return [seen for seen in self.log if place in ("", seen.place)]

    def ranges(self, path: str) -> list[tuple[int, int]]:
        """The bytes of a file that were sent, in order."""
        return [seen.sent for seen in self.requests() if seen.path == path and seen.sent is not None]

    def sent_twice(self) -> int:
        """How many bytes left more than once."""
        twice = 0
        for path in self.files:
            reached = 0
            for start, stop in sorted(self.ranges(path)):
                twice += max(0, min(stop, reached) - start)
                reached = max(reached, stop)
        return twice

    # what the servers ask

    def fault(self, subject: str) -> Fault:
        with self._lock:
            waiting = self.faults.get(subject, [])
            return waiting.pop(0) if waiting else self.always.get(subject, self.always.get("", Fault()))

    def note(self, seen: Seen) -> None:
        with self._lock:
            self.log.append(seen)

    def wait_for_the_client(self, connection: socket.socket) -> None:
        """Until the client has closed the connection, or is released."""
        self.stalled.set()
        connection.settimeout(0.05)
        while not self._released.is_set():
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def listing(self) -> dict[str, Any]:
        siblings = []
        for path, content in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            row: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git}
            if path.endswith(LARGE):
                sha256 = hashlib.sha256(content).hexdigest()
                row["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
            siblings.append(row)
        return {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "private": False, "siblings": siblings}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HostileHub
    place: str

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        seen = Seen(self.place, path, {name.lower(): value for name, value in self.headers.items()})
        if match := re.fullmatch(f"/api/models/{REPOSITORY}(/revision/[^/]+)?", path):
            seen.path = "listing"
        elif match := re.fullmatch(f"/{REPOSITORY}/resolve/{COMMIT}/(.+)", path) or re.fullmatch("/blob/(.+)", path):
            seen.path = match[1]
        self.hub.note(seen)
        if match is None or seen.path not in (*self.hub.files, "listing"):
            self._error(seen, Fault(status=404, headers=(("X-Error-Code", "EntryNotFound"),)))
        elif self.place == "hub" and seen.path.endswith(LARGE) and "blob" not in path:
            with_fault = self.hub.always.get(f"hub:{seen.path}")
            if with_fault:
                self._error(seen, with_fault)
            else:
                self._redirect(seen, f"{self.hub.storage}/blob/{seen.path}?X-Signature={SIGNATURE}")
        else:
            self._answer(seen, self.hub.fault(seen.path))

    def _answer(self, seen: Seen, fault: Fault) -> None:
        if fault.status:
            self._error(seen, fault)
        elif seen.path == "listing":
            self._send(seen, json.dumps(self.hub.listing()).encode() if fault.body is None else fault.body, fault)
        else:
            self._content(seen, self.hub.files[seen.path] if fault.body is None else fault.body, fault)

    def _content(self, seen: Seen, content: bytes, fault: Fault) -> None:
        start = 0
        if (asked := self.headers.get("Range")) and not fault.ignore_range:
            start = int(asked.removeprefix("bytes=").removesuffix("-")) + fault.wrong_range
        body = bytearray(content[start : len(content) - fault.short])
        if fault.corrupt:
            body[len(body) // 2] ^= 1
        headers = [("ETag", f'"{hashlib.md5(content).hexdigest()}"'), ("Accept-Ranges", "bytes")]
        if start:
            headers.append(("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(content)}"))
        seen.sent = (start, start)
        self._send(seen, bytes(body), fault, 206 if start else 200, headers)

    def _send(
        self, seen: Seen, body: bytes, fault: Fault, status: int = 200, headers: list[tuple[str, str]] | None = None
    ) -> None:
        seen.status = status
        self.send_response(status)
        for name, value in headers or []:
            self.send_header(name, value)
        if fault.unannounced:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = fault.after is not None
        body = body[: fault.after] if cut else body
        if fault.unannounced or cut:
            self.close_connection = True
        for first in range(0, len(body), 1 << 14):
            block = body[first : first + (1 << 14)]
            with suppress(OSError):
                self.wfile.write(block)
                if seen.sent is not None:
                    seen.sent = (seen.sent[0], seen.sent[1] + len(block))
                continue
            self.close_connection = True
            return
        if fault.stalls:
            self.hub.wait_for_the_client(self.connection)

    def _redirect(self, seen: Seen, location: str) -> None:
        self._empty(seen, 302, (("Location", location),))

    def _error(self, seen: Seen, fault: Fault) -> None:
        self._empty(seen, fault.status, fault.headers)

    def _empty(self, seen: Seen, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        seen.status = status
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()


def _serve(hub: HostileHub, place: str, certificate: Path | None) -> ThreadingHTTPServer:
    handler = type("Handler", (_Handler,), {"hub": hub, "place": place})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def seconds(action: Any) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
