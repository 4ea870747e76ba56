"""What a kind of question is: its reading, its pictures, its draft, what hinders sending, its answer.

Each kind is one module of this room with one class; `questions.KINDS` lists them, and `ui/panels/question.py` has the
function that draws it. Nothing here is Blender's: a draft is whatever has the properties that `DRAFT` names.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""A job's files have plain names; nothing else may become part of a path here."""

Colour = tuple[float, float, float]
"""sRGB, 0 to 1."""


@dataclass(frozen=True)
class Column:
    """A property of each row of a draft's list. What it begins with says what it is: a switch, a whole number, a
    number, a text or a colour."""

    name: str
    description: str
    begins_with: bool | int | float | str | Colour


@dataclass(frozen=True)
class Rows:
    """A list of a draft: its name, what it is, and what each row has, by the names of the properties."""

    name: str
    description: str
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Choice:
    """One of several pictures, with a word or two, and what was measured of it."""

    file: str
    label: str
    note: str


class Asked(ABC):
    """What a question of one kind asks, as plain values.

    KIND: what the backend calls it. DRAFT: the lists of its draft by the name of their property, which no other kind
    has. In what is written below `draft` has these lists, as collections of Blender's.
    """

    KIND: ClassVar[str]
    DRAFT: ClassVar[Mapping[str, Rows]]

    @classmethod
    @abstractmethod
    def read(cls, document: Mapping[str, Any]) -> Asked:
        """What the backend says. Raises KeyError, TypeError or ValueError if that is no question of this kind."""

    @property
    @abstractmethod
    def files(self) -> list[str]:
        """The pictures it mentions."""

    @property
    def colours(self) -> Sequence[Colour]:
        """Those that the panel shows swatches of."""
        return ()

    @abstractmethod
    def default_answer(self) -> dict[str, Any]:
        """What the question itself proposes."""

    @abstractmethod
    def begin(self, draft: Any) -> None:
        """Set a draft to what the question proposes, whatever is in it."""

    @abstractmethod
    def hindrance(self, draft: Any) -> str:
        """Why the draft cannot be sent; "" if it can."""

    @abstractmethod
    def answer(self, draft: Any) -> dict[str, Any]:
        """What the draft answers."""

    @abstractmethod
    def values(self, draft: Any) -> dict[str, Any]:
        """The draft as JSON, to be kept in a file; `resume` is the way back."""

    @abstractmethod
    def resume(self, draft: Any, values: Mapping[str, Any], same: bool) -> None:
        """Set a draft, which has begun, to what was kept of it, as far as that still fits.

        same: whether it was kept of this very question, not of one that the job asked before.
        Raises KeyError, TypeError or ValueError if somebody has spoilt the values; the draft is begun anew then.
        """


def plain_file(name: Any) -> str:
    """The name of a job's file. Raises ValueError for anything that could lead elsewhere."""
    if not isinstance(name, str) or not FILE_NAME.fullmatch(name):
        raise ValueError("not a plain file name")
    return name


def set_order(rows: Any, chosen: Sequence[int | None]) -> None:
    """Number rows by their place in `chosen`, from 1; 0 for those that are not in it."""
    for index, row in enumerate(rows):
        row.order = chosen.index(index) + 1 if index in chosen else 0
