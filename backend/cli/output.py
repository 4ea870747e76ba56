"""The only place of the backend that writes to the terminal, besides the server's handshake."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def prepare() -> None:
    """Have characters that the terminal lacks written as escapes instead of ending the program (Windows)."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """A JSON document on standard output, in ASCII, which every pipe and every file takes."""
    say(json.dumps(value, indent=2))


def tell(text: str) -> None:
    """A line on standard error, about what is going on."""
    sys.stderr.write(" ".join(text.split()) + "\n")


def complain(sentence: str, hint: str) -> None:
    """Two lines on standard error: what is wrong, what to do."""
    for line in (sentence, hint):
        tell(line)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, without rules."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
