"""The contact sheet of a batch: made by the server, which has pictures and results, and put into a folder here."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from ..ground.files import write_whole
from ..ground.messages import SetDresserError
from ..ground.privacy import private_folder
from ..state import batch as state
from ..state import listing
from ..state.batch import Batch, Entry
from ..wire.tasks import Steps
from . import batch_files
from .line import Line

PAGE = "contact-sheet.html"
_NAMES = re.compile(r"contact-sheet\.html|contact-sheet(-\d{1,3})?\.png|batch\.csv")
NAMED = 6
"""Block-outs in the title of a part, where there is more room than in the panel."""

LARGEST = 512 * 1024 * 1024
"""Bytes of all its files."""


def fetch(line: Line, batch: Batch, folder: Path | None = None) -> Steps[Path]:
    """Have the sheet in a folder, that of the batch if none is given; returns the path of its page. Raises
    SetDresserError."""
    target = batch_files.sheet_folder(batch) if folder is None else folder
    archive = batch.folder / "contact-sheet.zip"
    try:
        private_folder(target) if folder is None else target.mkdir(parents=True, exist_ok=True)
        yield from line.ask(lambda client: client.contact_sheet(_document(batch), archive))
        _unpack(archive, target)
    except OSError as error:
        message = f"The contact sheet cannot be written to {target}: {error.strerror or error}."
        raise SetDresserError(message, "Choose a folder that you may write to.", "file") from error
    finally:
        archive.unlink(missing_ok=True)
    return target / PAGE


def _document(batch: Batch) -> dict[str, Any]:
    remarks = [f"Not seen by any camera: {', '.join(missing)}."] if (missing := state.unseen(batch)) else []
    return {
        "name": batch.name,
        "pipeline": batch.request["pipeline"],
        "remarks": remarks,
        "rows": [_row(batch, entry) for entry in batch.entries],
    }


def _row(batch: Batch, entry: Entry) -> dict[str, Any]:
    problem = entry.problem
    return {
        "name": listing.entry_title(batch, entry, NAMED),
        "job": entry.job or None,
        "remarks": entry.reasons,
        "problem": None if problem is None else {name: getattr(problem, name) for name in ("message", "hint", "code")},
    }


def _unpack(archive: Path, folder: Path) -> None:
    """Only what belongs to a sheet, and no more than that may be. Raises SetDresserError."""
    try:
        with zipfile.ZipFile(archive) as packed:
            rows = packed.infolist()
            if sum(row.file_size for row in rows) > LARGEST or not all(_NAMES.fullmatch(row.filename) for row in rows):
                raise zipfile.BadZipFile("what is in it belongs to no contact sheet")
            for row in rows:
                write_whole(folder / row.filename, packed.read(row))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        hint = "Install the same version of add-on and backend, then restart Blender."
        raise SetDresserError("The backend's contact sheet cannot be read.", hint, "invalid", repr(error)) from error
