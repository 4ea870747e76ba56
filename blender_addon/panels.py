"""The tab "Set Dresser" in the 3D viewport. Drawing reads what is known already: no file, no network, no change."""

from __future__ import annotations

import textwrap

import bpy

from . import parameters, properties, session
from .jobs import JobRecord
from .messages import SetDresserError
from .server_process import ServerState

CHARACTER_PIXELS = 6.5
"""Width of an average character of Blender's interface font at a scale of 1: labels do not wrap by themselves."""

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


def generate_hindrance(context: bpy.types.Context) -> str:
    """Why Generate cannot be pressed; "" if it can."""
    settings = context.scene.set_dresser
    if session.current.set_up_problem is not None:
        return "The backend is not set up"
    if session.current.server.state is ServerState.INCOMPATIBLE:
        return ServerState.INCOMPATIBLE.value
    if settings.source == "CAMERA":
        return _camera_hindrance(context, settings)
    if settings.source == "FILE" and not settings.image_path:
        return "Choose an image file"
    if settings.source == "IMAGE" and settings.image is None:
        return "Choose an image"
    if settings.labels == "LABELS":
        chosen = settings.labels_path if settings.source == "FILE" else settings.labels_image
        if not chosen:
            return "Choose a label image, or One Object"
    if settings.use_active_camera and context.scene.camera is None:
        return "The scene has no active camera"
    return ""


def _camera_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    camera = context.scene.camera
    if camera is None:
        return "The scene has no active camera"
    if camera.type == "CAMERA" and camera.data.type != "PERSP":
        return "The active camera is not a perspective camera"
    if settings.instances == "COLLECTION":
        if settings.collection is None:
            return "Choose the collection of your block-out"
        return "" if settings.collection.all_objects else "The collection is empty"
    return "" if context.selected_objects else "Select the objects of your block-out"


def draw_server(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The server's state in a line, with start, stop and log."""
    current = session.current
    state = current.server.state
    row = layout.row(align=True)
    if current.set_up_problem is not None and not current.server.running:
        row.label(text="The backend is not set up", icon="ERROR")
        draw_text(layout, context, f"{current.set_up_problem.message} {current.set_up_problem.hint}")
        return
    row.label(text=state.value.split(";")[0].rstrip("."), icon=STATE_ICONS[state])
    if current.server.running:
        row.operator("set_dresser.stop_server", text="", icon="PAUSE")
    else:
        row.operator("set_dresser.start_server", text="", icon="PLAY")
    row.operator("set_dresser.open_log", text="", icon="TEXT")


def draw_source(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Where the picture comes from."""
    settings = context.scene.set_dresser
    layout.prop(settings, "source")
    if settings.source == "FILE":
        layout.prop(settings, "image_path", text="File")
    elif settings.source == "IMAGE":
        layout.template_ID(settings, "image", open="image.open")
    elif context.scene.camera is not None:
        layout.label(text=context.scene.camera.name, icon="CAMERA_DATA")
    if settings.source != "CAMERA":
        layout.prop(settings, "use_active_camera")


def draw_instances(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What becomes a prop, in numbers."""
    settings = context.scene.set_dresser
    if settings.source == "CAMERA":
        layout.prop(settings, "instances")
        if settings.instances == "COLLECTION":
            layout.prop(settings, "collection", text="")
            chosen = settings.collection.all_objects if settings.collection else ()
            layout.label(text=f"{_count(len(chosen))} in the collection", icon="OUTLINER_COLLECTION")
        else:
            layout.label(text=f"{_count(len(context.selected_objects))} selected", icon="RESTRICT_SELECT_OFF")
        layout.prop(settings, "hide_block_outs")
        return
    layout.prop(settings, "labels")
    if settings.labels == "LABELS" and settings.source == "FILE":
        layout.prop(settings, "labels_path", text="Labels")
    elif settings.labels == "LABELS":
        layout.template_ID(settings, "labels_image", open="image.open")


def draw_pipeline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The pipeline, its parameters as the server describes them, and the seed."""
    settings = context.scene.set_dresser
    pipeline = properties.chosen_pipeline(settings)
    if not pipeline:
        draw_text(layout, context, "Pipelines are listed once the backend has run", icon="INFO")
    else:
        layout.prop(settings, "pipeline")
        holder = parameters.group(context.scene, pipeline)
        for attribute in parameters.attributes(pipeline) if holder else ():
            layout.prop(holder, attribute)
    layout.prop(settings, "seed")


def draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The button, and why it is grey if it is."""
    reason = generate_hindrance(context)
    column = layout.column()
    column.scale_y = 1.5
    column.operator("set_dresser.generate", icon="SHADERFX")
    if reason:
        draw_text(layout, context, reason, icon="INFO")


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
        parts.append(f"{_duration(record.eta)} left")
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


def draw_text(
    layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE", alert: bool = False
) -> None:
    """A sentence in as many labels as the region's width asks for."""
    region = getattr(context, "region", None)
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    pixels = (region.width if region else 300) / scale
    column = layout.column(align=True)
    column.alert = alert
    lines = textwrap.wrap(text, max(20, int((pixels - 60) / CHARACTER_PIXELS)))
    for number, line in enumerate(lines):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE")


def _notes(record: JobRecord) -> list[str]:
    problem: SetDresserError | None = record.problem
    notes = [problem.message] if problem is not None and problem is not session.current.problem else []
    return notes + [str(warning.get("message", "")) for warning in record.warnings]


def _title(record: JobRecord) -> str:
    return " · ".join(part for part in (record.name, record.pipeline) if part) or record.id


def _count(number: int) -> str:
    return f"{number} object" if number == 1 else f"{number} objects"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class _Tab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Set Dresser"


class SET_DRESSER_PT_main(_Tab, bpy.types.Panel):
    bl_label = "Set Dresser"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for draw in (
            draw_server,
            draw_source,
            draw_instances,
            draw_pipeline,
            draw_generate,
            draw_running,
            draw_problem,
        ):
            draw(layout.column(), context)


class SET_DRESSER_PT_jobs(_Tab, bpy.types.Panel):
    bl_label = "Jobs"
    bl_parent_id = "SET_DRESSER_PT_main"

    def draw(self, context: bpy.types.Context) -> None:
        draw_jobs(self.layout.column(), context)


CLASSES = (SET_DRESSER_PT_main, SET_DRESSER_PT_jobs)
