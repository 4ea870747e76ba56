"""Copy or dismiss the last error"""

from __future__ import annotations

import platform

import bpy

from ...state import desk
from .base import OneCall


class SET_DRESSER_OT_copy_error(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.copy_error"
    about_error = True
    bl_label = "Copy Details"
    bl_description = "Copy everything known about the last error, for a bug report"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if desk.current.problem is None:
            cls.poll_message_set("There is no error")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        context.window_manager.clipboard = report()


class SET_DRESSER_OT_dismiss_error(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.dismiss_error"
    about_error = True
    bl_label = "Dismiss"
    bl_description = "Take the error off the panel"

    def act(self, context: bpy.types.Context) -> None:
        desk.current.settle()


def report() -> str:
    """The last error as text, with versions and the end of the log."""
    current = desk.current
    server = current.server
    lines = [current.problem.report()] if current.problem else []
    lines.append(f"Blender {bpy.app.version_string}, {platform.platform()}, backend {server.version or 'unknown'}")
    return "\n".join([*lines, *server.last_log_lines(20)])


CLASSES = (SET_DRESSER_OT_copy_error, SET_DRESSER_OT_dismiss_error)
