"""Cancel"""

from __future__ import annotations

import bpy

from ...api import jobs as job_calls
from .base import ForJob


class SET_DRESSER_OT_cancel(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.cancel"
    bl_label = "Cancel"
    bl_description = "Cancel this job"

    def act(self, context: bpy.types.Context) -> None:
        job_calls.cancel(self.job)


CLASSES = (SET_DRESSER_OT_cancel,)
