"""Save a report for support"""

from __future__ import annotations

import time

import bpy

from ...api.support_bundle import support_bundle
from .base import OneCall


class SET_DRESSER_OT_support_bundle(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.support_bundle"
    about_error = True
    bl_label = "Save Report"
    bl_description = (
        "Save a zip for a bug report: versions, settings, logs and the last job, without passwords and without your "
        "name. Nothing is sent anywhere"
    )

    filepath: bpy.props.StringProperty(name="File", description="The zip to write", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.zip", options={"HIDDEN", "SKIP_SAVE"})
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    pictures: bpy.props.BoolProperty(
        name="Include Pictures",
        description="Also the pictures of the last job: what was sent, and what the backend showed",
        default=False,
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.filepath:
            self.filepath = f"set-dresser-report-{time.strftime('%Y%m%d-%H%M')}.zip"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> None:
        path = support_bundle(self.filepath, pictures=self.pictures)
        self.report({"INFO"}, f"The report was saved as {path.name}")


CLASSES = (SET_DRESSER_OT_support_bundle,)
