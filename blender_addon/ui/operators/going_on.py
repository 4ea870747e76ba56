"""Finish Now, Continue, and a look at what a job shows while it runs"""

from __future__ import annotations

import bpy

from ...api import jobs as job_calls
from ...ground.messages import SetDresserError
from ...state import previews
from ...work import preview_images
from .base import ForJob, image_editor


class SET_DRESSER_OT_finish(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.finish"
    bl_label = "Finish Now"
    bl_description = "End this job early, with the best that it has by now. It can be continued later"

    def act(self, context: bpy.types.Context) -> None:
        job_calls.finish_job(self.job, import_result=True)


class SET_DRESSER_OT_continue(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.continue_job"
    bl_label = "Continue"
    bl_description = "Go on from where this job was; props that it has brought before give way to the better ones"

    def act(self, context: bpy.types.Context) -> None:
        job_calls.continue_job(self.job, wait=False)


class SET_DRESSER_OT_open_preview(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.open_preview"
    bl_label = "Show in Image Editor"
    bl_description = "Watch what this job shows in an Image Editor, for as long as it runs"
    bl_options = {"INTERNAL"}

    slot: bpy.props.StringProperty(
        name="Slot", description="Which of its pictures; the newest if empty", options={"HIDDEN", "SKIP_SAVE"}
    )

    def act(self, context: bpy.types.Context) -> None:
        record = job_calls.find_record(self.job)
        preview = record.previews.get(self.slot) if self.slot else previews.newest(record.previews)
        if preview is None or preview_images.icon((record.id, preview.slot)) is None:
            raise SetDresserError("There is no picture yet.", "Wait a moment.", "not-fetched")
        if not bpy.app.background:
            area = image_editor(context)[1]
            preview_images.open_in(area, (record.id, preview.slot))


CLASSES = (SET_DRESSER_OT_finish, SET_DRESSER_OT_continue, SET_DRESSER_OT_open_preview)
