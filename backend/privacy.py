"""What the backend writes is for its user alone: folders 0700, files 0600. Windows: the user's profile sees to that."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OTHERS = 0o077
WRITING = 0o022
OURS = frozenset({"jobs", "owners", "models", "converted", "uploads", "words", "farm"})
"""Folders of a data folder; its files begin with the names of `FILES`."""

FILES = ("jobs.sqlite3", "licences.json", ".licences.json")
logger = logging.getLogger(__name__)


def write_privately() -> None:
    """From now on whatever this process writes, and every one that it starts, is closed to other users."""
    os.umask(OTHERS)


@contextmanager
def written_privately() -> Iterator[int]:
    """Inside, what is written is closed to other users; for a program that also writes what its user may share.

    Gives the mask that `share` takes.
    """
    before = os.umask(OTHERS)
    try:
        yield before
    finally:
        os.umask(before)


def who_else(path: Path, status: os.stat_result | None) -> str:
    """Who besides this account can read or write a file, or put another in its place; "" for nobody.

    status: of the file; None for one that is yet to be made, of which the folder alone is looked at. What belongs to
    the system's administrator (root) counts as closed, as does everything on Windows, where the user's profile sees to
    that.
    """
    if sys.platform == "win32":
        return ""
    trusted = (os.geteuid(), 0)
    if status is not None and status.st_uid not in trusted:
        return "Another account, to which it belongs,"
    if status is not None and status.st_mode & OTHERS:
        return "Other accounts of this machine"
    folder = path.parent.stat()
    if folder.st_uid not in trusted or (folder.st_mode & WRITING and not folder.st_mode & stat.S_ISVTX):
        return "Whoever may write to its folder"
    return ""


def share(path: Path, mask: int) -> None:
    """Open a file or folder of this user as far as if it had been written outside of `written_privately`."""
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def close_to_others(data: Path) -> None:
    """Close a data folder to other users, with what an earlier version left in it.

    The folder's own mode is changed last and tells that the rest is done. A folder that holds other things too, or is
    somebody else's, keeps its mode; what is ours in it is closed one by one.
    """
    if sys.platform == "win32":
        return
    status = data.stat()
    if not status.st_mode & OTHERS:
        return
    entries = list(data.iterdir())
    ours = [entry for entry in entries if entry.name in OURS or entry.name.startswith(FILES)]
    for entry in ours:
        for place, _, names in os.walk(entry):
            for name in names:
                _close(Path(place, name))
            _close(Path(place))
        _close(entry)
    if len(ours) == len(entries):
        _close(data)


def _close(path: Path) -> None:
    """What is a link, has gone, or belongs to somebody else stays as it is."""
    try:
        status = path.lstat()
        if not stat.S_ISLNK(status.st_mode) and status.st_mode & OTHERS and status.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("%s stays open to other users: %s", path, error)
