"""Generated views to pick from: photo by photo, then the sheet of slots that they are put in."""

from __future__ import annotations

import bpy

from ...answers import asking
from ...answers import picks as views
from ...answers.picks import Picks
from ...answers.questions import Question
from .pictures import draw_opener, draw_picture, width_for_pictures
from .text import UNIT_PIXELS, draw_text

PICTURE_PIXELS = 72.0
"""A view has at least this width."""

PHOTO_PIXELS = 40.0
SHEET_COLUMNS = 2
LARGEST_SLOT_PIXELS = 160.0


def draw_views(layout: bpy.types.UILayout, context: bpy.types.Context, question: Question) -> None:
    """All there is to pick from, the slots, and what to know of the picks."""
    draft = asking.draft(question)
    if draft is None:
        return
    picks = asking.picks(question)
    for number, photo in enumerate(draft.photos):
        _draw_photo(layout, question, number, photo)
        if photo.unfolded:
            _draw_views(layout, context, question, number, picks)
    layout.separator()
    _draw_sheet(layout, context, question, picks)
    row = layout.row(align=True)
    row.operator("set_dresser.begin_again", text="Use Defaults", icon="LOOP_BACK").job = question.job
    row.operator("set_dresser.clear_slots", icon="X").job = question.job
    for note in views.notes(picks, question.views, question.slots, question.true_cameras):
        draw_text(layout, context, note, icon="INFO")


def _draw_photo(layout: bpy.types.UILayout, question: Question, number: int, draft: bpy.types.PropertyGroup) -> None:
    """The photo's row: its object, its name, from where it was taken, and the button for other views of it."""
    photo = question.photos[number]
    row = layout.row(align=True)
    icon = "TRIA_DOWN" if draft.unfolded else "TRIA_RIGHT"
    row.prop(draft, "unfolded", text="", icon=icon, emboss=False)
    draw_picture(row, question, photo.file, PHOTO_PIXELS)
    column = row.column(align=True)
    column.label(text=photo.name or f"Photo {number + 1}", translate=False)
    line = column.row(align=True)
    side = line.row(align=True)
    side.active = photo.known
    azimuth = views.degrees(photo.azimuth)
    side.label(text=azimuth if photo.known else f"{azimuth} assumed")
    button = line.operator("set_dresser.regenerate_views", text="", icon="FILE_REFRESH")
    button.job, button.photo = question.job, number
    draw_opener(line, question, photo.file)


def _draw_views(
    layout: bpy.types.UILayout, context: bpy.types.Context, question: Question, photo: int, picks: Picks
) -> None:
    shown = [(index, view) for index, view in enumerate(question.views) if view.photo == photo]
    width = width_for_pictures(context)
    columns = max(1, min(len(shown), int(width / PICTURE_PIXELS)))
    if len(shown) % columns and len(shown) % 3 == 0:
        columns = min(columns, 3)  # rows of the same length
    grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, even_rows=False, align=False)
    for index, view in shown:
        cell = grid.column(align=True)
        draw_picture(cell, question, view.file, width / columns)
        side = views.degrees(view.azimuth)
        text = f"{picks.index(index) + 1}: {side}" if index in picks else side
        row = cell.row(align=True)
        button = row.operator("set_dresser.pick_view", text=text, depress=index in picks)
        button.job, button.index = question.job, index
        draw_opener(row, question, view.file)


def _draw_sheet(layout: bpy.types.UILayout, context: bpy.types.Context, question: Question, picks: Picks) -> None:
    """The slots in rows from left to right, as they lie on the sheet."""
    width = width_for_pictures(context) / SHEET_COLUMNS
    pixels = min(width - 2 * UNIT_PIXELS, LARGEST_SLOT_PIXELS)
    grid = layout.grid_flow(row_major=True, columns=SHEET_COLUMNS, even_columns=True, even_rows=True, align=False)
    for slot, place in enumerate(question.slots):
        cell = grid.box().column(align=True)
        cell.label(text=f"{slot + 1}:  {views.camera(place)}")
        row = cell.row(align=True)
        index = picks[slot]
        if index is None:
            empty = row.column(align=True)
            empty.active = False
            empty.template_icon(icon_value=0, scale=pixels / UNIT_PIXELS)
        else:
            draw_picture(row, question, question.views[index].file, pixels)
        column = row.column(align=True)
        for steps, icon, possible in ((-1, "TRIA_LEFT", slot > 0), (1, "TRIA_RIGHT", slot + 1 < len(picks))):
            mover = column.row(align=True)
            mover.enabled = possible
            button = mover.operator("set_dresser.move_view", text="", icon=icon)
            button.job, button.slot, button.steps = question.job, slot, steps
        clear = column.row(align=True)
        clear.enabled = index is not None
        button = clear.operator("set_dresser.clear_slot", text="", icon="X")
        button.job, button.slot = question.job, slot
