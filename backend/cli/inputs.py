"""Files that a command names: their bytes, or their JSON as a checked model."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from backend.errors import Problem, faults

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""What the name of a picture ends with, in a folder of pictures."""

LARGEST = 2_000_000_000
"""Bytes of a file."""


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their names. Raises Problem("request-invalid")."""
    if not folder.is_dir():
        raise Problem("request-invalid", f"There is no folder {folder}.", "Give the folder of the pictures.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())
    if not found:
        kinds = ", ".join(PICTURES)
        raise Problem("request-invalid", f"The folder {folder} has no pictures.", f"Put pictures there ({kinds}).")
    return found


def read_file(path: Path, what: str) -> bytes:
    """A file's bytes. Raises Problem("request-invalid") with a sentence, also for what would never end: a pipe, a
    device."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            detail = f"The {what} {path} is no file, but a {_kind(status.st_mode)}."
            raise Problem("request-invalid", detail, "Give a file.")
        if status.st_size > LARGEST:
            detail = f"The {what} {path} is larger than {LARGEST // 1_000_000_000} GB."
            raise Problem("request-invalid", detail, "Give a smaller one.")
        return path.read_bytes()
    except FileNotFoundError:
        raise Problem("request-invalid", f"The {what} {path} does not exist.", "Check the path.") from None
    except OSError as error:
        detail = f"The {what} {path} cannot be read: {error.strerror or error}."
        raise Problem("request-invalid", detail, "Give a file that you may read.") from error


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"))
    return next((word for is_one, word in kinds if is_one(mode)), "device")


def parse_file(path: Path, kind: Any, code: str, what: str) -> Any:
    """A JSON file as a model. Raises Problem(code), naming the file and each wrong field."""
    try:
        value = json.loads(read_file(path, what))
    except (ValueError, RecursionError) as error:
        raise Problem(code, f"The {what} {path} is not JSON ({error}).") from error
    return checked(value, kind, code, f"The {what} {path}")


def checked(value: Any, kind: Any, code: str, what: str) -> Any:
    """A value as a model. Raises Problem(code), naming each wrong field."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        wrong = faults(error, "document")
        raise Problem(code, f"{what} is not valid: {'; '.join(wrong)}.", fields=wrong) from error
