"""The larger files of a shot go to a studio's server before the request that names them: by their hash, each once, and
on from where the line was cut (docs/api.md, "Large files over slow lines")."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..ground.messages import SetDresserError
from ..state.job import JobRecord
from ..wire.client import ServerProblem, Uploaded, answer
from ..wire.http_exchange import SLICE, Exchange
from ..wire.tasks import Steps
from .line import AGAIN_SECONDS, Line

LARGE = 256 * 1024
"""Bytes of a file that is sent before."""

MOST_INSIDE = 1024 * 1024
"""Bytes of the files that go inside the request, which is sent as a whole or not at all."""

DAMAGED = 2
"""So often a file may be damaged on its way."""

MESSAGE = "Sending the pictures"


def send_first(
    line: Line, record: JobRecord, files: Mapping[str, Sequence[Path]]
) -> Steps[Mapping[str, Sequence[Path | Uploaded]]]:
    """Have the larger files on the server; returns what the request has of each. All of them go inside the request
    where the server takes none before."""
    sizes = {path: path.stat().st_size for paths in files.values() for path in paths}
    before = _chosen(sizes)
    total, done = sum(sizes[path] for path in before), 0
    named: dict[Path, Uploaded] = {}

    def tell(count: int) -> None:
        fraction = min((done + count) / total, 1.0)
        if (record.state, record.message, round(record.fraction, 2)) != ("capturing", MESSAGE, round(fraction, 2)):
            record.state, record.message, record.fraction = "capturing", MESSAGE, fraction
            line.desk.changed()

    try:
        for path in before:
            tell(0)
            named[path] = Uploaded((yield from _hash(line, path)))
            yield from _send(line, path, named[path].sha256, sizes[path], tell)
            done += sizes[path]
    except ServerProblem as problem:
        if problem.status != 404:
            raise
        named = {}
    finally:
        record.state, record.message, record.fraction = "preparing", "", 0.0
        line.desk.changed()
    return {part: [named.get(path, path) for path in paths] for part, paths in files.items()}


def _chosen(sizes: Mapping[Path, int]) -> list[Path]:
    """Which files are sent before, so that the rest is small."""
    inside, found = sum(sizes.values()), []
    for path in sorted(sizes, key=lambda each: -sizes[each]):
        if sizes[path] and (sizes[path] >= LARGE or inside > MOST_INSIDE):
            found.append(path)
            inside -= sizes[path]
    return found


def _hash(line: Line, path: Path) -> Steps[str]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(SLICE):
            digest.update(data)
            if time.perf_counter() >= line.tasks.deadline:
                yield
    return digest.hexdigest()


def _send(line: Line, path: Path, sha256: str, size: int, tell: Callable[[int], None]) -> Steps[None]:
    damaged = 0
    while True:
        view = yield from line.patiently(lambda client: client.upload(sha256))
        if view["complete"]:
            return
        first = int(view["received"]) if int(view["received"]) < size else 0
        client = yield from line.patient_client()
        try:
            view = yield from _finish(line, client.send_upload(sha256, path, first, size), first, tell)
            if view["complete"]:
                return
        except SetDresserError as problem:
            damaged += problem.code == "upload-damaged"
            again = problem.code == "upload-out-of-step" or 0 < damaged < DAMAGED
            if not again and not line.endures(problem):
                raise
        yield from line.tasks.pause(AGAIN_SECONDS)


def _finish(line: Line, exchange: Exchange, first: int, tell: Callable[[int], None]) -> Steps[Any]:
    """`Line.finish`, which tells how far it is."""
    try:
        while not exchange.advance(line.tasks.deadline):
            tell(first + exchange.sent)
            yield
    finally:
        exchange.close()
    return answer(exchange)
