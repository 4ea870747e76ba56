"""The list of photos: adding, removing, ordering, and from which sides they were taken"""

from __future__ import annotations

from pathlib import Path

import bpy

from ...capture import photo_files
from ...ground.messages import SetDresserError
from ...settings import photo_list
from .base import OneCall

PICTURES = "*.png;*.jpg;*.jpeg;*.webp;*.tif;*.tiff;*.bmp"


class _ListChange(OneCall):
    """An operator that changes the list, and is one step to undo."""

    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> None:
        self.change(context, context.scene.set_dresser)
        photo_files.look(context.scene)

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        raise NotImplementedError


class _ForActive(_ListChange):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if photo_list.active(context.scene.set_dresser) is None:
            cls.poll_message_set("No photo is selected")
            return False
        return True


class SET_DRESSER_OT_add_photo_files(_ListChange, bpy.types.Operator):
    bl_idname = "set_dresser.add_photo_files"
    bl_label = "Add Image Files"
    bl_description = "Add pictures on disk, in the order of their names; several can be chosen at once"

    directory: bpy.props.StringProperty(
        name="Folder", description="Where the files are", subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"}
    )
    files: bpy.props.CollectionProperty(
        name="Files",
        description="Their names",
        type=bpy.types.OperatorFileListElement,
        options={"HIDDEN", "SKIP_SAVE"},
    )
    filter_glob: bpy.props.StringProperty(
        name="Filter", description="Which files are shown", default=PICTURES, options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        names = [each.name for each in self.files if each.name]
        if not names:
            raise SetDresserError("No picture is chosen.", "Choose one or several image files.", "no-picture")
        photo_list.add_files(settings, [Path(self.directory) / name for name in names])


class SET_DRESSER_OT_add_photo_image(_ListChange, bpy.types.Operator):
    bl_idname = "set_dresser.add_photo_image"
    bl_label = "Add Image"
    bl_description = "Add a picture of this file"

    image: bpy.props.StringProperty(name="Image", description="The picture to add", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not bpy.data.images:
            cls.poll_message_set("This file has no images")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        answer: set[str] = context.window_manager.invoke_props_dialog(self)
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop_search(self, "image", bpy.data, "images")

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        image = bpy.data.images.get(self.image)
        if image is None:
            raise SetDresserError("No image is chosen.", "Choose one of this file.", "no-picture")
        photo_list.add_image(settings, image)


class SET_DRESSER_OT_add_photo_cameras(_ListChange, bpy.types.Operator):
    bl_idname = "set_dresser.add_photo_cameras"
    bl_label = "Add Cameras"
    bl_description = "Add the selected cameras; if none is selected, all cameras of a collection"

    collection: bpy.props.StringProperty(
        name="Collection", description="All its cameras are added", options={"SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if any(each.type == "CAMERA" for each in context.selected_objects):
            return self.execute(context)
        answer: set[str] = context.window_manager.invoke_props_dialog(self)
        return answer

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop_search(self, "collection", bpy.data, "collections")

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        objects = context.selected_objects
        if self.collection:
            collection = bpy.data.collections.get(self.collection)
            objects = [] if collection is None else collection.all_objects
        if not photo_list.add_cameras(settings, objects):
            message = "There is no camera that is not in the list yet."
            raise SetDresserError(message, "Select cameras, or choose a collection that has some.", "no-camera")


class SET_DRESSER_OT_remove_photo(_ForActive, bpy.types.Operator):
    bl_idname = "set_dresser.remove_photo"
    bl_label = "Remove Photo"
    bl_description = "Take the selected photo off the list"

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        photo_list.remove(settings)


class SET_DRESSER_OT_move_photo(_ForActive, bpy.types.Operator):
    bl_idname = "set_dresser.move_photo"
    bl_label = "Move Photo"
    bl_description = "Move the selected photo in the list. The first one tells where the prop stands"

    direction: bpy.props.EnumProperty(
        name="Direction",
        description="Where to",
        items=[("UP", "Up", "Towards the first"), ("DOWN", "Down", "Towards the last")],
    )

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        photo_list.move(settings, -1 if self.direction == "UP" else 1)


class SET_DRESSER_OT_clear_photos(_ForActive, bpy.types.Operator):
    bl_idname = "set_dresser.clear_photos"
    bl_label = "Clear Photos"
    bl_description = "Take all photos off the list"

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        photo_list.clear(settings)


class SET_DRESSER_OT_spread_photos(_ListChange, bpy.types.Operator):
    bl_idname = "set_dresser.spread_photos"
    bl_label = "Spread Evenly"
    bl_description = "Set the azimuths as if the photos were taken at even steps on one round, counter-clockwise"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = context.scene.set_dresser
        if photo_list.has_cameras(settings):
            cls.poll_message_set("The list has cameras, which tell where they stand")
            return False
        if len(settings.photos) < 2:
            cls.poll_message_set("Add at least two photos")
            return False
        return True

    def change(self, context: bpy.types.Context, settings: bpy.types.PropertyGroup) -> None:
        photo_list.spread_evenly(settings)


CLASSES = (
    SET_DRESSER_OT_add_photo_files,
    SET_DRESSER_OT_add_photo_image,
    SET_DRESSER_OT_add_photo_cameras,
    SET_DRESSER_OT_remove_photo,
    SET_DRESSER_OT_move_photo,
    SET_DRESSER_OT_clear_photos,
    SET_DRESSER_OT_spread_photos,
)
