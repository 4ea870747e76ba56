"""The models as Python calls; see `api`.

For example `set_dresser.download_model("midi", accept_licence=True, wait=True)`.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import session
from ..ground.messages import SetDresserError
from ..state import desk
from ..state.models import READY
from ..wire.tasks import Steps
from ..work import models as work
from .waiting import SHORT_TIMEOUT, refresh_lists, wait_until

__all__ = ["download_model", "models", "pause_model", "remove_model", "verify_model"]

HOURS = 12 * 3600.0


def models(*, refresh: bool = True, timeout: float = SHORT_TIMEOUT) -> list[dict[str, Any]]:
    """Every model that pipelines may need. With `refresh` the server is asked, and started if need be.

    Of each: id, title, state (absent, partial, downloading, ready, broken), licence, licence_note, licence_needed
    (it must be accepted before the first download), bytes of total, folder, ours (it can be removed), verified,
    message (what went wrong last); doing ("download" or "verify"), stage, rate (bytes a second) and eta (seconds)
    while something is done with it.
    """
    if refresh:
        refresh_lists(timeout)
    return [model.describe() for model in desk.current.models.known.values()]


def download_model(
    model: str, *, accept_licence: bool = False, wait: bool | None = None, timeout: float = HOURS
) -> dict[str, Any]:
    """Download a model, or go on with that.

    Args:
        model: its id, one of `models()`.
        accept_licence: you have read `licence_note`; needed once where `licence_needed` is true.
        wait: whether to return only when it is ready; by default in background mode only.
        timeout: longest wait in seconds; it goes on then.

    Returns its entry of `models()`. Raises SetDresserError: if Blender must not go online, or, if it waits, if it
    fails.
    """
    task = work.download(session.current.line, model, accept_licence)
    if _waits(wait):
        _follow(model, task, timeout)
        if desk.current.models.known[model].state != READY:
            raise SetDresserError("The download was stopped.", "Start it again; it goes on where it was.", "paused")
    return _entry(model)


def pause_model(model: str, *, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> dict[str, Any]:
    """End a download; what has come is kept. As `download_model`."""
    return _do(model, work.pause(session.current.line, model), wait, timeout)


def verify_model(model: str, *, wait: bool | None = None, timeout: float = 3600.0) -> dict[str, Any]:
    """Hash every file. As `download_model`; what is damaged is an error, if it waits."""
    return _do(model, work.verify(session.current.line, model), wait, timeout)


def remove_model(model: str, *, wait: bool | None = None, timeout: float = SHORT_TIMEOUT) -> dict[str, Any]:
    """Remove what was downloaded here. As `download_model`."""
    return _do(model, work.remove(session.current.line, model), wait, timeout)


def _do(model: str, task: Steps[Any], wait: bool | None, timeout: float) -> dict[str, Any]:
    if _waits(wait):
        _follow(model, task, timeout)
    return _entry(model)


def _waits(wait: bool | None) -> bool:
    return bpy.app.background if wait is None else wait


def _follow(model: str, task: Steps[Any], timeout: float) -> None:
    """Wait until the backend has answered, and has done what it was asked to do."""
    line = session.current.line

    def done() -> bool:
        known = line.desk.models.known.get(model)
        return not line.tasks.runs(task) and (known is None or not known.busy)

    wait_until(done, timeout, "The model is still being worked on")
    if (problem := line.desk.models.problem(model)) is not None:
        raise problem


def _entry(model: str) -> dict[str, Any]:
    known = desk.current.models.known.get(model)
    return known.describe() if known else {"id": model}
