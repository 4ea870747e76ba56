"""Install, finish, update or repair the backend's environment; stop doing so; read what was done"""

from __future__ import annotations

import bpy

from ...api import installing
from ...ground import preferences, tick
from ...ground.messages import SetDresserError
from ...state import desk
from .base import OneCall, tell
from .open_log import show_log


class SET_DRESSER_OT_install(bpy.types.Operator):
    bl_idname = "set_dresser.install"
    bl_label = "Install"
    bl_options = {"REGISTER"}
    bl_description = (
        "Make the backend's own Python environment, or go on where it was interrupted. Blender's Python is not changed"
    )

    repair: bpy.props.BoolProperty(
        name="Repair", description="Make it anew from new downloads", options={"HIDDEN", "SKIP_SAVE"}
    )

    build: bpy.props.StringProperty(
        name="Build",
        description="The build of PyTorch, or none for inflate only; the preferences' choice if left out",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if desk.current.installation.busy and desk.current.installation.state.name == "INSTALLING":
            cls.poll_message_set("It is being installed")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.build and isinstance(preferences.get(), bpy.types.AddonPreferences):
            preferences.get().torch_build = self.build  # so that it is not told to be out of date afterwards
        try:
            installing.install(self.build, repair=self.repair, wait=False)
        except SetDresserError as error:  # told where the button is, and gone with the next press
            desk.current.installation.problem = error
            desk.current.changed()
            tell(self, error)
            return {"CANCELLED"}
        return {"FINISHED"}


class SET_DRESSER_OT_cancel_install(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.cancel_install"
    bl_label = "Stop Installing"
    bl_description = "Stop; what has arrived is kept, and Install goes on from there"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return desk.current.installation.installing

    def act(self, context: bpy.types.Context) -> None:
        desk.current.installation.cancel()
        tick.wake()


class SET_DRESSER_OT_open_installation_log(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.open_installation_log"
    bl_label = "Open Installation Log"
    bl_description = "Open what the installer has written in a text editor of Blender's"

    def act(self, context: bpy.types.Context) -> None:
        plan = desk.current.installation.plan
        if plan is None or not plan.log.is_file():
            raise SetDresserError("There is no log.", "Nothing has been installed yet.", "no-log")
        show_log(context, plan.log)


CLASSES = (SET_DRESSER_OT_install, SET_DRESSER_OT_cancel_install, SET_DRESSER_OT_open_installation_log)
