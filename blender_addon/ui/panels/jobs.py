"""The last error, and the jobs that have ended."""

from __future__ import annotations

from typing import Any

import bpy

from ...answers import thumbnails
from ...ground.messages import SetDresserError
from ...settings import properties
from ...state import desk, listing
from ...state.job import JobRecord
from ...work import job_list, restoring
from .cures import draw_cures
from .fields import is_narrow
from .models import amount, draw_model_at_fault
from .running import title
from .text import ago, draw_text, jobs_counted

JOB_ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "X"}
ROWS = 5
"""Of the list; the rest is scrolled to."""


def draw_problem(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The last error: what is wrong, what to do, and its details for a report."""
    problem = desk.current.problem
    if problem is None:
        return
    box = layout.box()
    draw_text(box, context, problem.message, icon="ERROR", alert=True)
    if problem.hint:
        draw_text(box, context, problem.hint)
    draw_cures(box, context, problem.code)
    draw_model_at_fault(box, context, problem)
    row = box.row(align=True)
    row.operator("set_dresser.copy_error", icon="COPYDOWN")
    row.operator("set_dresser.support_bundle", text="", icon="PACKAGE")
    row.operator("set_dresser.dismiss_error", text="", icon="X")


def draw_jobs(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The jobs that have ended, newest first, and what can be done with the one that is marked."""
    manager, ended = context.window_manager, listing.listed(desk.current)
    row = layout.row()
    row.label(text=f"{len(ended)} ended" if ended else "No job has ended yet")
    row.operator("set_dresser.refresh", text="", icon="FILE_REFRESH")
    if ended:
        owner = (manager, job_list.ROWS, manager, job_list.ACTIVE)
        layout.template_list("SET_DRESSER_UL_jobs", "", *owner, rows=ROWS, maxrows=ROWS)
        if (record := job_list.active(desk.current)) is not None:
            _draw_active(layout, context, record)
    if storage := desk.current.storage:
        draw_text(layout, context, f"{storage_text(storage)} on disk", icon="DISK_DRIVE")


def storage_text(storage: dict[str, Any]) -> str:
    """Like "1.2 GB in 18 jobs"."""
    return f"{amount(storage['bytes'])} in {jobs_counted(storage['jobs'])}"


def _draw_active(layout: bpy.types.UILayout, context: bpy.types.Context, record: JobRecord) -> None:
    """Below the list: what to know of the job, and its buttons in words."""
    column = layout.column(align=True)
    if is_narrow(context):  # a row has room for the beginning only
        draw_text(column, context, title(record))
    about = " · ".join(part for part in (_pipeline_title(record), ago(record.created), _outcome(record)) if part)
    draw_text(column, context, about)
    problem: SetDresserError | None = record.problem
    if problem is not None and problem is not desk.current.problem:
        draw_text(column, context, problem.message, icon="ERROR")
        draw_text(column, context, problem.hint)
    if record.can_continue:
        column.operator("set_dresser.continue_job", icon="PLAY").job = record.id
    row = column.row(align=True)
    if record.has_result:
        row.operator("set_dresser.import_job", icon="IMPORT").job = record.id
    if not is_narrow(context):
        _draw_restore(row, record, "Settings")
    row.operator("set_dresser.delete_job", text="", icon="TRASH").job = record.id
    if is_narrow(context):
        _draw_restore(column, record)


def _draw_restore(layout: bpy.types.UILayout, record: JobRecord, text: str = "Use Its Settings") -> None:
    row = layout.row(align=True)
    row.enabled = not restoring.hindrance(record)
    row.operator("set_dresser.restore_settings", text=text, icon="LOOP_BACK").job = record.id


def _outcome(record: JobRecord) -> str:
    parts = (
        record.state if record.state != "done" else "",
        "finished early" if record.finished_early else "",
        "imported" if record.result_imported else "",
    )
    return ", ".join(filter(None, parts))


def _pipeline_title(record: JobRecord) -> str:
    view = properties.description_of(desk.current.pipelines, record.pipeline) or {}
    return str(view.get("title") or record.pipeline)


class SET_DRESSER_UL_jobs(bpy.types.UIList):
    """The jobs that have ended, newest first"""

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
        record = desk.current.jobs.get(item.name)
        if record is None:  # it goes with the next tick
            layout.label(text="")
            return
        picture = thumbnails.result_icon(record.id)
        given = {"icon": JOB_ICONS[record.state]} if picture is None else {"icon_value": picture}
        layout.label(text=title(record), translate=False, **given)
        if not is_narrow(context):
            time = layout.row()
            time.alignment = "RIGHT"
            time.active = False
            time.label(text=ago(record.created))


CLASSES = (SET_DRESSER_UL_jobs,)
