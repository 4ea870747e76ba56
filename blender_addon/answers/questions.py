"""What a running job asks: whose question it is, how far it has come, and what it asks as its kind has read it.

A question of another kind than `KINDS`, or one that cannot be read, can be answered by a script.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ..ground.messages import SetDresserError, as_error
from .choose import Choose
from .instances import Instances
from .kind import Asked
from .views import Views

KINDS: tuple[type[Asked], ...] = (Choose, Views, Instances)
"""The kinds that can be answered in the panel."""


@dataclass
class Question:
    """A question of a job, and how far it has come.

    job, document: whose it is, and what the server says, as it came.
    shown: its pictures are fetched, or have been.
    sending: an answer is on its way.
    problem: why an answer was refused, or why a picture is missing.
    asked: what it asks; None if nobody here can read it.
    """

    job: str
    document: dict[str, Any]
    shown: bool = False
    sending: bool = False
    problem: SetDresserError | None = None
    asked: Asked | None = None

    def __post_init__(self) -> None:
        self.title = str(self.document.get("title") or "The job asks something")
        self.text = str(self.document.get("text") or "")
        self.digest = hashlib.sha256(json.dumps(self.document, sort_keys=True).encode()).hexdigest()[:16]
        self.asked = read(self.document)

    @property
    def key(self) -> str:
        """Tells it from every other question."""
        return f"{self.job}-{self.digest}"

    @property
    def kind(self) -> str:
        """Which of `KINDS`; "" for none."""
        return self.asked.KIND if self.asked is not None else ""

    @property
    def files(self) -> list[str]:
        """The pictures it mentions, each once."""
        return list(dict.fromkeys(self.asked.files)) if self.asked is not None else []

    def default_answer(self) -> dict[str, Any]:
        """What the question itself proposes. Raises SetDresserError for a kind that is not known here."""
        if self.asked is None:
            hint = "Update the add-on, answer with a dictionary from Python, or cancel the job."
            raise SetDresserError(f"The add-on cannot answer by itself: {self.title}.", hint, "question-unknown")
        return self.asked.default_answer()

    def fail(self, error: Exception) -> None:
        self.problem = as_error(error)


def read(document: dict[str, Any]) -> Asked | None:
    """What a question asks; None if it is of no kind that is known here, or cannot be read."""
    for kind in KINDS:
        if document.get("kind") == kind.KIND:
            try:
                return kind.read(document)
            except (KeyError, TypeError, ValueError):
                return None
    return None
