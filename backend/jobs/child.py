"""The child's side of `backend/jobs/process.py`: its pipes, and an end that never comes later than the server's."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO, NoReturn

from backend.privacy import write_privately


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Commands and replies, for the caller alone: what anything else prints goes to standard error.

    What the process writes is closed to other users, whoever started it.
    """
    write_privately()
    commands, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    return commands, replies


def leave() -> NoReturn:
    """End at once, with every process this one has started."""
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        import signal

        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def die_with(server: int) -> None:
    """Have Linux kill this process when the server's thread that started it ends.

    Elsewhere the end of its input is what tells it to leave.
    """
    if sys.platform == "linux":
        import ctypes
        import signal

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != server:  # it ended before the call
            leave()
