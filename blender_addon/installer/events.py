"""What the program tells, one JSON document a line, and the failures it ends with."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""For `creationflags`: Windows would open a console for every tool."""


class Failure(Exception):
    """Why it cannot go on.

    Args:
        code: a short stable identifier.
        message: a full sentence: what is wrong.
        hint: what to do.
        details: the last lines of the tool that failed.
    """

    def __init__(self, code: str, message: str, hint: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details


def tell(event: str, **values: Any) -> None:
    """Events: `machine`, `step` (step, text, written, total, rate), and at the end one of `complete`, `failed`
    (code, message, hint, details) or `cancelled`."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()
