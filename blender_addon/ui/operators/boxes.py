"""Boxes on the picture: the list's buttons, and the tool that draws them in the Image Editor"""

from __future__ import annotations

from pathlib import Path

import bpy

from ...ground import tick
from ...ground.messages import SetDresserError
from ...settings.boxes import Box, Drawing
from ...settings.properties import SetDresserSettings
from .. import box_overlay
from .base import OneCall, image_editor

CLICK_PIXELS = 4.0
"""On screen: a drag that is shorter is a click."""


def picture(settings: SetDresserSettings) -> bpy.types.Image:
    """The chosen picture as an image of this file; a file on disk is opened. Raises SetDresserError."""
    image = settings.image
    if settings.source == "FILE":
        try:
            path = str(Path(bpy.path.abspath(settings.image_path)))
            image = bpy.data.images.load(path, check_existing=True)
        except RuntimeError as error:
            message = f"The picture {settings.image_path} cannot be read."
            raise SetDresserError(message, "Choose the file again.", "image-unreadable") from error
    if image is None or not all(image.size):
        raise SetDresserError("There is no picture to draw boxes on.", "Choose an image.", "no-picture")
    return image


def drawing(settings: SetDresserSettings, size: tuple[int, int]) -> Drawing:
    """The boxes of the settings, ready to be drawn on a picture of this size."""
    boxes = [Box(box.left, box.top, box.right, box.bottom) for box in settings.boxes]
    return Drawing(boxes, settings.box_index, size)


def add(settings: SetDresserSettings, box: Box) -> None:
    """Add a box to the settings, with a name that no other has."""
    taken = {each.name for each in settings.boxes}
    item = settings.boxes.add()
    item.name = next(name for number in range(1, len(taken) + 2) if (name := f"Object {number}") not in taken)
    item.left, item.top, item.right, item.bottom = box
    settings.box_index = len(settings.boxes) - 1


def remove(settings: SetDresserSettings, index: int) -> None:
    settings.boxes.remove(index)
    settings.box_index = max(0, min(index, len(settings.boxes) - 1))


class SET_DRESSER_OT_add_box(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.add_box"
    bl_label = "Add Box"
    bl_description = "Add a box in the middle of the picture"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.set_dresser
        width, height = picture(settings).size
        add(settings, Box(width // 4, height // 4, max(width * 3 // 4, 1), max(height * 3 // 4, 1)))


class SET_DRESSER_OT_remove_box(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.remove_box"
    bl_label = "Remove Box"
    bl_description = "Remove the selected box"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = context.scene.set_dresser
        if not 0 <= settings.box_index < len(settings.boxes):
            cls.poll_message_set("No box is selected")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.set_dresser
        remove(settings, settings.box_index)


class SET_DRESSER_OT_draw_boxes(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.draw_boxes"
    bl_label = "Draw Boxes"
    bl_description = "Draw boxes around objects, on the picture in an Image Editor"

    def act(self, context: bpy.types.Context) -> None:
        image = picture(context.scene.set_dresser)
        if bpy.app.background:
            raise SetDresserError("Boxes are drawn in a window.", "Add them from Python instead.", "no-window")
        window, area = image_editor(context)
        area.spaces.active.image = image
        region = next(region for region in area.regions if region.type == "WINDOW")
        with context.temp_override(window=window, area=area, region=region):
            bpy.ops.set_dresser.edit_boxes("INVOKE_DEFAULT")


class SET_DRESSER_OT_edit_boxes(bpy.types.Operator):
    bl_idname = "set_dresser.edit_boxes"
    bl_label = "Edit Boxes"
    bl_description = "Drag: new box. Click: select. X: delete. Enter or Escape: done"
    bl_options = {"UNDO", "INTERNAL"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        area = context.area
        image = area.spaces.active.image if area is not None and area.type == "IMAGE_EDITOR" else None
        if image is None or not all(image.size):
            return {"CANCELLED"}
        self._area = area.as_pointer()
        self._drawing = drawing(context.scene.set_dresser, tuple(image.size))
        box_overlay.show(self._area, self._drawing, _names)
        context.window_manager.modal_handler_add(self)
        area.tag_redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        area = self._find_area(context)
        if area is None or not box_overlay.shown():
            box_overlay.hide()
            return {"FINISHED"}
        region = next(region for region in area.regions if region.type == "WINDOW")
        inside = 0 <= event.mouse_x - region.x < region.width and 0 <= event.mouse_y - region.y < region.height
        self._take(context)
        if not (inside or self._drawing.dragging):
            return {"PASS_THROUGH"}
        area.tag_redraw()
        if event.type in ("RET", "NUMPAD_ENTER", "ESC") and event.value == "PRESS":
            box_overlay.hide()
            return {"FINISHED"}
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        point = box_overlay.to_picture(region, self._drawing.size, x, y)
        beside = box_overlay.to_picture(region, self._drawing.size, x + CLICK_PIXELS, y)
        return self._act(context.scene.set_dresser, event, point, beside[0] - point[0])

    def cancel(self, context: bpy.types.Context) -> None:
        """Another file is loaded, or the window is closed."""
        box_overlay.hide()

    def _act(
        self, settings: SetDresserSettings, event: bpy.types.Event, point: tuple[float, float], reach: float
    ) -> set[str]:
        """What an event at a point of the picture does."""
        drawn = self._drawing
        if event.type == "LEFTMOUSE" and event.value == "PRESS":
            drawn.press(point)
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            if drawn.release(point, reach):
                add(settings, drawn.boxes[-1])
            settings.box_index = drawn.active
            tick.redraw()
        elif event.type == "MOUSEMOVE":
            drawn.move(point)
        elif event.type in ("X", "DEL") and event.value == "PRESS":
            if (index := drawn.delete()) >= 0:
                remove(settings, index)
                tick.redraw()
        else:
            return {"PASS_THROUGH"}  # zooming and panning go on as ever
        return {"RUNNING_MODAL"}

    def _take(self, context: bpy.types.Context) -> None:
        """The boxes as they are now: the list and undo go on working meanwhile."""
        fresh = drawing(context.scene.set_dresser, self._drawing.size)
        self._drawing.boxes, self._drawing.active = fresh.boxes, fresh.active

    def _find_area(self, context: bpy.types.Context) -> bpy.types.Area | None:
        """The editor, if it is still there and still shows pictures."""
        areas = context.window.screen.areas if context.window else ()
        same = (area for area in areas if area.as_pointer() == self._area and area.type == "IMAGE_EDITOR")
        return next(same, None)


def _names() -> list[str]:
    return [box.name for box in bpy.context.scene.set_dresser.boxes]


CLASSES = (SET_DRESSER_OT_add_box, SET_DRESSER_OT_remove_box, SET_DRESSER_OT_draw_boxes, SET_DRESSER_OT_edit_boxes)
