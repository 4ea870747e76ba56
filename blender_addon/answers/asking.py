"""The answer that is being put together in the panel: properties of the window manager, never saved in a file.

A draft belongs to one question. It begins with what the question proposes and goes when the question is answered. What
is set meanwhile is kept in a file (`drafts`), and so is there again after another file was opened, or Blender killed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import bpy

from . import drafts, thumbnails
from . import picks as views
from .picks import Picks
from .questions import Found, Question, choice_hindrance, instances_answer, merged, regrouped, toggled

OPENED_FOR = "set_dresser_question"
"""Custom property of an image that was opened to look at: the key of the question it belongs to."""


class SetDresserChoice(bpy.types.PropertyGroup):
    """One picture of a "choose" question, or one view of a "views" question."""

    order: bpy.props.IntProperty(
        name="Order", description="1 for what was chosen first, or the number of its slot; 0 if it is not chosen"
    )


class SetDresserPhoto(bpy.types.PropertyGroup):
    """One photo of a "views" question."""

    unfolded: bpy.props.BoolProperty(name="Show Views", description="Show the views of this photo", default=True)


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
    photos: bpy.props.CollectionProperty(
        name="Photos", description="The photos that views were made of", type=SetDresserPhoto
    )
    found: bpy.props.CollectionProperty(name="Found", description="The objects that were found", type=SetDresserFound)
    index: bpy.props.IntProperty(name="Active Object", description="The row that is marked")


CLASSES = (SetDresserChoice, SetDresserPhoto, SetDresserFound, SetDresserAnswer)

_saved: dict[str, tuple[Question, dict[str, Any]]] = {}
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
    if made is None:
        return
    made.choices.clear()
    for _ in question.choices or question.views:
        made.choices.add()
    _set_chosen(made, question.default)
    while len(made.photos) < len(question.photos):
        made.photos.add()
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


def picks(question: Question) -> Picks:
    """What is in the slots of a "views" question."""
    made = draft(question)
    filled = {row.order: index for index, row in enumerate(made.choices) if row.order} if made is not None else {}
    return tuple(filled.get(slot + 1) for slot in range(len(question.slots)))


def pick(question: Question, chosen: Picks) -> None:
    """Fill the slots of a "views" question."""
    made = draft(question)
    for index, row in enumerate(made.choices if made is not None else ()):
        row.order = chosen.index(index) + 1 if index in chosen else 0


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
    if question.kind in ("choose", "views"):
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
    if question.kind == "views":
        return views.hindrance(picks(question))
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


def _values(question: Question, made: SetDresserAnswer) -> dict[str, Any]:
    """The draft as plain values; `_resume` is the way back."""
    if question.kind == "views":
        return {"slots": views.written(picks(question), question)}
    if question.kind == "choose":
        return {"chosen": chosen(made)}
    return {"rows": [{"ids": list(_ids(row)), "name": row.name, "keep": row.keep} for row in made.found]}


def _resume(question: Question, made: SetDresserAnswer) -> None:
    """Set the draft to what was kept of it, as far as it still fits the question."""
    kept = drafts.read(question)
    if kept is None:
        return
    same, values = kept
    try:
        if question.kind == "views" and (former := views.resumed(values["slots"], question)) is not None:
            pick(question, former)
        elif question.kind == "choose" and same:
            indices = [int(index) for index in values["chosen"]]
            if len(indices) <= question.most and all(0 <= index < len(made.choices) for index in indices):
                _set_chosen(made, list(dict.fromkeys(indices)))
        elif question.kind == "instances" and same:
            rows = regrouped(question.found, [(row["ids"], str(row["name"])) for row in values["rows"]])
            if rows is not None:
                _set_found(made, rows)
                for row, value in zip(made.found, values["rows"], strict=True):
                    row.keep = bool(value["keep"])
    except (KeyError, TypeError, ValueError):  # somebody has edited the file
        begin(question)


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
    drafts.register()
    bpy.types.WindowManager.set_dresser_answers = bpy.props.CollectionProperty(type=SetDresserAnswer)


def unregister() -> None:
    _saved.clear()
    drafts.unregister()
    del bpy.types.WindowManager.set_dresser_answers
