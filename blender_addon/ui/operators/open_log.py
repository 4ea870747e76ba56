"""Open the backend's log"""

from __future__ import annotations

from pathlib import Path

import bpy

from ...ground.messages import SetDresserError
from ...state import desk
from .base import OneCall


class SET_DRESSER_OT_open_log(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.open_log"
    about_error = True
    bl_label = "Open Log"
    bl_description = "Open what the backend has written in a text editor of Blender's"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if desk.current.server.log is None:
            remote = desk.current.server.remote
            cls.poll_message_set("The log is on the server" if remote else "The backend has not been started yet")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        log = desk.current.server.log
        if log is None or not log.is_file():
            raise SetDresserError("There is no log.", "Start the backend first.", "no-log")
        show_log(context, log)


def show_log(context: bpy.types.Context, log: Path) -> None:
    """The end of a log in a text editor, in a window of its own."""
    text = bpy.data.texts.get("Set Dresser Log") or bpy.data.texts.new("Set Dresser Log")
    text.from_string(log.read_text(encoding="utf-8", errors="replace")[-200_000:] or "The log is empty.\n")
    if not bpy.app.background:
        bpy.ops.wm.window_new()
        area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "TEXT_EDITOR"
        area.spaces.active.text = text


CLASSES = (SET_DRESSER_OT_open_log,)
