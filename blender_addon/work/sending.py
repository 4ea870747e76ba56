"""The first part of a job's way: its pictures are taken, the server is started, and has the job."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..backend_process.server_process import ServerState
from ..capture import photos
from ..capture.capture import Capture
from ..capture.photos import PlannedPhotos
from ..capture.rendering import TAKING, Told
from ..ground import moments
from ..ground.messages import SetDresserError
from ..props import variants
from ..state.desk import Desk
from ..state.job import JobRecord
from ..wire.client import Client, ServerProblem, Uploaded
from ..wire.http_exchange import Exchange
from ..wire.tasks import Steps, T
from . import following, jobs, origins, uploading
from .line import AGAIN_SECONDS, Line

Files = Mapping[str, Sequence[Path | Uploaded]]
"""Of a form: names of parts, and what goes there."""


def submit(line: Line, record: JobRecord, request: dict[str, Any], taking: Steps[Capture], folder: Path) -> None:
    """Take a new job's pictures, send it as soon as the server is ready, and see it through; see `_submit`."""
    record.request = request
    jobs.run(line, record, _submit(line, record, request, taking, folder))


def again(line: Line, record: JobRecord, former: str, changes: dict[str, Any]) -> None:
    """As `submit`, with the inputs of a former job."""
    jobs.run(line, record, _again(line, record, former, changes))


def _submit(
    line: Line, record: JobRecord, request: dict[str, Any], taking: Steps[Capture], folder: Path
) -> Steps[None]:
    """A new job: take the pictures while the server starts if need be, send them, follow the job, bring the result in.

    Args:
        request: what does not depend on the pictures.
        taking: returns the `Capture`.
        folder: holds the shot's files; it is removed when they have been sent, or never will be.
    """
    try:
        if line.desk.server.state in (ServerState.STOPPED, ServerState.CRASHED):
            line.start_server()  # it takes as long as the pictures do
        shot: Capture = yield from taking
        record.block_outs, record.one_with = shot.block_outs, shot.one_with
        record.noticed, record.warnings = shot.warnings, [*record.warnings, *shot.warnings]
        record.left_out = shot.left_out
        yield from _submit_shot(line, record, {**request, **shot.request}, shot.files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from following.until_placed(line, record)


def _submit_shot(
    line: Line, record: JobRecord, request: dict[str, Any], pictures: Mapping[str, Sequence[Path]]
) -> Steps[None]:
    """Send what was taken; to a studio's server the larger files before the request that names them."""
    yield from client_for_new(line)
    for last in (False, True):
        files: Files = pictures
        if line.desk.server.remote:
            files = yield from uploading.send_first(line, record, pictures)

        def ask(client: Client, note: dict[str, Any], key: str, files: Files = files) -> Exchange:
            return client.submit({**request, **note}, files, key)

        try:
            yield from _send(line, record, ask)
        except ServerProblem as problem:
            if problem.code != "upload-not-found" or last:  # it was swept, as the server was away for a day
                raise
        else:
            return


def take(line: Line, record: JobRecord, steps: Callable[[Told], Steps[Capture]]) -> Steps[Capture]:
    """Take a picture while Blender lives: the panel tells what is going on, and cancelling is possible all the time."""
    shot = yield from held(line, steps(lambda message, fraction: _tell(line.desk, record, message, fraction)))
    _tell(line.desk, record, "", 0.0, "preparing")
    return shot


def take_photos(line: Line, record: JobRecord, planned: PlannedPhotos, folder: Path) -> Steps[Capture]:
    """`taken_photos` of a job."""

    def told(message: str, fraction: float) -> None:
        _tell(line.desk, record, message, fraction)

    shot = yield from taken_photos(line, planned, folder, told)
    _tell(line.desk, record, "", 0.0, "preparing")
    return shot


def taken_photos(line: Line, planned: PlannedPhotos, folder: Path, told: Told) -> Steps[Capture]:
    """Take one photo after the other; cancelling is possible all the time."""
    shots: list[Capture] = []
    count = len(planned.photos)
    for number, photo in enumerate(planned.photos):
        waiting = f"{photo.name}, {number + 1} of {count}"

        def tell(message: str, fraction: float, waiting: str = waiting, number: int = number) -> None:
            told(waiting if message == TAKING else message, (number + fraction) / count)

        tell(TAKING, 0.0)
        yield  # the panel shows it before Blender is held
        while reason := moments.capture_hindrance():
            tell(reason, 0.0)
            yield
        tell(TAKING, 0.0)
        shots.append((yield from held(line, photos.take(planned, number, folder / str(number), tell))))
    return photos.joined(planned, shots)


def held(line: Line, steps: Steps[T]) -> Steps[T]:
    """The same steps; how long each of them holds Blender is counted by itself."""
    try:
        while True:
            with line.holding(line.captures):
                next(steps)
            yield
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        steps.close()


def _tell(desk: Desk, record: JobRecord, message: str, fraction: float, state: str = "capturing") -> None:
    if (record.state, record.message, record.fraction) != (state, message, fraction):
        record.state, record.message, record.fraction = state, message, fraction
        desk.changed()


def _again(line: Line, record: JobRecord, former: str, changes: dict[str, Any]) -> Steps[None]:
    """A new job with the inputs of a former one, which lie on the server."""
    try:
        yield from client_for_new(line)
        yield from _send(line, record, lambda client, note, key: client.again(former, {**changes, **note}, key))
    except ServerProblem as problem:
        if problem.code not in ("job-not-found", "inputs-gone"):
            raise
        message = "The pictures that this was made from are not kept any more."
        hint = "Generate it anew from its block-out, its picture or its text."
        raise SetDresserError(message, hint, problem.code, problem.report()) from problem
    if record.variant_of:
        variants.await_job(record.variant_of, record.id)
    yield from following.until_placed(line, record)


Asking = Callable[[Client, dict[str, Any], str], Exchange]
"""Makes the request for a new job; of the member that tells where the job is made, and the key of the request."""


def client_for_new(line: Line) -> Steps[Client]:
    """Start the server if need be. One of a studio that was there and is away is waited for; one that was never reached
    is an error, as its address may be wrong."""
    server = line.desk.server
    if server.remote and server.met and server.away:
        return (yield from line.patient_client())
    return (yield from line.ready_client())


def _send(line: Line, record: JobRecord, ask: Asking) -> Steps[None]:
    """Have the server take the job."""
    while jobs.older_unsent(line.desk, record):  # the server's queue has the order of the presses
        yield
    jobs.adopt(line, record, (yield from _make(line, record, ask)))
    if record.cancelling:
        yield from jobs.tell_cancelled(line, record)


def _make(line: Line, record: JobRecord, ask: Asking) -> Steps[Any]:
    """Over a line that may be cut after the request has gone and before its answer has come, it is asked again: with
    the same key, by which the server knows the job that it may have."""
    key = uuid.uuid4().hex
    while True:
        client = yield from line.patient_client()
        record.state = "sending"
        try:
            return (yield from line.finish(ask(client, origins.note(record), key)))
        except SetDresserError as problem:
            if not line.endures(problem):
                raise
        record.state = "preparing"
        line.desk.changed()
        yield from line.tasks.pause(AGAIN_SECONDS)
