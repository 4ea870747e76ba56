"""What all operators share: errors reach the status bar and the panel."""

from __future__ import annotations

import bpy

from .. import session
from ..messages import SetDresserError


class Thin:
    """An operator that is one call: `act` does it, and may raise SetDresserError."""

    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self.act(context)
        except SetDresserError as error:
            session.current.report(error)
            self.report({"ERROR"}, f"{error.message} {error.hint}".strip())
            return {"CANCELLED"}
        return {"FINISHED"}

    def act(self, context: bpy.types.Context) -> None:
        raise NotImplementedError


class ForJob(Thin):
    """An operator on one job of the list."""

    job: bpy.props.StringProperty(name="Job", description="Its id", options={"HIDDEN", "SKIP_SAVE"})


def image_editor(context: bpy.types.Context) -> tuple[bpy.types.Window, bpy.types.Area]:
    """An Image Editor in one of the windows; in a new window if there is none."""
    windows = [context.window, *context.window_manager.windows]
    for window in windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.ui_type == "IMAGE_EDITOR":
                return window, area
    bpy.ops.wm.window_new()
    window = context.window_manager.windows[-1]
    area = window.screen.areas[0]
    area.ui_type = "IMAGE_EDITOR"
    return window, area
