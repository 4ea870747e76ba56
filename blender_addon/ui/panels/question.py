"""What a job asks: pictures to choose among, views to pick, objects to look through."""

from __future__ import annotations

import bpy

from ...answers import asking, thumbnails
from ...answers.questions import Question, pixel_count
from ...state import desk
from .pictures import draw_opener, draw_picture, width_for_pictures
from .text import UNIT_PIXELS, count, draw_text
from .views import draw_views

PICTURE_PIXELS = 90.0
"""A thumbnail in the grid has at least this width."""

ROWS = 8


def draw_questions(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What jobs ask. They wait for it, so it comes first."""
    for record in desk.current.jobs.values():
        if record.question is not None:
            draw_question(layout.box(), context, record.question)


def draw_question(layout: bpy.types.UILayout, context: bpy.types.Context, question: Question) -> None:
    """The question of one job, with the buttons that answer it."""
    layout.use_property_split = False
    draw_text(layout, context, question.title, icon="QUESTION")
    if question.text:
        draw_text(layout, context, question.text)
    if question.kind == "choose":
        _draw_choices(layout, context, question)
        label = "Use Chosen"
    elif question.kind == "views":
        draw_views(layout, context, question)
        label = "Reconstruct"
    elif question.kind == "instances":
        _draw_found(layout, context, question)
        label = "Go On"
    else:
        sentence = "This add-on does not know this kind of question. Update it, answer from Python, or cancel the job."
        draw_text(layout, context, sentence, icon="INFO")
        label = ""
    if question.problem is not None:
        draw_text(layout, context, f"{question.problem.message} {question.problem.hint}", icon="ERROR", alert=True)
    reason = asking.hindrance(question) if label else ""
    if reason:
        draw_text(layout, context, reason, icon="INFO")
    row = layout.row(align=True)
    if label:
        go_on = row.row(align=True)
        go_on.enabled = not reason
        go_on.operator("set_dresser.answer", text=label, icon="CHECKMARK").job = question.job
    row.operator("set_dresser.cancel", text="Cancel", icon="X").job = question.job


def _draw_choices(layout: bpy.types.UILayout, context: bpy.types.Context, question: Question) -> None:
    width = width_for_pictures(context)
    columns = max(1, min(len(question.choices), int(width / PICTURE_PIXELS)))
    draft = asking.draft(question)
    order = asking.chosen(draft) if draft is not None else []
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=False, align=False)
    for index, choice in enumerate(question.choices):
        cell = grid.column(align=True)
        draw_picture(cell, question, choice.file, width / columns)
        mark = f"{order.index(index) + 1}: " if index in order and question.most > 1 else ""
        button = cell.operator("set_dresser.choose", text=f"{mark}{choice.label}", depress=index in order)
        button.job, button.index = question.job, index
        row = cell.row(align=True)
        draw_text(row, context, choice.note, pixels=width / columns - UNIT_PIXELS)
        draw_opener(row, question, choice.file)


def _draw_found(layout: bpy.types.UILayout, context: bpy.types.Context, question: Question) -> None:
    overlay, picture = question.pictures
    draw_picture(layout, question, overlay, width_for_pictures(context))
    row = layout.row(align=True)
    row.label(text="Open")
    draw_opener(row, question, overlay, "Objects")
    draw_opener(row, question, picture, "Picture")
    draft = asking.draft(question)
    if draft is None:
        return
    layout.template_list(
        "SET_DRESSER_UL_found", question.key, draft, "found", draft, "index", rows=min(ROWS, len(draft.found))
    )
    kept = sum(row.keep for row in draft.found)
    layout.label(text=f"{kept} of {count(len(draft.found))} kept")
    row = layout.row(align=True)
    merge = row.row(align=True)
    merge.enabled = len(asking.ticked(draft)) > 1
    merge.operator("set_dresser.merge_found", icon="AUTOMERGE_ON").job = question.job
    row.operator("set_dresser.begin_again", text="", icon="LOOP_BACK").job = question.job


class SET_DRESSER_UL_found(bpy.types.UIList):
    """The objects that were found in the picture"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.AnyType,
        item: bpy.types.AnyType,
        icon: int,
        active_data: bpy.types.AnyType,
        active_property: str,
        index: int = 0,
        flt_flag: int = 0,
    ) -> None:
        row = layout.row(align=True)
        row.prop(item, "ticked", text="")
        swatch = thumbnails.swatch_icon(data.name, tuple(item.color))
        row.label(text="", icon_value=swatch or 0)
        name = row.row(align=True)
        name.active = item.keep
        name.prop(item, "name", text="", emboss=False)
        figures = row.row(align=True)
        figures.alignment = "RIGHT"
        figures.active = False
        figures.label(
            text=pixel_count(item.pixels) if item.score < 0 else f"{pixel_count(item.pixels)}  {item.score:.2f}"
        )
        row.prop(item, "keep", text="", icon="HIDE_OFF" if item.keep else "HIDE_ON", emboss=False)


CLASSES = (SET_DRESSER_UL_found,)
