"""What became of the last press, right below the button: how many props, what was left out, what should be known."""

from __future__ import annotations

import bpy

from ...api import jobs as job_calls
from ...state import desk, listing
from ...state.job import JobRecord
from .text import draw_text

NAMES_TOLD = 4
"""Of what was left out; the rest is a number."""

FINISHED_EARLY = "Finished early: it can go on from here, now or later."


def draw_outcome(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The job of the last press: its props and what it left out, each with a click that selects them; and Continue, if
    there is more to be had of it."""
    record = listing.of_the_last_press(desk.current)
    if record is None:
        return
    props = job_calls.Job(record).objects
    warnings = list(dict.fromkeys(str(warning.get("message", "")) for warning in record.warnings))
    goes_on = record.can_continue and not record.busy
    told = bool(record.imported and props) or record.left_out or warnings or goes_on
    if not told:
        return
    box = layout.box().column(align=True)
    box.use_property_split = False
    if props:
        _draw_selector(box, record, outcome_text(props), "CHECKMARK", left_out=False)
    if record.left_out:
        _draw_selector(box, record, left_out_text([each.name for each in record.left_out]), "ERROR", left_out=True)
    for warning in warnings:
        draw_text(box, context, warning, icon="INFO")
    if goes_on:
        if record.state == "done":
            draw_text(box, context, FINISHED_EARLY, icon="INFO")
        box.operator("set_dresser.continue_job", icon="PLAY").job = record.id


def outcome_text(props: list[bpy.types.Object]) -> str:
    """Like "6 props, 24,310 faces"."""
    faces = sum(len(prop.data.polygons) for prop in props if prop.type == "MESH")
    return f"{len(props)} prop{'' if len(props) == 1 else 's'}, {faces:,} faces"


def left_out_text(names: list[str]) -> str:
    """Like "2 left out: Behind, Under"."""
    more = len(names) - NAMES_TOLD
    told = ", ".join(names[:NAMES_TOLD]) + (f" + {more}" if more > 0 else "")
    return f"{len(names)} left out: {told}"


def _draw_selector(layout: bpy.types.UILayout, record: JobRecord, text: str, icon: str, left_out: bool) -> None:
    row = layout.row()
    row.alignment = "LEFT"
    button = row.operator("set_dresser.select_outcome", text=text, icon=icon, emboss=False, translate=False)
    button.job, button.left_out = record.id, left_out
