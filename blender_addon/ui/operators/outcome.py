"""Select what a job has made, or what it has left out; a former job's settings"""

from __future__ import annotations

import bpy

from ... import session
from ...api import jobs as job_calls
from ...capture import block_outs
from ...ground.messages import SetDresserError
from ...ground.references import contains
from ...work import restoring
from .base import ForJob


class SET_DRESSER_OT_select_outcome(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.select_outcome"
    bl_label = "Select"
    bl_description = "Select these objects, and nothing else"
    bl_options = {"REGISTER", "UNDO"}

    left_out: bpy.props.BoolProperty(
        name="Left Out", description="The block-outs that were left out, not the props", options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave Edit Mode first")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        record = job_calls.find_record(self.job)
        if self.left_out:
            found = [each for each in map(block_outs.resolve, record.left_out) if each is not None]
        else:
            found = job_calls.Job(record).objects
        layer = context.view_layer
        here = [each for each in found if contains(layer.objects, each)]
        if not here:
            raise SetDresserError("They are not in this scene any more.", "Import the job again.", "outcome-gone")
        for each in layer.objects:
            each.select_set(each in here)
        layer.objects.active = here[0]


class SET_DRESSER_OT_restore_settings(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.restore_settings"
    bl_label = "Use Its Settings"
    bl_description = "Set pipeline, parameters and seed as they were for this job"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> None:
        restoring.restore(session.current.line, job_calls.find_record(self.job), context.scene)


CLASSES = (SET_DRESSER_OT_select_outcome, SET_DRESSER_OT_restore_settings)
