"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from .privacy import private_opener


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file beside its place and move it there, so that nobody ever sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb", opener=private_opener) as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
