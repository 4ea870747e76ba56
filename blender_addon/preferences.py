"""The add-on's preferences: which Python runs the backend, and where jobs are kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

from .installation import build_items


def _changed(self: SetDresserPreferences, context: bpy.types.Context) -> None:
    from . import session

    session.current.check_set_up()


class SetDresserPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    python_path: bpy.props.StringProperty(
        name="Backend Python",
        description="The python program of the environment that the backend's requirements are installed in",
        subtype="FILE_PATH",
        update=_changed,
    )
    data_folder: bpy.props.StringProperty(
        name="Data Folder",
        description="Where jobs and their results are kept; the add-on's own folder if left empty",
        subtype="DIR_PATH",
        update=_changed,
    )
    torch_build: bpy.props.EnumProperty(
        name="PyTorch",
        description="What is installed for the learned pipelines",
        items=build_items(),
        update=_changed,
    )
    offline_folder: bpy.props.StringProperty(
        name="Offline Folder",
        description="Install from the packages in this folder, made by build_addon.py --offline, without the network",
        subtype="DIR_PATH",
        update=_changed,
    )

    def draw(self, context: bpy.types.Context) -> None:
        from . import panels

        self.layout.use_property_split = True
        self.layout.prop(self, "python_path")
        self.layout.prop(self, "data_folder")
        self.layout.prop(self, "offline_folder")
        panels.draw_installation(self.layout, context, everything=True)
        panels.draw_server(self.layout, context)


def get() -> Any:
    """The preferences; their defaults where the add-on was not enabled through Blender's preferences."""
    addon = bpy.context.preferences.addons.get(__package__)
    if addon is not None and addon.preferences is not None:
        return addon.preferences
    return SimpleNamespace(python_path="", data_folder="", torch_build="", offline_folder="")
