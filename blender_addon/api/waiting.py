"""Waiting for what takes turns: for scripts and background mode, never for a window."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .. import session
from ..ground import moments
from ..ground.messages import SetDresserError
from ..ground.tick import MOVING
from ..work import lists

SHORT_TIMEOUT = 60.0


def wait_until(done: Callable[[], bool], timeout: float | None, late: str) -> None:
    """Let the add-on work until something is so. Raises SetDresserError, with `late`, after `timeout` seconds;
    with None it waits as long as that takes."""
    if reason := moments.misplaced():
        raise SetDresserError(reason, "Wait for it elsewhere, for example in a timer or after the operator.", "moment")
    end = math.inf if timeout is None else time.monotonic() + timeout
    while not done():
        delay = session.pump()
        if time.monotonic() > end:
            raise SetDresserError(f"{late} after {timeout:g} seconds.", "Wait longer, or look into the log.", "timeout")
        if not done():
            time.sleep(min(delay, MOVING))


def refresh_lists(timeout: float = SHORT_TIMEOUT) -> None:
    """Fetch the lists of pipelines, models and jobs; starts the server if need be. Raises SetDresserError."""
    errors: list[Exception] = []
    task = session.current.line.tasks.start(lists.fetch(session.current.line), errors.append)
    try:
        wait_until(lambda: not session.current.line.tasks.runs(task), timeout, "The backend has not answered")
    finally:
        session.current.line.tasks.stop(task)
    for error in errors:
        raise error
