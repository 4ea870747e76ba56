"""A server of its own for one benchmark, over real HTTP; standard library only."""

from __future__ import annotations

import copy
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BOUNDARY = "set-dresser-bench"


class Server:
    """A running server; `ready_seconds` is the time from its start to the handshake, `pid` its process."""

    def __init__(self, data: Path, *options: str, **variables: str) -> None:
        self._token = secrets.token_hex(16)
        environment = {**os.environ, "SET_DRESSER_TOKEN": self._token, **variables}
        command = [sys.executable, "-m", "backend", "serve", "--data", str(data), "--watch-stdin", *options]
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        handshake = json.loads(self._process.stdout.readline())
        self.ready_seconds = time.perf_counter() - began
        self._port = handshake["port"]
        self.pid = int(handshake["pid"])

    def speaking_as(self, token: str) -> Server:
        """The same server, asked with another token."""
        other = copy.copy(self)
        other._token = token
        return other

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()

    def close(self, seconds: float = 10.0) -> None:
        """End it in good order, within so many seconds. Raises subprocess.TimeoutExpired."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(seconds)

    def get(self, path: str) -> Any:
        """The JSON at `path`."""
        connection, response = self._ask("GET", path)
        with connection_closed(connection):
            return json.loads(response.read())

    def wait_until_warm(self, seconds: float = 60.0) -> None:
        """Until the worker is ready. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while self.get("/health")["worker"] != "ready":
            if time.monotonic() > give_up:
                raise TimeoutError("the worker did not become ready")
            time.sleep(0.02)

    def submit(
        self,
        image: bytes,
        instances: bytes,
        parameters: dict[str, Any] | None = None,
        pipeline: str = "inflate",
        name: str = "",
    ) -> str:
        """Submit a job; its id."""
        request = json.dumps({"pipeline": pipeline, "parameters": parameters or {}, "name": name}).encode()
        body = b""
        for name, file, content in (
            ("request", "", request),
            ("image", "image.png", image),
            ("instances", "instances.png", instances),
        ):
            disposition = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
            body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
        body += f"--{BOUNDARY}--\r\n".encode()
        content_type = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        connection, response = self._ask("POST", "/jobs", body, content_type)
        with connection_closed(connection):
            answer = json.loads(response.read())
        if response.status != 201:
            raise RuntimeError(answer["detail"])
        return str(answer["id"])

    def events(self, job: str) -> Iterator[tuple[float, str, dict[str, Any]]]:
        """(time of arrival, type, data) of every event until the job ends."""
        connection, response = self._ask("GET", f"/jobs/{job}/events")
        with connection_closed(connection):
            kind = ""
            for line in response:
                if line.startswith(b"event:"):
                    kind = line[6:].strip().decode()
                elif line.startswith(b"data:"):
                    yield time.perf_counter(), kind, json.loads(line[5:])

    def file(self, job: str, name: str) -> bytes:
        """A file of a job. Raises RuntimeError for one that is not there."""
        connection, response = self._ask("GET", f"/jobs/{job}/files/{name}")
        with connection_closed(connection):
            content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{name} of {job}: {response.status}")
        return content

    def result(self, job: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.get(f"/jobs/{job}/files/result.json")
        return answer

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        connection.request(method, path, body, {"Authorization": f"Bearer {self._token}", **(headers or {})})
        return connection, connection.getresponse()


@contextmanager
def connection_closed(connection: http.client.HTTPConnection) -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


@contextmanager
def running(data: Path, *options: str, **variables: str) -> Iterator[Server]:
    """A server that is ended afterwards. variables: of its environment."""
    server = Server(data, *options, **variables)
    try:
        yield server
    finally:
        server.close()
