"""Models of Objaverse (Deitke et al. 2022, arXiv 2212.08051), by their uids, through the hub's own client.

The data set on the hub is `allenai/objaverse`: `object-paths.json.gz` has the path of every uid, and for each folder of
models `metadata/NNN-NNN.json.gz` has their names, authors and licences.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from training.objects.listing import Entry, ListError

REPOSITORY = "allenai/objaverse"
LICENCES = {
    "cc0": "CC0 1.0",
    "by": "CC BY 4.0",
    "by-sa": "CC BY-SA 4.0",
    "by-nd": "CC BY-ND 4.0",
    "by-nc": "CC BY-NC 4.0",
    "by-nc-sa": "CC BY-NC-SA 4.0",
    "by-nc-nd": "CC BY-NC-ND 4.0",
}
"""As Sketchfab, where the models come from, abbreviates them."""

UID = re.compile(r"[0-9a-f]{32}")
PLACE = re.compile(r"glbs/(\d{3}-\d{3})/[0-9a-f]{32}\.glb")


def read_uids(file: Path) -> list[str]:
    """One uid a line; empty lines and what follows a # do not count.

    Raises:
        ListError: a line is no uid, or there is none.
    """
    lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    uids = list(dict.fromkeys(line for line in lines if line))
    for uid in uids:
        if not UID.fullmatch(uid):
            raise ListError(f"{file}: {uid[:60]!r} is no uid of Objaverse, which has 32 digits and letters a to f.")
    if not uids:
        raise ListError(f"{file} has no uids in it.")
    return uids


def collect(folder: Path, uids: Sequence[str], licences: Collection[str], tell: Callable[[str], None]) -> list[Entry]:
    """Downloads models below a folder; what is there already is not downloaded again.

    Args:
        licences: those that are wanted, of `LICENCES`; none given: all.
        tell: is told of every uid that is left out, and why.

    Raises:
        ListError: the hub cannot be reached, or has none of them.
    """
    paths = _json(folder, "object-paths.json.gz")
    notes: dict[str, dict[str, Any]] = {}
    entries = []
    for uid in uids:
        path = str(paths.get(uid, ""))
        match = PLACE.fullmatch(path)
        if match is None:
            tell(f"{uid}: Objaverse has no such model.")
            continue
        if match[1] not in notes:
            notes[match[1]] = _json(folder, f"metadata/{match[1]}.json.gz")
        note = notes[match[1]].get(uid, {})
        licence = str(note.get("license", ""))
        if licences and licence not in licences:
            tell(f"{uid}: its licence is {licence or 'not known'}.")
            continue
        file = _download(folder, path)
        user = note.get("user", {})
        entries.append(
            Entry(
                name=uid,
                file=PurePosixPath(file.relative_to(folder)).as_posix(),
                title=str(note.get("name", "")),
                licence=LICENCES.get(licence, licence),
                creator=str(user.get("displayName") or user.get("username") or ""),
                source=str(note.get("viewerUrl", f"Objaverse {uid}")),
            )
        )
    if not entries:
        raise ListError("Objaverse has none of these models under a licence that is wanted.")
    return entries


def _json(folder: Path, path: str) -> dict[str, Any]:
    file = _download(folder, path)
    try:
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            return dict(json.load(stream))
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise ListError(f"{file} is not what Objaverse publishes: {error}. Remove it, and try again.") from error


def _download(folder: Path, path: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ListError("huggingface-hub is not installed: pip install huggingface-hub.") from error
    try:
        return Path(hf_hub_download(REPOSITORY, path, repo_type="dataset", local_dir=folder / "objaverse"))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ListError(
            f"{path} of {REPOSITORY} could not be downloaded: {reason} The same command goes on."
        ) from error
