"""What the add-on writes is for its user alone: folders 0700, files 0600. Windows: the user's profile sees to that."""

from __future__ import annotations

import os
import stat
from pathlib import Path

OTHERS = 0o077


def private_folder(path: Path) -> Path:
    """Make a folder that nobody else may look into, or close one that is there. Raises OSError, also for a folder
    that somebody else has put there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "geteuid"):
        status = path.stat()
        if status.st_uid == os.geteuid():
            if status.st_mode & OTHERS:
                path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
        elif not path.is_relative_to(Path.home()):  # in his own home a user may have what belongs to others
            raise PermissionError(f"{path} belongs to another user")
    return path


def private_opener(path: str, flags: int) -> int:
    """For `open`: a new file is closed to others."""
    return os.open(path, flags, 0o600)
