"""Requests that nobody means well with, made from a seed: bytes as they go over the wire."""

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.backend.small_pictures import cut_out

ODD_TEXTS = [
    "",
    "\0",
    "é" * 50,
    "a" * 300,
    "\u202e",
    "../../etc/passwd",
    "%00",
    "'; DROP TABLE jobs",
    "\U0001f6cb",
    "NaN",
]
ODD_NUMBERS = [0, -1, 1, 2**31, 2**63, 2**64, 10**300, -(10**300), 0.5, 1e-320, 1e300, True, False, None]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW", "get", "P\x7fST"]
JOB = "0123456789abcdef01234567"
PATHS = [
    *("/health", "/pipelines", "/preparations", "/jobs", "/storage", "/rest", "/models", "/openapi.json", "*", "/", ""),
    *(
        f"/jobs/{JOB}",
        f"/jobs/{JOB}/events",
        f"/jobs/{JOB}/again",
        f"/jobs/{JOB}/input",
        f"/jobs/{JOB}/files/scene.glb",
    ),
    *(
        "/models/rmbg",
        "/models/%ff/verify",
        "/models/x/download",
        "/jobs?limit=-1",
        "/jobs?limit=%ed%a0%80",
        "/jobs/%ed%a0%80",
    ),
    *("//evil.example/health", "http://127.0.0.1/health", "/jobs/%00/files/%00", "/%f0%9f", "/health?" + "a" * 5000),
]
ODD_LINES = [
    *("Last-Event-ID: \xff", "Content-Length: -1", "Content-Length: 99999999999999999999", "Transfer-Encoding: gzip"),
    *("Expect: 100-continue", "Upgrade: websocket\r\nConnection: Upgrade", "Connection: close", "X" * 40_000),
    *("Host: evil.example", "Authorization: Bearer x", "Range: bytes=0-", "Content-Type: \xff/\xff", ": empty"),
]
LONE = '"\\ud800"'
"""Half a surrogate pair, in JSON."""


class Hostile:
    """A generator of requests for the server on `port`."""

    def __init__(self, seed: int, port: int, token: str) -> None:
        self._chance = random.Random(seed)
        self._port = port
        self._token = token

    def requests(self, count: int) -> Iterator[bytes]:
        kinds = [self._form, self._document, self._address, self._head, self._noise, self._framing]
        for _ in range(count):
            yield self._chance.choice(kinds)()

    def _pick(self, *choices: Any) -> Any:
        return self._chance.choice(choices)

    def _value(self, depth: int = 0) -> Any:
        kind = self._chance.randrange(6 if depth < 4 else 3)
        if kind < 2:
            return self._pick(*ODD_TEXTS)
        if kind == 2:
            return self._pick(*ODD_NUMBERS)
        if kind < 5:
            return [self._value(depth + 1) for _ in range(self._chance.randrange(4))]
        return {self._pick("id", "name", "color", "fx", *ODD_TEXTS): self._value(depth + 1) for _ in range(3)}

    def _json(self, good: dict[str, Any]) -> bytes:
        """A good document with some of its values replaced, or broken."""
        document = dict(good)
        for _ in range(self._chance.randrange(4)):
            document[self._pick(*good, "surprise", *ODD_TEXTS[:3])] = self._value()
        text = json.dumps(document)
        way = self._chance.randrange(12)
        if way == 0:
            text = text[: self._chance.randrange(len(text))]
        elif way == 1:
            text = text.replace('"', LONE, 1).replace("{", "[" * 500, 1)
        elif way == 2:
            place = self._pick(*good)
            text = text.replace("{", f'{{"{place}": {self._pick(LONE, "1e999", "NaN", "-Infinity", "9" * 5000)}, ', 1)
        elif way == 3:
            text = text.replace("{", f"{{{LONE}: 1, ", 1)
        return text.encode("utf-8", "surrogatepass")

    def _form(self) -> bytes:
        camera = {"fx": 50.0, "fy": 50.0, "cx": 16, "cy": 16, "width": 32, "height": 32}
        camera["world_from_camera"] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
        if self._chance.random() < 0.5:
            camera[self._pick(*camera)] = self._value()
        good = {"pipeline": "inflate", "parameters": {}, "seed": 1, "camera": camera, "name": "x"}
        good |= {"instances": [], "photos": [], "only": [], "prepare": {}}
        boundary = b"xyz"
        picture = bytearray(cut_out())
        for _ in range(self._chance.randrange(5)):
            picture[self._chance.randrange(len(picture))] = self._chance.randrange(256)
        parts = [(b'name="request"', self._json(good)), (b'name="image"; filename="a"', bytes(picture))]
        if self._chance.random() < 0.3:
            names = (
                b'name="depth"; filename="\xff"',
                b'name="instances"',
                b'name="\xed\xa0\x80"; filename=""',
                b"name",
                b"",
            )
            parts.append((self._pick(*names), self._pick(b"", b"\x93NUMPY", bytes(picture), b"\0" * 1000)))
        body = b"".join(
            b"--" + boundary + b"\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n"
            for head, data in parts
        )
        kinds = (*["xyz"] * 16, "xyz; charset=unicode_escape", "xyz; charset=punycode", "abc", '"', "x" * 300)
        kind = f"multipart/form-data; boundary={self._pick(*kinds)}"
        return self._whole("POST", "/jobs", body + self._pick(*[b"--xyz--\r\n"] * 8, b"", b"--xyz"), kind)

    def _document(self) -> bytes:
        bodies = [
            ("POST", f"/jobs/{JOB}/again", {"seed": 1, "only": [1], "parameters": {}, "pipeline": "inflate"}),
            ("POST", f"/jobs/{JOB}/input", {"answer": {"chosen": [1]}}),
            ("PUT", "/storage", {"keep_bytes": None}),
            ("POST", "/models/nothing", {"accept_licence": True}),
        ]
        method, path, good = self._pick(*bodies)
        kind = self._pick("application/json", "application/json", "application/json; charset=utf-16", "text/plain", "")
        return self._whole(method, path, self._json(good), kind)

    def _address(self) -> bytes:
        return self._whole(self._pick(*METHODS), self._pick(*PATHS), b"", "")

    def _head(self) -> bytes:
        odd = self._pick(*ODD_LINES)
        return self._whole(self._pick("GET", "POST", "PUT"), self._pick(*PATHS), b"", "", odd)

    def _noise(self) -> bytes:
        return self._pick(self._chance.randbytes(200), b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01" * 50)

    def _framing(self) -> bytes:
        """Bodies that lie about their length, and what comes after a whole request."""
        good = self._whole("GET", "/health", b"", "")
        chunked = self._whole("PUT", "/storage", b"", "application/json", "Transfer-Encoding: chunked")
        tails = (b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}", b"ffffffffffffffffff\r\n", b"0\r\n\r\n", b"-1\r\n")
        longer = self._whole("PUT", "/storage", b'{"keep_bytes": null}', "application/json").replace(
            b"20\r\n", b"90\r\n"
        )
        return self._pick(good + self._chance.randbytes(40), good + good[:30], chunked + self._pick(*tails), longer)

    def _whole(self, method: str, path: str, body: bytes, kind: str, more: str = "") -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Authorization: Bearer {self._token}"]
        lines += [f"Content-Type: {kind}"] * bool(kind) + [more] * bool(more)
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
