"""The first part of a job's way: its pictures are taken, the server is started, and has the job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import jobs, moments, photos, variants
from .capture import Capture
from .client import Client, ServerProblem, answer
from .http_exchange import Exchange
from .jobs import JobRecord
from .messages import SetDresserError
from .photos import Sitting
from .tasks import Steps

if TYPE_CHECKING:
    from .session import Session


def run(session: Session, record: JobRecord, request: dict[str, Any], taking: Steps, folder: Path) -> Steps:
    """A new job: take the pictures, start the server if need be, send them, follow the job, bring the result in.

    Args:
        request: what does not depend on the pictures.
        taking: returns the `Capture`.
        folder: holds the shot's files; it is removed when they have been sent, or never will be.
    """
    try:
        shot: Capture = yield from taking
        record.block_outs, record.one_with = shot.block_outs, shot.one_with
        record.warnings += [{"code": "capture", "message": text, "hint": ""} for text in shot.warnings]
        yield from _send(session, record, lambda client: client.submit({**request, **shot.request}, shot.files))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield from jobs.attend(session, record)


def taken(shot: Capture) -> Steps:
    """A shot that was taken already."""
    return shot
    yield


def take_photos(session: Session, record: JobRecord, sitting: Sitting, folder: Path) -> Steps:
    """Take one photo in each turn, so that Blender is held for one picture only, and cancelling is possible between."""
    shots: list[Capture] = []
    count = len(sitting.photos)
    for number, photo in enumerate(sitting.photos):
        record.state, record.fraction = "capturing", number / count
        record.message = waiting = f"{photo.name}, {number + 1} of {count}"
        session.changed()
        yield  # the panel shows it before Blender is held
        while reason := moments.capture_hindrance():
            record.message = reason
            session.changed()
            yield
        record.message = waiting
        with session.holding(session.captures):
            shots.append(photos.take(sitting, number, folder / str(number)))
    record.state, record.fraction, record.message = "preparing", 0.0, ""
    session.changed()
    return photos.joined(sitting, shots)


def run_again(session: Session, record: JobRecord, former: str, changes: dict[str, Any]) -> Steps:
    """A new job with the inputs of a former one, which lie on the server."""
    try:
        yield from _send(session, record, lambda client: client.again(former, changes))
    except ServerProblem as problem:
        if problem.code not in ("job-not-found", "inputs-gone"):
            raise
        message = "The pictures that this was made from are not kept any more."
        hint = "Generate it anew from its block-out or its picture."
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
