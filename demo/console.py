"""Blender, Cycles and their importers write hundreds of lines; they go to a file, and what we say to the console."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def chatter_into(log: Path) -> Iterator[Callable[[str], None]]:
    """Within, whatever this process writes lands in the file; yields how to write a line to the console.

    Works below Python, on the file descriptors, for most of the lines come from Blender's own code.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with log.open("wb") as file, os.fdopen(os.dup(1), "w", encoding="utf-8") as console:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

        def say(line: str) -> None:
            print(line, file=console, flush=True)

        try:
            yield say
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in enumerate(kept, 1):
                os.dup2(original, descriptor)
                os.close(original)
