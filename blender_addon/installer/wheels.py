"""The packages of an offline folder are those that were collected: each by its SHA-256 sum in `contents.json`.

The locks name what comes from them; torch and what it brings along, which differ from build to build, only stand here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from .events import Failure

CONTENTS, WHEELS = "contents.json", "wheels"
PIECE = 1 << 22
HINT = "Collect the folder anew with `python build_addon.py --offline FOLDER`, or copy it again."


def sums(folder: Path, beat: Callable[[], None] = lambda: None) -> dict[str, str]:
    """Name -> SHA-256 sum of every wheel in `folder`. `beat` is called after each piece that is read."""
    found = {}
    for path in sorted(folder.glob("*.whl")):
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
                beat()
        found[path.name] = digest.hexdigest()
    return found


def check(offline: Path, beat: Callable[[], None]) -> None:
    """Raises Failure: if a wheel of an offline folder is not the one that was collected, or was not collected."""
    try:
        expected = json.loads((offline / CONTENTS).read_text(encoding="utf-8"))[WHEELS]
    except (OSError, ValueError, KeyError, TypeError):
        expected = None
    if not isinstance(expected, dict):
        message = f"The folder {offline} does not say which packages belong into it."
        raise Failure("hash-mismatch", message, HINT)
    for name, digest in sums(offline / WHEELS, beat).items():
        if name not in expected:
            raise Failure("hash-mismatch", f"{name} was put into {offline} after it was collected.", HINT)
        if digest != expected[name]:
            raise Failure("hash-mismatch", f"{name} in {offline} is not the package that was collected.", HINT)
