"""The list of photos, for pipelines that take several pictures of one object."""

from __future__ import annotations

from typing import Any

import bpy

from ...capture import azimuths, photo_files
from ...settings import photo_list, properties
from .fields import draw_choice, draw_fact
from .text import count, draw_text

NO_CAMERA = "The scene has no active camera"
ICONS = {"FILE": "FILE_IMAGE", "IMAGE": "IMAGE_DATA", "CAMERA": "CAMERA_DATA"}

SELECT = "Select the objects of your block-out"

_drawn: dict[int, float | None] = {}
"""Azimuths of the cameras as they are at this drawing: the rows would else measure the block-out once for each."""


def photos_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    """Why Generate cannot be pressed with this list; "" if it can."""
    if not settings.photos:
        return "Add photos to the list"
    if settings.use_active_camera and settings.photos[0].kind != "CAMERA" and context.scene.camera is None:
        return NO_CAMERA
    return _row_hindrance(settings) or _camera_hindrance(context, settings)


def _row_hindrance(settings: properties.SetDresserSettings) -> str:
    for number, photo in enumerate(settings.photos, 1):
        if photo.kind == "FILE" and not photo.path:
            return f"Choose a file for photo {number}"
        if photo.kind == "FILE" and photo_files.is_missing(photo.path):
            return f"{photo_list.title(photo)} is missing: choose the file again, or remove photo {number}"
        if photo.kind == "IMAGE" and photo.image is None:
            return f"Choose an image for photo {number}"
    return ""


def _camera_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    if not photo_list.has_cameras(settings):
        return ""
    found = photo_list.cameras(settings)
    for number, (photo, camera) in enumerate(zip(settings.photos, found, strict=True), 1):
        if photo.kind == "CAMERA" and camera is None:
            return f"Photo {number} has no camera of this scene: choose one, or remove it"
        if camera is not None and camera.data.type != "PERSP":
            return f"{camera.name} is not a perspective camera"
    if reason := block_out_hindrance(context, settings):
        return reason
    box = azimuths.corners(photo_list.block_out(context, settings))
    if not len(box):
        return SELECT  # cameras may be selected, too
    missing = (camera for camera in found if camera is not None and azimuths.misses(camera, context.scene, box))
    camera = next(missing, None)
    return f"{camera.name} does not see the block-out: point it there, or remove it" if camera is not None else ""


def block_out_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    """Why the block-out cannot be used; "" if it can."""
    if settings.instances == "COLLECTION":
        if settings.collection is None:
            return "Choose the collection of your block-out"
        if not settings.collection.all_objects:
            return "The collection is empty"
        return "" if photo_list.block_out(context, settings) else "Nothing in the collection can become a prop"
    if not context.selected_objects:
        return SELECT
    return "" if photo_list.block_out(context, settings) else "Nothing that is selected can become a prop"


def draw_photos(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The list with its buttons, and what belongs to the photo that is marked."""
    settings = context.scene.set_dresser
    _drawn.clear()
    if photo_list.has_cameras(settings):
        box = azimuths.corners(photo_list.block_out(context, settings))
        _drawn.update(photo_list.camera_azimuths(settings, box))
    row = layout.row(align=True)
    row.operator("set_dresser.add_photo_files", text="Files", icon="FILE_IMAGE")
    row.operator("set_dresser.add_photo_image", text="Image", icon="IMAGE_DATA")
    row.operator("set_dresser.add_photo_cameras", text="Cameras", icon="CAMERA_DATA")
    row = layout.row()
    rows = 5 if settings.photos else 3
    row.template_list("SET_DRESSER_UL_photos", "", settings, "photos", settings, "photo_index", rows=rows)
    column = row.column(align=True)
    column.operator("set_dresser.remove_photo", text="", icon="REMOVE")
    column.operator("set_dresser.move_photo", text="", icon="TRIA_UP").direction = "UP"
    column.operator("set_dresser.move_photo", text="", icon="TRIA_DOWN").direction = "DOWN"
    column.operator("set_dresser.clear_photos", text="", icon="X")
    if (photo := photo_list.active(settings)) is not None:
        _draw_active(layout, settings, photo)
    layout.operator("set_dresser.spread_photos", icon="FORCE_VORTEX")
    for index, angle in _drawn.items():
        if angle is None:
            name = photo_list.title(settings.photos[index])
            reason = f"{name} looks from straight above or below: from which side is not known"
            draw_text(layout, context, reason, icon="INFO")
    if not settings.photos:
        return
    if settings.photos[0].kind != "CAMERA":
        layout.prop(settings, "use_active_camera")
        if photo_list.has_cameras(settings):
            draw_text(layout, context, "Move a camera to the top to place the prop on the block-out", icon="INFO")


def _draw_active(layout: bpy.types.UILayout, settings: properties.SetDresserSettings, photo: Any) -> None:
    column = layout.column()
    if photo.kind == "FILE":
        column.prop(photo, "path")
    elif photo.kind == "IMAGE":
        column.template_ID(photo, "image", open="image.open")
    else:
        column.prop(photo, "camera")
        return
    column.prop(photo, "azimuth_known")
    angle = column.column()
    angle.enabled = photo.azimuth_known
    angle.prop(photo, "azimuth")


def draw_photo_block_out(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What the cameras of the list look at."""
    settings = context.scene.set_dresser
    if not photo_list.has_cameras(settings):
        return
    draw_block_out(layout, context)
    if len(photo_list.block_out(context, settings)) > 1:
        draw_text(layout, context, "All of them together become one prop", icon="INFO")


def draw_block_out(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Which objects become props."""
    settings = context.scene.set_dresser
    draw_choice(layout, context, settings, "instances")
    number = len(photo_list.block_out(context, settings))
    if settings.instances == "COLLECTION":
        draw_choice(layout, context, settings, "collection")
        draw_fact(layout, context, "Objects", count(number), "OUTLINER_COLLECTION")
    else:
        draw_fact(layout, context, "Objects", f"{number} selected", "RESTRICT_SELECT_OFF")


def azimuth_text(angle: float | None) -> str:
    """A camera's azimuth in its row, "–" if it has none."""
    return "–" if angle is None else f"{round(angle, 1) + 0.0:g}°"


class SET_DRESSER_UL_photos(bpy.types.UIList):
    """The photos, in the order in which they are sent"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.AnyType,
        item: bpy.types.AnyType,
        icon: int,
        active_data: bpy.types.AnyType,
        active_property: str,
        index: int = 0,
        flt_flag: int = 0,
    ) -> None:
        row = layout.row()
        title = photo_list.title(item)
        missing = not title or (item.kind == "FILE" and photo_files.is_missing(item.path))
        small = photo_files.icon(item.path) if item.kind == "FILE" and not missing else 0
        if small:
            row.label(text=title, icon_value=small, translate=False)
        else:
            row.label(text=title or item.name, icon="ERROR" if missing else ICONS[item.kind], translate=False)
        side = row.row(align=True)
        side.alignment = "RIGHT"
        if item.kind == "CAMERA":
            side.label(text=azimuth_text(_drawn.get(index)))
            return
        side.prop(item, "azimuth_known", text="")
        angle = side.row()
        angle.enabled = item.azimuth_known
        angle.prop(item, "azimuth", text="", emboss=False)


CLASSES = (SET_DRESSER_UL_photos,)
