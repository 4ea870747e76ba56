"""What a hint says, by a button: a camera where the view is, going online, a render as the picture is"""

from __future__ import annotations

import bpy

from ...capture import photo_files
from ...ground import tick
from ...ground.messages import SetDresserError
from ...props import photo_places
from ...state import desk
from .base import OneCall


class SET_DRESSER_OT_add_camera(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.add_camera"
    bl_label = "Add Camera to View"
    bl_description = "Add a camera that sees what this view shows, and make it the scene's; the selection stays"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.area is None or context.area.type != "VIEW_3D":
            cls.poll_message_set("This works in a 3D viewport")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        scene = context.scene
        made = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(made)
        view = context.area.spaces.active.region_3d
        # Not by Blender's own operator: where the view looked through a camera that is gone, that takes the new one's.
        made.matrix_world = view.view_matrix.inverted()
        scene.camera = made
        view.view_perspective = "CAMERA"


class SET_DRESSER_OT_allow_online(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.allow_online"
    bl_label = "Allow Online Access"
    bl_description = (
        "Switch on Preferences > System > Network > Allow Online Access, for Blender and all its add-ons. Set Dresser "
        "installs its backend and downloads models; it sends nothing, but to a studio's server that you have chosen"
    )

    def act(self, context: bpy.types.Context) -> None:
        context.preferences.system.use_online_access = True
        if not bpy.app.online_access:
            message = "Blender was started offline, which its preferences cannot change."
            raise SetDresserError(message, "Start it without --offline-mode.", "online-access")
        installation = desk.current.installation
        if installation.problem is not None and installation.problem.code == "online-access":
            installation.problem = None
        tick.redraw()


class SET_DRESSER_OT_match_render_size(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.match_render_size"
    bl_label = "Match Render Size"
    bl_description = "Give the scene's renders the shape of the picture; their longer side stays as it is"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.set_dresser
        if settings.source == "FILE":
            photo_files.look_at(settings.image_path)
        picture = photo_files.size(settings)
        if picture is None:
            raise SetDresserError("There is no picture whose shape is known.", "Choose an image.", "no-picture")
        photo_places.match_render(picture, context.scene.render)


CLASSES = (SET_DRESSER_OT_add_camera, SET_DRESSER_OT_allow_online, SET_DRESSER_OT_match_render_size)
