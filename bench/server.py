"""A server of its own for one benchmark, and what is said to it over real HTTP; standard library only."""

from __future__ import annotations

import http.client
import json
import math
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
BOUNDARY = "set-dresser-bench"


class Told(NamedTuple):
    """An event of a job; `moment`: of its arrival, by `time.perf_counter`."""

    moment: float
    kind: str
    data: dict[str, Any]
    id: int


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


class Refused(RuntimeError):
    """The server has answered with a problem document."""

    def __init__(self, answer: Answer) -> None:
        document = json.loads(answer.body)
        super().__init__(document["detail"])
        self.status = answer.status
        self.code = str(document["code"])


class Client:
    """Whoever has a token, at a port of this machine; every request has a connection of its own.

    Raises OSError and http.client.HTTPException where the line is cut.
    """

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._token = token

    def get(self, path: str) -> Any:
        """The JSON at `path`. Raises Refused."""
        return json.loads(self.ask("GET", path).body)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request. Raises Refused."""
        with self.asked(method, path, body, headers) as response:
            answer = Answer(response.status, response.headers, response.read())
        if answer.status >= 400:
            raise Refused(answer)
        return answer

    @contextmanager
    def asked(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer of which nothing but the head was read; the line is cut where the block ends."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self._token}", **(headers or {})})
            yield connection.getresponse()
        finally:
            connection.close()

    def submit(
        self,
        image: bytes | str,
        instances: bytes,
        parameters: dict[str, Any] | None = None,
        pipeline: str = "inflate",
        name: str = "",
    ) -> str:
        """Submit a job; its id. image: a picture, or the SHA-256 of one that was sent before. Raises Refused."""
        request = json.dumps({"pipeline": pipeline, "parameters": parameters or {}, "name": name}).encode()
        body = b""
        for part, content in (("request", request), ("image", image), ("instances", instances)):
            file = f'; filename="{part}.png"' if part != "request" and isinstance(content, bytes) else ""
            data = content if isinstance(content, bytes) else f"sha256:{content}".encode()
            disposition = f'form-data; name="{part}"{file}'
            body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + data + b"\r\n"
        body += f"--{BOUNDARY}--\r\n".encode()
        content_type = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        return str(json.loads(self.ask("POST", "/jobs", body, content_type).body)["id"])

    def events(self, job: str, after: int = 0, seconds: float = math.inf) -> Iterator[Told]:
        """Every event with an id above `after` until the job ends. Raises Refused, and TimeoutError after so long."""
        give_up = time.monotonic() + seconds
        with self.asked("GET", f"/jobs/{job}/events", headers={"Last-Event-ID": str(after)}) as response:
            if response.status != 200:
                raise Refused(Answer(response.status, response.headers, response.read()))
            kind, number = "", 0
            for line in response:  # a heartbeat comes every ten seconds
                if time.monotonic() > give_up:
                    raise TimeoutError(f"the job {job} has not ended in {seconds:g} s")
                if line.startswith(b"event:"):
                    kind = line[6:].strip().decode()
                elif line.startswith(b"id:"):
                    number = int(line[3:])
                elif line.startswith(b"data:"):
                    yield Told(time.perf_counter(), kind, json.loads(line[5:]), number)

    def result(self, job: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.get(f"/jobs/{job}/files/result.json")
        return answer


class Server(Client):
    """A running server; `ready_seconds` is the time from its start to the handshake, `pid` its process.

    token: that of the client, where the server has users. log: a file for its standard error. variables: of its
    environment.
    """

    def __init__(
        self,
        data: Path,
        *options: str,
        token: str | None = None,
        log: Path | None = None,
        variables: Mapping[str, str] = {},
    ) -> None:
        token = token or secrets.token_hex(16)
        environment = {**os.environ, "SET_DRESSER_TOKEN": token, **variables}
        command = [sys.executable, "-m", "backend", "serve", "--data", str(data), "--watch-stdin", *options]
        began = time.perf_counter()
        errors = log.open("ab") if log else None
        try:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                process_group=0,  # a Ctrl-C is for the benchmark, which ends the server
            )
        finally:
            if errors:
                errors.close()
        assert self._process.stdout is not None
        try:
            handshake = json.loads(self._process.stdout.readline())
        except BaseException:
            self.kill()
            raise
        self.ready_seconds = time.perf_counter() - began
        self.pid = int(handshake["pid"])
        super().__init__(handshake["port"], token)

    def close(self, seconds: float = 10.0) -> None:
        """In good order. Raises subprocess.TimeoutExpired where it does not leave in time, and ends it by force."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._close_pipes()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def _close_pipes(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def wait_until_warm(self, seconds: float = 60.0) -> None:
        """Until the worker is ready. Raises TimeoutError."""
        give_up = time.monotonic() + seconds
        while self.get("/health")["worker"] != "ready":
            if time.monotonic() > give_up:
                raise TimeoutError("the worker did not become ready")
            time.sleep(0.02)


@contextmanager
def running(data: Path, *options: str, **variables: str) -> Iterator[Server]:
    """A server that is ended afterwards. variables: of its environment."""
    server = Server(data, *options, variables=variables)
    try:
        yield server
    finally:
        server.close()
