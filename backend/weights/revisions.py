"""Which revision of each model this machine has: of the hub's repositories anybody may change the main branch.

A download records it in the model's folder, a cache of the hub in the names of its snapshots, and `hf download` beside
the files. The data folder remembers what the last job used, so that the next can tell when that has changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.files import replace_whole
from backend.weights.catalogue import row_of
from backend.weights.looking import look
from backend.weights.places import data_folder

HIDDEN = ".download"
"""Folder inside a model's folder that downloads keep for themselves."""

RECORD = "record.json"
REMEMBERED = "revisions.json"
COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Used:
    """A model that a job used.

    revision: commit of the repository; None where nobody can tell, as of a folder made by hand, of what comes with this
        program, and of one's own.
    """

    id: str
    repository: str
    source: str
    revision: str | None


def used(identifiers: Iterable[str]) -> list[Used]:
    """What is known of models that are there, each once."""
    rows = [row_of(identifier) for identifier in dict.fromkeys(identifiers)]
    return [Used(row.id, row.repository, row.source, revision_of(row.id)) for row in rows]


def revision_of(identifier: str) -> str | None:
    """The commit that what is here of a model was downloaded from; None if it is not here, or nobody has noted it."""
    place, row = look(identifier).place, row_of(identifier)
    if place is None or row.source != "hub":
        return None
    if place.folder.parent.name == "snapshots":
        return place.folder.name
    return _of_our_download(place.folder) or _of_hf_download(place.folder, row.required[0])


def changes(models: Iterable[Used]) -> Iterator[str]:
    """A sentence for each model that is another revision than this program, or the job before, has worked with."""
    before = _remembered()
    for model in models:
        if model.revision is None:
            continue
        wanted, last = row_of(model.id).revision, before.get(model.id)
        here = f"{model.repository} is here in revision {model.revision[:8]}"
        if wanted not in (None, model.revision):
            yield f"{here}; this program was made for {wanted[:8]}."
        elif last not in (None, model.revision):
            yield f"{here}; the last job that used it had {last[:8]}."


def remember(models: Iterable[Used]) -> None:
    """Note what a job has used. Nothing is noted where there is no data folder, see `places.models_kept_in`.

    Raises OSError: it cannot be written.
    """
    folder, before = data_folder(), _remembered()
    now = before | {model.id: model.revision for model in models if model.revision is not None}
    if folder is not None and now != before:
        replace_whole(folder / REMEMBERED, json.dumps(now, indent=1).encode())


def _remembered() -> dict[str, str]:
    folder = data_folder()
    known = None if folder is None else _read(folder / REMEMBERED)
    return {str(name): value for name, value in known.items() if isinstance(value, str)} if known else {}


def _of_our_download(folder: Path) -> str | None:
    commit = (_read(folder / HIDDEN / RECORD) or {}).get("commit")
    return commit if isinstance(commit, str) and COMMIT.fullmatch(commit) else None


def _of_hf_download(folder: Path, file: str) -> str | None:
    """Of `hf download --local-dir`: the first line of what it notes of each file."""
    try:
        noted = (folder / ".cache" / "huggingface" / "download" / f"{file}.metadata").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None  # it was made in another way
    first = noted.partition("\n")[0].strip()
    return first if COMMIT.fullmatch(first) else None


def _read(path: Path) -> dict[str, object] | None:
    """A JSON object; None if there is none that can be read: then nothing is known."""
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) else None
