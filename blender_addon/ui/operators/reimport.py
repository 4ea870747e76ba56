"""Import: the button, and the step that the tick takes when a result has come"""

from __future__ import annotations

import bpy

from ... import session
from ...api import generating as api
from ...ground.messages import as_error
from ...props import arrival as arriving
from .base import ForJob


class SET_DRESSER_OT_import_job(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.import_job"
    bl_label = "Import"
    bl_description = "Import the props of this job; those of an earlier import give way and stay as hidden variants"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave Edit Mode first")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        api.import_job(self.job, keep_moves=context.scene.set_dresser.keep_moves, wait=False)


class SET_DRESSER_OT_place_result(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.place_result"
    bl_label = "Set Dresser: Import Props"
    bl_description = "Put the props of a fetched result into the scene"
    bl_options = {"UNDO", "INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = session.current.jobs.get(self.job)
        if record is None:
            return {"CANCELLED"}
        try:
            arriving.place_result(context, record)
        except Exception as error:  # noqa: BLE001 - an operator that raises is printed, not shown; the panel shows this
            record.problem, record.arrival = as_error(error), ""
            session.current.report(error)
            return {"CANCELLED"}
        record.arrival = "imported"
        session.current.changed()
        return {"FINISHED"}


CLASSES = (SET_DRESSER_OT_import_job, SET_DRESSER_OT_place_result)
