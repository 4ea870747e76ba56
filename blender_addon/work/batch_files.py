"""Batches on disk, where they outlive Blender: `<user>/batches/<id>/batch.json`, and the pictures that the server does
not have yet.

One Blender works on a batch at a time, the one that holds its lock; the system lets go of that however Blender ends.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ..ground import folders
from ..ground.files import write_whole
from ..ground.messages import SetDresserError
from ..ground.privacy import private_folder
from ..installer.records import Lock
from ..state import batch as state
from ..state.batch import Batch
from ..state.desk import Desk

FOLDER, NAME, LOCK = "batches", "batch.json", "lock"
LARGEST = 64 * 1024 * 1024
MOST = 50
"""Batches that are kept; of those that have ended the oldest go."""


def read_all(desk: Desk) -> None:
    """Have the desk know what is kept; what cannot be read is left alone. Of which file each is, `batches.find_home`
    finds out later: while Blender enables add-ons nobody is told which file is open."""
    found = []
    for path in (folders.place() / FOLDER).glob(f"*/{NAME}"):
        try:
            if path.stat().st_size > LARGEST:
                continue
            batch = state.read(json.loads(path.read_bytes()), path.parent)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if batch.id == path.parent.name:
            batch.away = True
            found.append(batch)
    found.sort(key=lambda batch: batch.created, reverse=True)
    desk.batches = {batch.id: batch for batch in found}
    desk.changed()


def begin(batch: Batch) -> None:
    """Give a new batch its folder, and hold it. Raises SetDresserError."""
    root = private_folder(folders.user() / FOLDER)
    batch.folder = private_folder(root / batch.id)
    hold(batch)


def hold(batch: Batch) -> None:
    """Be the one that works on it. Raises SetDresserError: if another Blender does."""
    if batch.lock is not None:
        return
    try:
        batch.lock = Lock(batch.folder / LOCK)
    except BlockingIOError:
        message = f"Another Blender works on the batch {batch.name}."
        raise SetDresserError(message, "Go on there, or close that Blender first.", "batch-elsewhere") from None
    except OSError as error:
        raise _not_written(batch, error) from error


def save(batch: Batch) -> None:
    """Write down how far it has come. Raises SetDresserError."""
    try:
        write_whole(batch.folder / NAME, json.dumps(batch.document()).encode())
    except OSError as error:
        raise _not_written(batch, error) from error


def let_go(batch: Batch) -> None:
    """Another Blender may work on it."""
    if batch.lock is not None:
        batch.lock.release()
        batch.lock = None


def remove_pictures(batch: Batch) -> None:
    """Those that nobody needs any more: the server has them, or they are not wanted."""
    wanted = {entry.shot for entry in batch.entries if entry.state == state.WAITING}
    for number in range(len(batch.shots)):
        if number not in wanted and not batch.choosing:
            shutil.rmtree(batch.shot_folder(number), ignore_errors=True)


def remove(desk: Desk, batch: Batch) -> None:
    """Take a batch off the list and the disk; its jobs stay."""
    let_go(batch)
    shutil.rmtree(batch.folder, ignore_errors=True)
    desk.batches.pop(batch.id, None)
    desk.changed()


def tidy(desk: Desk) -> None:
    """Keep no more batches than `MOST`: the oldest go that have ended and nobody holds."""
    surplus = len(desk.batches) - MOST
    for batch in [batch for batch in reversed(desk.batches.values()) if batch.ended and batch.lock is None]:
        if surplus <= 0:
            return
        remove(desk, batch)
        surplus -= 1


def sheet_folder(batch: Batch) -> Path:
    """Where its contact sheet is put if nobody says where."""
    return batch.folder / "contact sheet"


def _not_written(batch: Batch, error: OSError) -> SetDresserError:
    message = f"The batch {batch.name} cannot be written down: {error.strerror or error}."
    return SetDresserError(message, "Make room, or make Blender's folder for Set Dresser writable.", "user-folder")
