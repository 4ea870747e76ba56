"""What all operators share: errors reach the status bar and the panel."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import bpy

from ...ground.messages import SetDresserError
from ...state import desk

LONGEST_REPORT = 90
"""Characters of what the status bar shows."""


def tell(operator: bpy.types.Operator, error: SetDresserError) -> None:
    """Say what went wrong. A press that fails gets a short line in the status bar: the panel has the sentence and what
    to do, and a pop-up would lie over the next click. For a script it is an error, which raises there."""
    if operator.options.is_invoke:
        operator.report({"WARNING"}, textwrap.shorten(error.message, LONGEST_REPORT, placeholder="…"))
    else:
        operator.report({"ERROR"}, f"{error.message} {error.hint}".strip())


def permitted(operator: type[bpy.types.Operator], hindrance: str) -> bool:
    """What `poll` returns: whether nothing hinders; what does is shown over the grey button."""
    if hindrance:
        operator.poll_message_set(hindrance)
    return not hindrance


if TYPE_CHECKING:
    _Operator = bpy.types.Operator
else:  # Blender registers what is derived from its own class beside this one
    _Operator = object


class OneCall(_Operator):
    """An operator that is one call: `act` does it, and may raise SetDresserError.

    about_error: it does something with the error that the panel shows; any other press takes that off the panel.
    """

    bl_options = {"REGISTER"}
    about_error = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self.about_error:
            desk.current.settle()
        try:
            self.act(context)
        except SetDresserError as error:
            desk.current.report(error)
            tell(self, error)
            return {"CANCELLED"}
        return {"FINISHED"}

    def act(self, context: bpy.types.Context) -> None:
        raise NotImplementedError


class ForJob(OneCall):
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
