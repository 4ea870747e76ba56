"""The server, the jobs that run, the last error, and the jobs that have ended."""

from __future__ import annotations

import bpy

from .. import session, setting_up
from ..jobs import JobRecord
from ..messages import SetDresserError
from ..server_process import ServerState
from .text import draw_text, duration

STATE_ICONS = {
    ServerState.STOPPED: "RADIOBUT_OFF",
    ServerState.STARTING: "SORTTIME",
    ServerState.READY: "RADIOBUT_ON",
    ServerState.STOPPING: "SORTTIME",
    ServerState.CRASHED: "ERROR",
    ServerState.INCOMPATIBLE: "ERROR",
}
JOB_ICONS = {"done": "CHECKMARK", "failed": "ERROR", "cancelled": "X"}
STAGES_HERE = {"preparing": "Waiting for the backend", "sending": "Sending", "needs_input": "Waiting for an answer"}
JOBS_SHOWN = 20


def draw_server(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The server's state in a line, with start, stop and log."""
    current = session.current
    state = current.server.state
    if current.set_up_problem is not None and not current.server.running:
        if current.installation.plan is None or setting_up.uses_another_python():  # else `draw_installation` tells
            layout.label(text="The backend is not set up", icon="ERROR")
            draw_text(layout, context, f"{current.set_up_problem.message} {current.set_up_problem.hint}")
        return
    row = layout.row(align=True)
    row.label(text=state.value.split(";")[0].rstrip("."), icon=STATE_ICONS[state])
    if current.server.running:
        row.operator("set_dresser.stop_server", text="", icon="PAUSE")
    else:
        row.operator("set_dresser.start_server", text="", icon="PLAY")
    row.operator("set_dresser.open_log", text="", icon="TEXT")


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
    row = box.row(align=True)
    row.operator("set_dresser.copy_error", icon="COPYDOWN")
    row.operator("set_dresser.dismiss_error", text="", icon="X")


def draw_jobs(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The jobs that have ended, newest first."""
    row = layout.row()
    ended = [record for record in session.current.jobs.values() if record.ended and not record.busy]
    row.label(text=f"{len(ended)} ended" if ended else "No job has ended yet")
    row.operator("set_dresser.refresh", text="", icon="FILE_REFRESH")
    for record in ended[:JOBS_SHOWN]:
        row = layout.row(align=True)
        row.label(text=_title(record), icon=JOB_ICONS[record.state])
        if record.state == "done":
            row.operator("set_dresser.import_job", text="", icon="IMPORT").job = record.id
        row.operator("set_dresser.delete_job", text="", icon="TRASH").job = record.id
        for text in _notes(record):
            draw_text(layout, context, text)
    if len(ended) > JOBS_SHOWN:
        layout.label(text=f"{len(ended) - JOBS_SHOWN} older ones are not shown")


def _notes(record: JobRecord) -> list[str]:
    problem: SetDresserError | None = record.problem
    notes = [problem.message] if problem is not None and problem is not session.current.problem else []
    return notes + [str(warning.get("message", "")) for warning in record.warnings]


def _title(record: JobRecord) -> str:
    return " · ".join(part for part in (record.name, record.pipeline) if part) or record.id
