"""Which licences the user has accepted. Asked once per model and text; a changed note is asked again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from backend.errors import Problem
from backend.files import write_together
from backend.weights import Weights

FILE = "licences.json"


class Licences:
    """The acceptances in a data folder."""

    def __init__(self, data: Path) -> None:
        self._data = data

    @staticmethod
    def needed(weights: Weights) -> bool:
        """Whether the licence forbids something, or leaves a question open."""
        return bool(weights.licence_note)

    def accepted(self, weights: Weights) -> bool:
        entry = self._read().get(weights.id)
        return isinstance(entry, dict) and entry.get("note_sha256") == _hash(weights)

    def accept(self, weights: Weights) -> None:
        """Remember it, with the date and the hash of what was shown."""
        entry = {
            "repository": weights.repository,
            "licence": weights.licence,
            "note_sha256": _hash(weights),
            "accepted": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._data.mkdir(parents=True, exist_ok=True)
        with FileLock(self._data / f"{FILE}.lock", thread_local=False):
            document = json.dumps({**self._read(), weights.id: entry}, indent=1)
            write_together(self._data, {FILE: document.encode()})

    def demand(self, weights: Weights, accept: bool) -> None:
        """Raises Problem("licence-not-accepted") unless none is needed, or it is accepted, now or before."""
        if not self.needed(weights) or self.accepted(weights):
            return
        if not accept:
            detail = f"{weights.repository} comes under {weights.licence}. {weights.licence_note}"
            raise Problem("licence-not-accepted", detail, licence=weights.licence, weights=weights.id)
        self.accept(weights)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads((self._data / FILE).read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            return {}  # asked again
        return known if isinstance(known, dict) else {}


def _hash(weights: Weights) -> str:
    return hashlib.sha256(f"{weights.licence}\n{weights.licence_note}".encode()).hexdigest()
