"""Import: the button, and the step that the tick takes when a result has come"""

from __future__ import annotations

import bpy

from ...api import jobs as job_calls
from ...ground.messages import SetDresserError
from ...props import arrival
from ...state import desk
from ...state.job import JobRecord
from ...work import results
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
        job_calls.import_job(self.job, keep_moves=context.scene.set_dresser.keep_moves, wait=False)


class SET_DRESSER_OT_place_result(ForJob, bpy.types.Operator):
    bl_idname = "set_dresser.place_result"
    bl_label = "Set Dresser: Import Props"
    bl_description = "Put the props of a fetched result into the scene"
    bl_options = {"UNDO", "INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = desk.current.jobs.get(self.job)
        if record is None:
            return {"CANCELLED"}
        try:
            arrival.place_result(context, record, results.read(record))
        except Exception as error:  # noqa: BLE001 - whoever has called the operator raises it again
            _raised.append(error)
            return {"CANCELLED"}
        return {"FINISHED"}


_raised: list[Exception] = []
"""What the operator has ended with. Blender would make a text of it, so that it is handed to `place` this way."""


def place(record: JobRecord) -> None:
    """Import a fetched job as one undo step, for which an operator is needed. Raises what the import raises."""
    _raised.clear()
    ended = bpy.ops.set_dresser.place_result("EXEC_DEFAULT", True, job=record.id)
    if _raised:
        raise _raised.pop()
    if "FINISHED" not in ended:  # only if the operator's poll or the list stood in the way
        raise SetDresserError("The props could not be imported.", "Press Import in the list of jobs.", "import")


CLASSES = (SET_DRESSER_OT_import_job, SET_DRESSER_OT_place_result)
