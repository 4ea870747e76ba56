"""Answers to what a job asks: picked beforehand, asked for in the terminal, or what is proposed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.cli.output import complain, say
from backend.errors import Problem
from backend.questions import ChooseQuestion, Question, ViewsQuestion, read_question

PICK = re.compile(r"\s*(\d{1,6})(?::(\d{1,6}))?\s*")
AGAIN = re.compile(r"\s*again\s+(\d{1,6})(?:\s+(\d{1,10}))?\s*")

Pick = tuple[int, int | None]
"""The number of a picture; or those of a photo and of one of its views."""


def read_picks(text: str) -> list[Pick]:
    """Numbers with commas between them, or photo:view pairs. Raises Problem("request-invalid")."""
    found = [PICK.fullmatch(part) for part in text.split(",")]
    if not all(found):
        detail = f"--pick takes numbers such as 0,2 or photo:view pairs such as 0:1,1:5; '{text[:40]}' came."
        raise Problem("request-invalid", detail, "Count from 0.")
    return [(int(match[1]), None if match[2] is None else int(match[2])) for match in found if match]


def answer(asked: dict[str, Any], picks: list[Pick] | None, ask: bool, file: Callable[[str], Path]) -> dict[str, Any]:
    """The answer to a question of a job, checked.

    Args:
        asked: the question as the job put it.
        picks: what was chosen beforehand, for a question that chooses among pictures.
        ask: let the user choose in the terminal.
        file: the path of a file of the job.

    Raises:
        Problem: answer-invalid, input-not-expected.
    """
    question = read_question(asked)
    if question is None:
        detail = "The pipeline asks a question, and the command line cannot answer it."
        raise Problem("input-not-expected", detail, "Run it from Blender, or choose other options.")
    chooses = isinstance(question, ChooseQuestion | ViewsQuestion)
    if chooses and picks is None and ask:
        return _from_terminal(question, file)
    given = chosen(question, picks) if chooses and picks is not None else question.default_answer()
    question.check(given)
    return given


def chosen(question: Question, picks: list[Pick]) -> dict[str, Any]:
    """What picks mean for a question. Raises Problem("answer-invalid")."""
    places = {}
    if isinstance(question, ViewsQuestion):
        places = {(choice.photo, choice.view): index for index, choice in enumerate(question.choices)}
    indices = []
    for first, second in picks:
        if second is None:
            indices.append(first)
        elif (first, second) in places:
            indices.append(places[first, second])
        else:
            detail = f"There is no view {second} of photo {first}." if places else "There are no photos to choose from."
            raise Problem("answer-invalid", detail, "Photos and views are counted from 0.")
    return {"chosen": indices}


def _from_terminal(question: Question, file: Callable[[str], Path]) -> dict[str, Any]:
    """Show where the pictures are and read picks until they fit."""
    assert isinstance(question, ChooseQuestion | ViewsQuestion)
    if not sys.stdin.isatty():
        raise Problem("input-not-expected", "There is no terminal to ask in.", "Leave --ask out, or give --pick.")
    say(f"{question.title}. {question.text}")
    sheets = isinstance(question, ViewsQuestion) and question.contact_sheet
    for name in [question.contact_sheet] if sheets else [choice.file for choice in question.choices]:  # type: ignore[union-attr]
        say(f"  {file(name)}")
    proposed = ",".join(_spoken(question, index) for index in question.default)
    hint = "; 'again P' makes photo P's views anew" if isinstance(question, ViewsQuestion) else ""
    while True:
        line = input(f"Your choice{hint} [{proposed}]: ").strip()
        try:
            given = _understood(question, line)
            question.check(given)
        except Problem as problem:
            complain(problem.detail, problem.hint)
            continue
        return given


def _understood(question: Question, line: str) -> dict[str, Any]:
    if not line:
        return question.default_answer()
    if (again := AGAIN.fullmatch(line)) and isinstance(question, ViewsQuestion):
        return {"regenerate": {"photo": int(again[1]), "seed": None if again[2] is None else int(again[2])}}
    return chosen(question, read_picks(line))


def _spoken(question: Question, index: int) -> str:
    if isinstance(question, ViewsQuestion):
        return f"{question.choices[index].photo}:{question.choices[index].view}"
    return str(index)
