"""Remove a job"""

from __future__ import annotations

import bpy

from ...api import jobs as job_calls
from .base import ForJob


class SET_DRESSER_OT_delete_job(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.delete_job"
    bl_label = "Remove Job"
    bl_description = "Remove this job and its files for good; the props in the scene stay"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        answer: set[str] = context.window_manager.invoke_confirm(self, event)
        return answer

    def act(self, context: bpy.types.Context) -> None:
        job_calls.delete_job(self.job)


CLASSES = (SET_DRESSER_OT_delete_job,)
