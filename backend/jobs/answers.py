"""The answers that a job was given, in its folder, so that an attempt after a pause or a crash does not ask again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.files import write_together
from backend.jobs.folders import ANSWERS


def add_answer(folder: Path, question: dict[str, Any] | None, answer: dict[str, Any]) -> None:
    """Write down what was answered to a question. Raises OSError; the answers before are untouched then."""
    rows = [*_rows(folder), {"question": _digest(question), "answer": answer}]
    write_together(folder, {ANSWERS: json.dumps(rows).encode()})


class Answers:
    """Answers each question of an attempt as it was answered before, in order, and asks only what is new.

    A question is the same if every word of it is. One that was answered and is not asked again is passed over.
    """

    def __init__(self, folder: Path, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._rows = _rows(folder)
        self._ask = ask

    def __call__(self, question: dict[str, Any]) -> dict[str, Any]:
        digest = _digest(question)
        for index, row in enumerate(self._rows):
            if row["question"] == digest:
                del self._rows[: index + 1]
                answer: dict[str, Any] = row["answer"]
                return answer
        self._rows.clear()  # the way parts from the former one here
        return self._ask(question)


def _rows(folder: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads((folder / ANSWERS).read_bytes())
    except FileNotFoundError:
        return []
    return rows


def _digest(question: dict[str, Any] | None) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
