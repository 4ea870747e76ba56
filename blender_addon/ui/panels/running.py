"""The jobs that run: what they show, how far they are, and how they are ended."""

from __future__ import annotations

import bpy

from ...ground import moments
from ...state import condition, desk, listing
from ...state.job import JobRecord
from ...state.previews import Preview, newest
from ...work import preview_images
from .fields import DECORATION_PIXELS, is_narrow, text_width
from .text import UNIT_PIXELS, draw_text, duration, region_width

STAGES_HERE = {"preparing": "Waiting for the backend", "sending": "Sending", "needs_input": "Waiting for an answer"}
DONE_YET_WAITING = 0.98
"""Of the bar of a job whose props cannot come in at the moment: it is not full, for something is still to be done."""

PICTURE_SHARE = 0.3
"""Of the width, for what a job shows, where its bar is beside it."""

LARGEST_PICTURE_PIXELS = 120.0
NARROW_PICTURE_PIXELS = 100.0
MOST_OPENERS = 4
"""Buttons that open a slot; those that were painted last."""

MOST_LINES = 2
"""Of what a job says of its step: an optimisation names all of its losses, which is for the command line."""


def draw_running(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Progress, stage, time left and picture of every job that has not ended."""
    batched = listing.of_batches(desk.current)
    for record in desk.current.jobs.values():
        if record.id not in batched and (not record.ended or record.busy):
            _draw_job(layout.box(), context, record)


def _draw_job(box: bpy.types.UILayout, context: bpy.types.Context, record: JobRecord) -> None:
    row = box.row(align=True)
    row.label(text=title(record), translate=False)
    if record.can_finish and not record.finishing and not record.cancelling:
        words = {} if is_narrow(context) else {"text": "Finish Now"}
        button = row.operator("set_dresser.finish", **({"text": "", "icon": "CHECKMARK"} | words))
        button.job = record.id
    row.operator("set_dresser.cancel", text="", icon="X").job = record.id
    hindrance = moments.import_hindrance() if record.arrival == "waiting" else ""
    column = _beside_its_picture(box, context, record)
    full = record.ended and not hindrance and not record.continuing
    factor = 1.0 if full else record.fraction * (DONE_YET_WAITING if hindrance else 1.0)
    pixels = _room_beside(context, record)
    text, below = _fitting("Waiting" if hindrance else progress_text(record), pixels)
    column.progress(factor=factor, text=text)
    if about := ": ".join(filter(None, (below, record.message if record.state == "running" else ""))):
        draw_text(column, context, about, pixels=pixels, most=MOST_LINES)
    if hindrance:
        draw_text(box, context, hindrance, icon="INFO")
    if (record.state == "queued" or condition.is_away(desk.current)) and (
        reason := condition.why_jobs_wait(desk.current)
    ):
        draw_text(box, context, reason, icon="INFO")


def progress_text(record: JobRecord) -> str:
    """Where the job is, in a few words: "Surface, 40%, 12 s left"."""
    if record.continuing:
        return "Cancelling" if record.cancelling else "Continuing"
    if record.ended:
        return "Fetching the result" if record.arrival == "fetching" else "Importing"
    if record.cancelling:
        return "Cancelling"
    if record.state == "queued":
        before = record.position or 0
        return f"Queued, {before} before it" if before else "Queued"
    if desk.current.server.remote and record.state == "preparing":
        return "Waiting for the server"
    if record.state in STAGES_HERE:
        return STAGES_HERE[record.state]
    if record.state == "capturing" and record.message:
        return f"{record.message}, {record.fraction:.0%}"
    parts = [record.stage.replace("_", " ").capitalize() or "Starting", f"{record.fraction:.0%}"]
    if record.finishing:
        parts[0] = "Finishing"
    if record.eta is not None:
        parts.append(f"{duration(record.eta)} left")
    return ", ".join(parts)


def _fitting(text: str, pixels: float) -> tuple[str, str]:
    """What stands in a bar of that width, and what must stand below it: rather the stage than the time left."""
    stage, comma, rest = text.partition(", ")
    if comma and text_width(text) + DECORATION_PIXELS > pixels:
        return rest, stage
    return text, ""


def title(record: JobRecord) -> str:
    return record.name or record.id


def _beside_its_picture(box: bpy.types.UILayout, context: bpy.types.Context, record: JobRecord) -> bpy.types.UILayout:
    """Draw the newest picture with its caption and buttons that open it; returns where the bar goes."""
    preview = _shown(record)
    if preview is None:
        return box.column(align=True)
    icon = preview_images.icon((record.id, preview.slot)) or 0
    if is_narrow(context):
        box.template_icon(icon_value=icon, scale=NARROW_PICTURE_PIXELS / UNIT_PIXELS)
        column = box.column(align=True)
    else:
        split = box.split(factor=PICTURE_SHARE)
        split.column().template_icon(icon_value=icon, scale=_picture_pixels(context) / UNIT_PIXELS)
        column = split.column(align=True)
    _draw_openers(column, context, record, preview)
    return column


def _draw_openers(column: bpy.types.UILayout, context: bpy.types.Context, record: JobRecord, preview: Preview) -> None:
    """What the picture shows, and a button for each slot that puts it into an Image Editor."""
    row = column.row(align=True)
    row.label(text=preview.caption or preview.slot.replace("-", " ").capitalize(), translate=False)
    for slot in [*record.previews][-MOST_OPENERS:]:
        if preview_images.icon((record.id, slot)) is not None:
            several = len(record.previews) > 1 and slot != preview.slot
            button = row.operator("set_dresser.open_preview", text="", icon="IMAGE_DATA" if several else "ZOOM_IN")
            button.job, button.slot = record.id, slot


def _shown(record: JobRecord) -> Preview | None:
    """The newest preview whose picture is here."""
    here = {
        slot: preview for slot, preview in record.previews.items() if preview_images.icon((record.id, slot)) is not None
    }
    return None if record.ended else newest(here)


def _picture_pixels(context: bpy.types.Context) -> float:
    return min(region_width(context) * PICTURE_SHARE - UNIT_PIXELS / 2, LARGEST_PICTURE_PIXELS)


def _room_beside(context: bpy.types.Context, record: JobRecord) -> float:
    """Pixels for words beside the picture, or below it."""
    width = region_width(context) - 3 * UNIT_PIXELS
    return width if is_narrow(context) or _shown(record) is None else width * (1 - PICTURE_SHARE)
