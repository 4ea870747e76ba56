"""The rows of the panel's list of jobs.

Blender's lists draw collections of properties, so that there is one row for each job that has ended: its id, and
nothing else. They belong to the window manager, and are saved nowhere.
"""

from __future__ import annotations

import bpy

from ..state import listing
from ..state.desk import Desk
from ..state.job import JobRecord

ROWS, ACTIVE = "set_dresser_jobs", "set_dresser_job_index"


class SetDresserJobRow(bpy.types.PropertyGroup):
    """`name` is the job's id."""


def sync(desk: Desk) -> None:
    """Have a row for each job that has ended, newest first; what was marked stays marked."""
    manager = bpy.context.window_manager
    rows, wanted = manager.set_dresser_jobs, [record.id for record in listing.listed(desk)]
    if [row.name for row in rows] == wanted:
        return
    marked = rows[manager.set_dresser_job_index].name if 0 <= manager.set_dresser_job_index < len(rows) else ""
    rows.clear()
    for identifier in wanted:
        rows.add().name = identifier
    manager.set_dresser_job_index = wanted.index(marked) if marked in wanted else 0


def active(desk: Desk) -> JobRecord | None:
    """The job that is marked; None if there is none."""
    manager = bpy.context.window_manager
    rows, index = manager.set_dresser_jobs, manager.set_dresser_job_index
    return desk.jobs.get(rows[index].name) if 0 <= index < len(rows) else None


CLASSES = (SetDresserJobRow,)


def register() -> None:
    manager = bpy.types.WindowManager
    manager.set_dresser_jobs = bpy.props.CollectionProperty(
        type=SetDresserJobRow, name="Jobs", description="Jobs that have ended, newest first", options={"SKIP_SAVE"}
    )
    manager.set_dresser_job_index = bpy.props.IntProperty(
        name="Active Job", description="The job that is marked", options={"SKIP_SAVE"}
    )


def unregister() -> None:
    del bpy.types.WindowManager.set_dresser_jobs
    del bpy.types.WindowManager.set_dresser_job_index
