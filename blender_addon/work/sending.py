"""The first part of a job's way: its pictures are taken, the server is started, and has the job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backend_process.server_process import ServerState
from ..capture import photos
from ..capture.capture import Capture
from ..capture.photos import Sitting
from ..capture.rendering import TAKING, Told
from ..ground import moments
from ..ground.messages import SetDresserError
from ..props import variants
from ..wire.client import Client, ServerProblem, answer
from ..wire.http_exchange import Exchange
from ..wire.tasks import Steps
from . import jobs
from .jobs import JobRecord

if TYPE_CHECKING:
    from ..session import Session


def run(session: Session, record: JobRecord, request: dict[str, Any], taking: Steps, folder: Path) -> Steps:
    """A new job: take the pictures while the server starts if need be, send them, follow the job, bring the result in.

    Args:
        request: what does not depend on the pictures.
        taking: returns the `Capture`.
        folder: holds the shot's files; it is removed when they have been sent, or never will be.
    """
    try:
        if session.server.state in (ServerState.STOPPED, ServerState.CRASHED):
            session.start_server()  # it takes as long as the pictures do
        shot: Capture = yield from taking
        record.block_outs, record.one_with = shot.block_outs, shot.one_with
        record.noticed, record.warnings = shot.warnings, [*record.warnings, *shot.warnings]
        record.left_out = shot.left_out
        yield from _send(session, record, lambda client: client.submit({**request, **shot.request}, shot.files))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from jobs.attend(session, record)


def take(session: Session, record: JobRecord, steps: Callable[[Told], Steps]) -> Steps:
    """Take a picture while Blender lives: the panel tells what is going on, and cancelling is possible all the time."""
    shot = yield from _held(session, steps(lambda message, fraction: _tell(session, record, message, fraction)))
    _tell(session, record, "", 0.0, "preparing")
    return shot


def take_photos(session: Session, record: JobRecord, sitting: Sitting, folder: Path) -> Steps:
    """Take one photo after the other; cancelling is possible all the time."""
    shots: list[Capture] = []
    count = len(sitting.photos)
    for number, photo in enumerate(sitting.photos):
        waiting = f"{photo.name}, {number + 1} of {count}"

        def tell(message: str, fraction: float, waiting: str = waiting, number: int = number) -> None:
            _tell(session, record, waiting if message == TAKING else message, (number + fraction) / count)

        tell(TAKING, 0.0)
        yield  # the panel shows it before Blender is held
        while reason := moments.capture_hindrance():
            tell(reason, 0.0)
            yield
        tell(TAKING, 0.0)
        shots.append((yield from _held(session, photos.take(sitting, number, folder / str(number), tell))))
    _tell(session, record, "", 0.0, "preparing")
    return photos.joined(sitting, shots)


def _held(session: Session, steps: Steps) -> Steps:
    """The same steps; how long each of them holds Blender is counted by itself."""
    try:
        while True:
            with session.holding(session.captures):
                next(steps)
            yield
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _tell(session: Session, record: JobRecord, message: str, fraction: float, state: str = "capturing") -> None:
    if (record.state, record.message, record.fraction) != (state, message, fraction):
        record.state, record.message, record.fraction = state, message, fraction
        session.changed()


def run_again(session: Session, record: JobRecord, former: str, changes: dict[str, Any]) -> Steps:
    """A new job with the inputs of a former one, which lie on the server."""
    try:
        yield from _send(session, record, lambda client: client.again(former, changes))
    except ServerProblem as problem:
        if problem.code not in ("job-not-found", "inputs-gone"):
            raise
        message = "The pictures that this was made from are not kept any more."
        hint = "Generate it anew from its block-out, its picture or its text."
        raise SetDresserError(message, hint, problem.code, problem.report()) from problem
    if record.variant_of:
        variants.await_job(record.variant_of, record.id)
    yield from jobs.attend(session, record)


def _send(session: Session, record: JobRecord, ask: Callable[[Client], Exchange]) -> Steps:
    """Start the server if need be, and have it take the job."""
    client = yield from session.ready_client()
    while session.older_unsent(record):  # the server's queue has the order of the presses
        yield
    record.state = "sending"
    exchange = ask(client)
    yield from session.tasks.finish(exchange)
    session.adopt(record, answer(exchange))
    if record.cancelling:
        yield from jobs.cancel(session, record)
