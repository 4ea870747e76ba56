"""The jobs that run, the last error, and the jobs that have ended."""

from __future__ import annotations

import bpy

from .. import keeping, results, session, thumbnails
from ..jobs import JobRecord
from ..messages import SetDresserError
from .models import draw_model_at_fault
from .text import draw_text, duration, jobs_counted, memory

JOB_ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "X"}
STAGES_HERE = {"preparing": "Waiting for the backend", "sending": "Sending", "needs_input": "Waiting for an answer"}
JOBS_SHOWN = results.SHOWN
THUMBNAIL_SCALE = 3.0


def draw_running(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Progress, stage and time left of every job that has not ended."""
    for record in session.current.jobs.values():
        if record.ended and not record.busy:
            continue
        box = layout.box()
        row = box.row(align=True)
        row.label(text=_title(record))
        row.operator("set_dresser.cancel", text="", icon="X").job = record.id
        box.progress(factor=1.0 if record.ended else record.fraction, text=progress_text(record))
        if record.state == "queued" and (reason := session.current.life.why_jobs_wait):
            draw_text(box, context, reason, icon="INFO")
        if record.arrival == "waiting" and (reason := session.current.import_hindrance()):
            draw_text(box, context, reason, icon="INFO")


def progress_text(record: JobRecord) -> str:
    """Where the job is, in a few words: "Surface, 40 %, 12 s left"."""
    if record.ended:
        return "Fetching the result" if record.arrival == "fetching" else "Importing"
    if record.cancelling:
        return "Cancelling"
    if record.state == "queued":
        before = record.position or 0
        return f"Queued, {before} before it" if before else "Queued"
    if record.state in STAGES_HERE:
        return STAGES_HERE[record.state]
    parts = [record.message or record.stage.capitalize() or "Starting", f"{record.fraction:.0%}"]
    if record.eta is not None:
        parts.append(f"{duration(record.eta)} left")
    return ", ".join(parts)


def draw_problem(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The last error: what is wrong, what to do, and its details for a report."""
    problem = session.current.problem
    if problem is None:
        return
    box = layout.box()
    draw_text(box, context, problem.message, icon="ERROR", alert=True)
    if problem.hint:
        draw_text(box, context, problem.hint)
    draw_model_at_fault(box, context, problem)
    row = box.row(align=True)
    row.operator("set_dresser.copy_error", icon="COPYDOWN")
    row.operator("set_dresser.support_bundle", text="", icon="PACKAGE")
    row.operator("set_dresser.dismiss_error", text="", icon="X")


def draw_jobs(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The jobs that have ended, newest first."""
    row = layout.row()
    ended = results.listed(session.current)
    row.label(text=f"{len(ended)} ended" if ended else "No job has ended yet")
    row.operator("set_dresser.refresh", text="", icon="FILE_REFRESH")
    for record in ended[:JOBS_SHOWN]:
        _draw_job(layout, context, record)
    if len(ended) > JOBS_SHOWN:
        layout.label(text=f"{len(ended) - JOBS_SHOWN} older ones are not shown")
    if storage := session.current.storage:
        layout.label(text=f"{memory(storage['bytes'])} on disk in {jobs_counted(storage['jobs'])}", icon="DISK_DRIVE")
        keeping.draw(layout)


def _draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, record: JobRecord) -> None:
    """Picture, title, buttons; below what there is to know."""
    icon = thumbnails.result_icon(record.id)
    row = layout.row()
    if icon is not None:
        row.template_icon(icon_value=icon, scale=THUMBNAIL_SCALE)
    column = row.column(align=True)
    line = column.row(align=True)
    line.label(text=_title(record), icon=JOB_ICONS[record.state] if icon is None else "NONE")
    if icon is not None:
        line = column.row(align=True)
        line.alignment = "RIGHT"
    if record.state == "done":
        line.operator("set_dresser.import_job", text="", icon="IMPORT").job = record.id
    line.operator("set_dresser.delete_job", text="", icon="TRASH").job = record.id
    for text in _notes(record):
        draw_text(layout, context, text)


def _notes(record: JobRecord) -> list[str]:
    problem: SetDresserError | None = record.problem
    notes = [problem.message] if problem is not None and problem is not session.current.problem else []
    return notes + [str(warning.get("message", "")) for warning in record.warnings]


def _title(record: JobRecord) -> str:
    return " · ".join(part for part in (record.name, record.pipeline) if part) or record.id
