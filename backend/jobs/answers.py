"""The answers that a job was given, in its folder, so that an attempt after a pause or a crash does not ask again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.errors import Problem
from backend.files import write_together
from backend.jobs.folders import ANSWERS

LONGEST_ANSWER = 1 << 20


def check_answer(answer: dict[str, Any]) -> None:
    """Raises Problem("request-invalid", "request-too-large") for what cannot be kept."""
    try:
        length = len(json.dumps(answer, allow_nan=False))
    except ValueError as error:
        raise Problem("request-invalid", f"The answer is not JSON: {error}.") from error
    if length > LONGEST_ANSWER:
        raise Problem("request-too-large", "The answer is longer than a megabyte.", "Send a shorter answer.")


def add_answer(folder: Path, question: dict[str, Any] | None, answer: dict[str, Any]) -> None:
    """Write down what was answered to a question. Raises OSError and Problem("inputs-gone"); the answers before are
    untouched then."""
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
    """Raises Problem("inputs-gone") if they cannot be understood, OSError if they cannot be read."""
    try:
        rows = json.loads((folder / ANSWERS).read_bytes())
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        raise _damaged() from error
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("question"), str) and isinstance(row.get("answer"), dict)
        for row in rows
    ):
        raise _damaged()
    return rows


def _damaged() -> Problem:
    return Problem("inputs-gone", f"What this job was answered before cannot be read: {ANSWERS} is damaged.")


def _digest(question: dict[str, Any] | None) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
