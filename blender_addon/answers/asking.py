"""The answer that is being put together in the panel: properties of the window manager, never saved in a file.

A draft belongs to one question. It begins with what the question proposes and goes when the question is answered. What
is set meanwhile is kept in a file (`drafts`), and so is there again after another file was opened, or Blender killed.
What lists a draft has, and what they mean, is the business of the question's kind (`kind`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import bpy

from . import drafts, thumbnails
from .kind import Column, Rows
from .questions import KINDS, Question

OPENED_FOR = "set_dresser_question"
"""Custom property of an image that was opened to look at: the key of the question it belongs to."""

_COLUMNS: dict[type, Callable[..., Any]] = {
    bool: bpy.props.BoolProperty,
    int: bpy.props.IntProperty,
    float: bpy.props.FloatProperty,
    str: bpy.props.StringProperty,
    tuple: bpy.props.FloatVectorProperty,
}
"""What a column becomes, by the type of what it begins with."""


def _row_class(list_name: str, rows: Rows) -> type[bpy.types.PropertyGroup]:
    made = {name: _property(column) for name, column in rows.columns.items()}
    label = f"SetDresserAnswer{list_name.capitalize()}"
    return type(label, (bpy.types.PropertyGroup,), {"__doc__": rows.description, "__annotations__": made})


def _property(column: Column) -> Any:
    return _COLUMNS[type(column.begins_with)](
        name=column.name, description=column.description, default=column.begins_with
    )


LISTS = {name: rows for kind in KINDS for name, rows in kind.DRAFT.items()}
_ROW_CLASSES = {name: _row_class(name, rows) for name, rows in LISTS.items()}


class SetDresserAnswer(bpy.types.PropertyGroup):
    """The draft of an answer; `name` is the question's key. It has the lists of every kind, all but its own empty."""

    index: bpy.props.IntProperty(name="Active Row", description="The row that is marked")


SetDresserAnswer.__annotations__ |= {
    name: bpy.props.CollectionProperty(name=rows.name, description=rows.description, type=_ROW_CLASSES[name])
    for name, rows in LISTS.items()
}
CLASSES = (*_ROW_CLASSES.values(), SetDresserAnswer)

_saved: dict[str, tuple[Question, Mapping[str, Any]]] = {}
"""The questions that have a draft, by key, and the values of it that need not be written any more."""


def draft(question: Question) -> SetDresserAnswer | None:
    """The draft of the answer to a question; None until there is one."""
    drafts = _drafts()
    return None if drafts is None else drafts.get(question.key)


def keep(asked: Mapping[str, Question], ended: Collection[str] = ()) -> None:
    """Have a draft for each of these questions, and none for others; nor images opened for others.

    ended: ids of jobs that will ask nothing any more.
    """
    drafts.forget(ended)
    shown = _drafts()
    if shown is None:
        return
    for number in reversed(range(len(shown))):
        if shown[number].name not in asked:
            _saved.pop(shown[number].name, None)
            shown.remove(number)
    for key, question in asked.items():
        if key not in shown:
            made = shown.add()
            made.name = key
            begin(question)
            _resume(question, made)
            _saved[key] = question, _values(question, made)
    for image in [image for image in bpy.data.images if image.get(OPENED_FOR, "") not in ("", *asked)]:
        bpy.data.images.remove(image)


def save(failed: Callable[[Exception], None]) -> None:
    """Write the drafts that have changed; `failed` gets what went wrong, once for each change."""
    for key, (question, values) in list(_saved.items()):
        made = draft(question)
        if made is not None and (now := _values(question, made)) != values:
            _saved[key] = question, now
            try:
                drafts.write(question, now)
            except OSError as error:
                failed(error)


def begin(question: Question) -> None:
    """Set the draft to what the question proposes."""
    made = draft(question)
    if made is None or question.asked is None:
        return
    question.asked.begin(made)
    for colour in question.asked.colours:
        thumbnails.swatch(question.key, colour)


def answer(question: Question) -> dict[str, Any]:
    """What the draft answers; what the question proposes if there is no draft yet. Raises SetDresserError for a
    question that nobody here can read."""
    made = draft(question)
    if made is None or question.asked is None:
        return question.default_answer()
    return question.asked.answer(made)


def hindrance(question: Question) -> str:
    """Why the draft cannot be sent; "" if it can."""
    made = draft(question)
    if question.sending:
        return "The answer is on its way"
    if made is None or question.asked is None:
        return "The question is being read"
    return question.asked.hindrance(made)


def open_image(question: Question, path: Path) -> bpy.types.Image:
    """The picture as an image of this file, for as long as the question stands. Raises RuntimeError."""
    image = bpy.data.images.load(str(path), check_existing=True)
    image[OPENED_FOR] = question.key
    return image


def _drafts() -> Any:
    return getattr(bpy.context.window_manager, "set_dresser_answers", None)


def _values(question: Question, made: SetDresserAnswer) -> Mapping[str, Any]:
    return question.asked.values(made) if question.asked is not None else {}


def _resume(question: Question, made: SetDresserAnswer) -> None:
    """Set the draft to what was kept of it, as far as it still fits the question."""
    kept = drafts.read(question)
    if kept is None or question.asked is None:
        return
    same, values = kept
    try:
        question.asked.resume(made, values, same)
    except (KeyError, TypeError, ValueError):  # somebody has edited the file
        begin(question)


def register() -> None:
    drafts.register()
    bpy.types.WindowManager.set_dresser_answers = bpy.props.CollectionProperty(type=SetDresserAnswer)


def unregister() -> None:
    _saved.clear()
    drafts.unregister()
    del bpy.types.WindowManager.set_dresser_answers
