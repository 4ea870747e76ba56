"""Files that belong together appear together, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PARTIAL = ".partial"


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, which is made if need be, so that the last one is the seal on all of them.

    All are written beside and then renamed, the last one last; an older file of its name is removed before. Killed
    at any moment, this leaves the old files, or no file of the last name, or the new files.

    Raises:
        OSError: nothing new is left behind; while only the writing failed (a full disk), the old files are untouched.
    """
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
        raise
