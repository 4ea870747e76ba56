"""Files that belong together appear together, or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

PARTIAL = ".partial"


def replace_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Put a file in the place of an older one: whoever opens it finds the old bytes or the new ones, never neither.

    mode: of the new file, less what the process's umask takes away. It may be lost when the machine fails. Raises
    OSError; the old file is untouched then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        partial.touch(mode)
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk; Windows does so by itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if need be, so that the last one is the seal on all of them.

    All are written beside and then renamed, the last one last; an older file of its name is removed before. Killed
    at any moment, this leaves the old files, or no file of the last name, or the new files.

    Raises:
        OSError: nothing new is left behind; while only the writing failed (a full disk), the old files are untouched.
    """
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    partial = {folder / name: folder / f".{name}.{os.getpid()}{PARTIAL}" for name in files}
    renamed: list[Path] = []
    try:
        for path, data in zip(partial.values(), files.values(), strict=True):
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        list(partial)[-1].unlink(missing_ok=True)
        for final, path in partial.items():
            path.replace(final)
            renamed.append(final)
    except BaseException:
        for path in (*partial.values(), *renamed):
            path.unlink(missing_ok=True)
        if new:
            with contextlib.suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise
