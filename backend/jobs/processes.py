"""Tells a process from a later one with the same number."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

PS_SECONDS = 2.0


def signature() -> str:
    """What this process is known by: machine, number, and the moment it began."""
    return json.dumps({"host": platform.node(), "pid": os.getpid(), "began": _began(os.getpid())})


def may_live(signature: str) -> bool:
    """Whether the process with this signature lives, as far as can be told: one of another machine may.

    Raises ValueError, KeyError or TypeError for what is no signature.
    """
    told = json.loads(signature)
    if told["host"] != platform.node():
        return True
    began = _began(int(told["pid"]))
    return began is not None and began == told["began"]


def _began(pid: int) -> str | None:
    """When a process began, in words of its system; None if it has ended."""
    if sys.platform == "linux":
        try:
            # proc(5): after the name in brackets come the state and, as the 20th of these fields, the start.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    if sys.platform == "win32":
        return None  # there a lock that is held cannot be removed, so nobody asks
    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=PS_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
