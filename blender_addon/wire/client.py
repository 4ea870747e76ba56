"""The backend's HTTP contract (docs/api.md) as exchanges that somebody else advances."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..ground.messages import SetDresserError
from .endpoints import Endpoint
from .http_exchange import PATIENCE, Exchange, FilePart, Piece, Timeouts
from .http_framing import ConnectionProblem
from .sinks import FileSink, ResumedFile, Sink

PROTOCOL_VERSION = 1
"""Version of the contract this add-on speaks; the backend tells its own in the handshake."""

EVENT_LIMIT = 1024 * 1024
ANSWER_LIMIT = 16 * 1024 * 1024
FILE_LIMIT = 4 * 1024**3
HEALTH_TIMEOUTS = Timeouts(connect=5.0, silence=8.0)
PAGE = 100
"""Jobs in one answer."""

HEARTBEAT_SILENCE = 60.0
"""An event stream is kept alive by comments; after this long without one the backend hangs."""


class ServerProblem(SetDresserError):
    """The backend refused: its problem document (RFC 9457) as an error."""

    def __init__(self, status: int, title: str, detail: str, hint: str, code: str) -> None:
        super().__init__(detail or title, hint, code, f"HTTP {status}: {title}")
        self.status = status
        self.title = title
        self.weights = ""
        """The model that is at fault, where it is one."""

    @classmethod
    def from_document(cls, document: Mapping[str, Any], status: int = 500) -> ServerProblem:
        """The problem that a document tells of; members that are missing are left empty."""

        def text(key: str) -> str:
            value = document.get(key, "")
            return value if isinstance(value, str) else json.dumps(value)

        title = text("title") or "The backend refused"
        problem = cls(status, title, text("detail"), text("hint"), text("code") or "internal")
        problem.weights = text("weights")
        return problem


@dataclass(frozen=True)
class ServerEvent:
    """One server-sent event. `id` counts from 1 within a job; 0 if it came without."""

    id: int
    type: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Uploaded:
    """A file of a request that the server has already."""

    sha256: str


class EventParser:
    """A sink that reads server-sent events (WHATWG HTML, section 9.2) from whatever pieces arrive.

    Lines may be cut anywhere, also inside a UTF-8 character. What has come is fetched by `take()`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._events: list[ServerEvent] = []
        self._forget()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """It is always a stream."""

    def write(self, data: bytes) -> None:
        self._buffer += data
        while (cut := self._line_end()) is not None:
            end, following = cut
            line = self._buffer[:end].decode("utf-8", "replace")
            del self._buffer[:following]
            self._line(line)
        if len(self._buffer) + sum(map(len, self._data)) > EVENT_LIMIT:
            raise ConnectionProblem(
                "An event of the backend is too large.", "Stop the backend and start it again.", "too-large"
            )

    def finish(self) -> None:
        """The stream has ended; an event that was not closed by an empty line does not count."""

    def abandon(self) -> None:
        """The stream was cut; what came whole can still be taken."""

    def take(self) -> list[ServerEvent]:
        """The events since the last call."""
        events, self._events = self._events, []
        return events

    def _line_end(self) -> tuple[int, int] | None:
        """(end of the first line, start of the next): lines end in \\n, \\r\\n or \\r."""
        ends = [at for at in (self._buffer.find(b"\n"), self._buffer.find(b"\r")) if at >= 0]
        if not ends:
            return None
        end = min(ends)
        if self._buffer[end : end + 1] == b"\r":
            if end + 1 == len(self._buffer):
                return None  # a \n may follow
            if self._buffer[end + 1 : end + 2] == b"\n":
                return end, end + 2
        return end, end + 1

    def _line(self, line: str) -> None:
        if not line:
            self._dispatch()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._type = value
        elif field == "id" and value.isascii() and value.isdigit():
            self._id = int(value)

    def _dispatch(self) -> None:
        if self._data:
            try:
                data = json.loads("\n".join(self._data))
            except ValueError as error:
                raise _not_understood("an event is not JSON") from error
            if not isinstance(data, dict):
                raise _not_understood("an event is not an object")
            self._events.append(ServerEvent(self._id, self._type, data))
        self._forget()

    def _forget(self) -> None:
        self._id, self._type = 0, "message"
        self._data: list[str] = []


class Client:
    """Makes the requests. Nothing is sent until the exchange is advanced.

    `answer(exchange)` reads what has come back.
    """

    def __init__(self, endpoint: Endpoint, token: str, timeouts: Timeouts = PATIENCE) -> None:
        self.endpoint = endpoint
        self._token = token
        self._timeouts = timeouts

    def get(self, target: str) -> Exchange:
        return self._exchange("GET", target)

    def health(self) -> Exchange:
        """Whether it answers at all."""
        return self._exchange("GET", "/health", timeouts=HEALTH_TIMEOUTS)

    def rest(self) -> Exchange:
        """Give memory back, unless a job runs."""
        return self._exchange("POST", "/rest")

    def models(self) -> Exchange:
        return self.get("/models")

    def get_model(self, identifier: str, accept_licence: bool) -> Exchange:
        """Download a model, or go on with that."""
        body = json.dumps({"accept_licence": accept_licence}).encode()
        return self._exchange("POST", _model(identifier), {"Content-Type": "application/json"}, body=[body])

    def pause_model(self, identifier: str) -> Exchange:
        return self._exchange("DELETE", f"{_model(identifier)}/download")

    def verify_model(self, identifier: str) -> Exchange:
        return self._exchange("POST", f"{_model(identifier)}/verify")

    def remove_model(self, identifier: str) -> Exchange:
        return self._exchange("DELETE", _model(identifier))

    def pipelines(self) -> Exchange:
        return self.get("/pipelines")

    def preparations(self) -> Exchange:
        return self.get("/preparations")

    def jobs(self, before: str = "", limit: int = PAGE) -> Exchange:
        """The newest jobs, at most so many of them; with `before` those that are older than that job."""
        return self.get(f"/jobs?limit={limit}" + (f"&before={quote(before, safe='')}" if before else ""))

    def job(self, identifier: str) -> Exchange:
        return self.get(_job(identifier))

    def cancel(self, identifier: str) -> Exchange:
        """Cancel a job; an ended one stays as it is."""
        return self._exchange("DELETE", _job(identifier))

    def prioritise(self, identifier: str, priority: int) -> Exchange:
        """Have a job go before others that wait, or after them; or rest, see `state.job.RESTING`."""
        body = json.dumps({"priority": priority}).encode()
        return self._exchange("POST", f"{_job(identifier)}/priority", {"Content-Type": "application/json"}, body=[body])

    def finish(self, identifier: str) -> Exchange:
        """Have a running job end early with what it has."""
        return self._exchange("POST", f"{_job(identifier)}/finish")

    def go_on(self, identifier: str) -> Exchange:
        """Have an ended job go on from where it was."""
        return self._exchange("POST", f"{_job(identifier)}/continue")

    def forget(self, identifier: str) -> Exchange:
        """Remove an ended job with its files."""
        return self._exchange("DELETE", f"{_job(identifier)}?forget=true")

    def submit(
        self, request: Mapping[str, Any], files: Mapping[str, Sequence[Path | Uploaded]], key: str = ""
    ) -> Exchange:
        """POST /jobs. `files`: "image", one or several, and "instances" and "depth" where there are any. Sent again
        with the same `key` it makes no second job."""
        boundary = secrets.token_hex(16)
        parts: list[tuple[str, str, bytes | Path | Uploaded]] = [
            ("request", "application/json", json.dumps(request, allow_nan=False).encode())
        ]
        parts += [(name, "application/octet-stream", path) for name, paths in files.items() for path in paths]
        content_type = f"multipart/form-data; boundary={boundary}"
        headers = {"Content-Type": content_type, **_keyed(key)}
        return self._exchange("POST", "/jobs", headers, body=_multipart(boundary, parts))

    def upload(self, sha256: str) -> Exchange:
        """How much the server has of a file that is sent before its request."""
        return self.get(f"/uploads/{sha256}")

    def send_upload(self, sha256: str, path: Path, first: int, total: int) -> Exchange:
        """The bytes of a file from number `first` on."""
        headers = {"Content-Type": "application/octet-stream", "Content-Range": f"bytes {first}-{total - 1}/{total}"}
        return self._exchange("PUT", f"/uploads/{sha256}", headers, body=[FilePart(path, first)])

    def again(self, identifier: str, changes: Mapping[str, Any], key: str = "") -> Exchange:
        """A new job with the inputs of another one; `key` as for `submit`."""
        body, headers = json.dumps(changes, allow_nan=False).encode(), {"Content-Type": "application/json"}
        return self._exchange("POST", f"{_job(identifier)}/again", {**headers, **_keyed(key)}, body=[body])

    def storage(self, tried: int | None = None) -> Exchange:
        """What the jobs hold of the disk, and what a limit that is only tried would remove."""
        return self.get("/storage" if tried is None else f"/storage?keep_bytes={tried}")

    def limit_storage(self, keep_bytes: int | None) -> Exchange:
        """Have old jobs removed when all hold more."""
        body = json.dumps({"keep_bytes": keep_bytes}).encode()
        return self._exchange("PUT", "/storage", {"Content-Type": "application/json"}, body=[body])

    def answer(self, identifier: str, answer: Mapping[str, Any]) -> Exchange:
        """Answer the question of a job."""
        body = json.dumps({"answer": answer}, allow_nan=False).encode()
        return self._exchange("POST", f"{_job(identifier)}/input", {"Content-Type": "application/json"}, body=[body])

    def contact_sheet(self, document: Mapping[str, Any], path: Path) -> Exchange:
        """The sheet of several jobs, a zip, into `path`: there whole or not at all."""
        body, headers = json.dumps(document, allow_nan=False).encode(), {"Content-Type": "application/json"}
        return self._exchange("POST", "/contact-sheet", headers, body=[body], sink=FileSink(path), limit=FILE_LIMIT)

    def events(self, identifier: str, last: int, parser: EventParser) -> Exchange:
        """The job's events after number `last`, written into `parser` as they happen."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(last)}
        timeouts = Timeouts(self._timeouts.connect, HEARTBEAT_SILENCE)
        return self._exchange(
            "GET", f"{_job(identifier)}/events", headers, sink=parser, timeouts=timeouts, limit=FILE_LIMIT
        )

    def download(self, identifier: str, name: str, path: Path, limit: int = FILE_LIMIT) -> Exchange:
        """A file of a finished job, or one that a question or a preview mentions, into `path`: there whole or not at
        all. limit: most bytes."""
        target = f"{_job(identifier)}/files/{quote(name, safe='')}"
        return self._exchange("GET", target, sink=FileSink(path), limit=limit)

    def resume(self, identifier: str, name: str, file: ResumedFile) -> Exchange:
        """The same, on from what has come of it."""
        target = f"{_job(identifier)}/files/{quote(name, safe='')}"
        return self._exchange("GET", target, file.asked, sink=file, limit=FILE_LIMIT)

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        body: Sequence[Piece] = (),
        sink: Sink | None = None,
        timeouts: Timeouts | None = None,
        limit: int = ANSWER_LIMIT,
    ) -> Exchange:
        return Exchange(
            self.endpoint,
            method,
            target,
            headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
            body=body,
            sink=sink,
            timeouts=timeouts or self._timeouts,
            limit=limit,
        )


def answer(exchange: Exchange) -> Any:
    """The JSON of a finished exchange; None without a body. Raises ServerProblem for a status of 400 and above,
    ConnectionProblem if it is not JSON."""
    if exchange.status >= 400:
        raise ServerProblem.from_document(_document(exchange), exchange.status)
    if not 200 <= exchange.status < 300:
        raise _not_understood(f"status {exchange.status} is not part of the contract")
    if not exchange.body:
        return None
    try:
        return json.loads(exchange.body)
    except ValueError as error:
        raise _not_understood("it is not JSON") from error


def _document(exchange: Exchange) -> dict[str, Any]:
    try:
        document = json.loads(exchange.body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    text = exchange.body[:300].decode("utf-8", "replace").strip()
    return {"title": f"The backend refused with status {exchange.status}", "detail": text}


def _not_understood(why: str) -> ConnectionProblem:
    hint = "Stop the backend and start it again; if it happens again, install add-on and backend anew."
    return ConnectionProblem(f"The backend's answer cannot be understood: {why}.", hint, "invalid")


def _job(identifier: str) -> str:
    return f"/jobs/{quote(identifier, safe='')}"


def _keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def _model(identifier: str) -> str:
    return f"/models/{quote(identifier, safe='')}"


def _multipart(boundary: str, parts: Sequence[tuple[str, str, bytes | Path | Uploaded]]) -> list[Piece]:
    """multipart/form-data (RFC 7578). File names stay here: they may tell more than the server needs."""
    pieces: list[Piece] = []
    for name, content_type, content in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(content, Uploaded):
            pieces.append(f"{head}\r\n\r\nsha256:{content.sha256}\r\n".encode())
        else:
            head = f'{head}; filename="{name}"\r\nContent-Type: {content_type}\r\n\r\n'
            pieces += [head.encode(), content, b"\r\n"]
    return [*pieces, f"--{boundary}--\r\n".encode()]
