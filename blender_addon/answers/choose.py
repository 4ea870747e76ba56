"""A question of kind "choose": choose among pictures.

The answer is {"chosen": [indices]}, in the order of the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .kind import Asked, Choice, Column, Rows, plain_file, set_order


@dataclass(frozen=True)
class Choose(Asked):
    """default: indices of `choices` that are proposed; least, most: how many may be chosen."""

    choices: list[Choice]
    least: int
    most: int
    default: list[int]

    KIND = "choose"
    DRAFT = {
        "choices": Rows(
            "Choices",
            "The pictures to choose among",
            {"order": Column("Order", "1 for what was chosen first; 0 if it is not chosen", 0)},
        )
    }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Choose:
        rows = [
            Choice(plain_file(row["file"]), str(row["label"]), str(row.get("note", ""))) for row in document["choices"]
        ]
        default = [int(index) for index in document["default"]]
        if not rows or any(not 0 <= index < len(rows) for index in default):
            raise ValueError("the proposal is not among the choices")
        return cls(rows, int(document.get("least", 1)), int(document.get("most", 1)), default)

    @property
    def files(self) -> list[str]:
        return [choice.file for choice in self.choices]

    def default_answer(self) -> dict[str, Any]:
        return {"chosen": list(self.default)}

    def begin(self, draft: Any) -> None:
        draft.choices.clear()
        for _ in self.choices:
            draft.choices.add()
        set_order(draft.choices, self.default)

    def chosen(self, draft: Any) -> list[int]:
        """Indices of what is chosen, in order."""
        rows = draft.choices
        return sorted((index for index, row in enumerate(rows) if row.order), key=lambda index: rows[index].order)

    def click(self, draft: Any, index: int) -> None:
        """A click on a picture; nothing happens for one that is not there."""
        if 0 <= index < len(draft.choices):
            set_order(draft.choices, toggled(self.chosen(draft), index, self.most))

    def hindrance(self, draft: Any) -> str:
        return choice_hindrance(len(self.chosen(draft)), self.least, self.most)

    def answer(self, draft: Any) -> dict[str, Any]:
        return {"chosen": self.chosen(draft)}

    def values(self, draft: Any) -> dict[str, Any]:
        return {"chosen": self.chosen(draft)}

    def resume(self, draft: Any, values: Mapping[str, Any], same: bool) -> None:
        indices = [int(index) for index in values["chosen"]] if same else []
        if same and len(indices) <= self.most and all(0 <= index < len(self.choices) for index in indices):
            set_order(draft.choices, list(dict.fromkeys(indices)))


def toggled(chosen: Sequence[int], index: int, most: int) -> list[int]:
    """The choice after a click: off if it was on, else last in order. Where one is asked for a click replaces it; where
    as many are chosen as may be, nothing changes."""
    if index in chosen:
        return [each for each in chosen if each != index]
    if most == 1:
        return [index]
    return [*chosen, index] if len(chosen) < most else list(chosen)


def choice_hindrance(count: int, least: int, most: int) -> str:
    """Why so many cannot be used; "" if they can."""
    if count > most:
        return f"Choose {most} at most"
    if count >= least:
        return ""
    if count:
        return f"Choose {least - count} more"
    return f"Choose {least}" if least == most else f"Choose {least} or more"
