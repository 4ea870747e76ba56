"""The answer that is being put together in the panel: properties of the window manager, never saved in a file.

A draft belongs to one question. It begins with what the question proposes and goes when the question is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from . import thumbnails
from .questions import Found, Question, choice_hindrance, instances_answer, merged, toggled

OPENED_FOR = "set_dresser_question"
"""Custom property of an image that was opened to look at: the key of the question it belongs to."""


class SetDresserChoice(bpy.types.PropertyGroup):
    """One picture of a "choose" question."""

    order: bpy.props.IntProperty(name="Order", description="1 for what was chosen first, 0 if it is not chosen")


class SetDresserFound(bpy.types.PropertyGroup):
    """One object of an "instances" question; `name` is what the prop will be called."""

    ids: bpy.props.StringProperty(name="Ids", description="What it was made of, by number")
    pixels: bpy.props.IntProperty(name="Pixels", description="How many pixels of the picture it has")
    score: bpy.props.FloatProperty(name="Score", description="How sure the finder is, up to 1", default=-1.0)
    color: bpy.props.FloatVectorProperty(name="Colour", description="Its colour in the picture above", size=3)
    keep: bpy.props.BoolProperty(
        name="Keep", description="Make a prop of it; what is not kept becomes background", default=True
    )
    ticked: bpy.props.BoolProperty(name="Select", description="Select it for Merge Selected")


class SetDresserAnswer(bpy.types.PropertyGroup):
    """The draft of an answer; `name` is the question's key."""

    choices: bpy.props.CollectionProperty(
        name="Choices", description="The pictures to choose among", type=SetDresserChoice
    )
    found: bpy.props.CollectionProperty(name="Found", description="The objects that were found", type=SetDresserFound)
    index: bpy.props.IntProperty(name="Active Object", description="The row that is marked")


CLASSES = (SetDresserChoice, SetDresserFound, SetDresserAnswer)


def draft(question: Question) -> SetDresserAnswer | None:
    """The draft of the answer to a question; None until there is one."""
    drafts = _drafts()
    return None if drafts is None else drafts.get(question.key)


def keep(asked: Mapping[str, Question]) -> None:
    """Have a draft for each of these questions, and none for others; nor images opened for others."""
    drafts = _drafts()
    if drafts is None:
        return
    for number in reversed(range(len(drafts))):
        if drafts[number].name not in asked:
            drafts.remove(number)
    for key, question in asked.items():
        if key not in drafts:
            made = drafts.add()
            made.name = key
            begin(question)
    for image in [image for image in bpy.data.images if image.get(OPENED_FOR, "") not in ("", *asked)]:
        bpy.data.images.remove(image)


def begin(question: Question) -> None:
    """Set the draft to what the question proposes."""
    made = draft(question)
    if made is None:
        return
    made.choices.clear()
    for _ in question.choices:
        made.choices.add()
    _set_chosen(made, question.default)
    _set_found(made, question.found)
    made.index = 0
    for row in question.found:
        thumbnails.swatch(question.key, row.color)


def chosen(made: SetDresserAnswer) -> list[int]:
    """Indices of what is chosen, in order."""
    return sorted((index for index, row in enumerate(made.choices) if row.order), key=lambda i: made.choices[i].order)


def choose(question: Question, index: int) -> None:
    """A click on a picture."""
    made = draft(question)
    if made is not None and 0 <= index < len(made.choices):
        _set_chosen(made, toggled(chosen(made), index, question.most))


def ticked(made: SetDresserAnswer) -> list[int]:
    return [index for index, row in enumerate(made.found) if row.ticked]


def merge(question: Question) -> None:
    """Make one object of those that are ticked."""
    made = draft(question)
    if made is not None and len(indices := ticked(made)) > 1:
        dropped = {number for row in made.found if not row.keep and not row.ticked for number in _ids(row)}
        _set_found(made, merged(_rows(made), indices))
        for row in made.found:
            row.keep = not dropped.issuperset(_ids(row))
        made.index = indices[0]


def answer(question: Question) -> dict[str, Any]:
    """What the draft answers; what the question proposes if there is no draft yet."""
    made = draft(question)
    if made is None:
        return question.default_answer()
    if question.kind == "choose":
        return {"chosen": chosen(made)}
    return instances_answer([row for row, each in zip(_rows(made), made.found, strict=True) if each.keep])


def hindrance(question: Question) -> str:
    """Why the draft cannot be sent; "" if it can."""
    made = draft(question)
    if question.sending:
        return "The answer is on its way"
    if made is None:
        return "The question is being read"
    if question.kind == "choose":
        return choice_hindrance(len(chosen(made)), question.least, question.most)
    return "" if any(row.keep for row in made.found) else "Keep at least one object, or cancel"


def open_image(question: Question, path: Path) -> bpy.types.Image:
    """The picture as an image of this file, for as long as the question stands. Raises RuntimeError."""
    image = bpy.data.images.load(str(path), check_existing=True)
    image[OPENED_FOR] = question.key
    return image


def _drafts() -> Any:
    return getattr(bpy.context.window_manager, "set_dresser_answers", None)


def _set_chosen(made: SetDresserAnswer, indices: list[int]) -> None:
    for index, row in enumerate(made.choices):
        row.order = indices.index(index) + 1 if index in indices else 0


def _rows(made: SetDresserAnswer) -> list[Found]:
    return [
        Found(_ids(row), row.name, row.pixels, None if row.score < 0 else row.score, tuple(row.color))
        for row in made.found
    ]


def _set_found(made: SetDresserAnswer, rows: list[Found]) -> None:
    made.found.clear()
    for row in rows:
        item = made.found.add()
        item.name, item.pixels, item.color = row.name, row.pixels, row.color
        item.score = -1.0 if row.score is None else row.score
        item.ids = " ".join(map(str, row.ids))


def _ids(row: SetDresserFound) -> tuple[int, ...]:
    return tuple(int(number) for number in row.ids.split())


def register() -> None:
    bpy.types.WindowManager.set_dresser_answers = bpy.props.CollectionProperty(type=SetDresserAnswer)


def unregister() -> None:
    del bpy.types.WindowManager.set_dresser_answers
