"""The boxes over the picture in the Image Editor, for as long as they are being drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import blf
import bpy
import gpu
from bpy.app.handlers import persistent
from gpu_extras.batch import batch_for_shader

from ..settings.boxes import Box, Drawing, Point

Color = tuple[float, float, float, float]
LINE, ACTIVE, GROWING = (0.1, 0.6, 1.0, 1.0), (1.0, 0.7, 0.1, 1.0), (1.0, 1.0, 1.0, 1.0)
SHADE = 0.12
HELP = "Drag: new box   Click: select   X: delete   Enter: done"

_handle: Any = None


def show(area: int, drawing: Drawing, names: Callable[[], list[str]]) -> None:
    """Draw over the Image Editor whose `as_pointer()` is `area`, until `hide`. `names` tells the boxes' names."""
    global _handle
    hide()
    _handle = bpy.types.SpaceImageEditor.draw_handler_add(_draw, (area, drawing, names), "WINDOW", "POST_PIXEL")


def hide() -> None:
    """End the drawing, however often it is called."""
    global _handle
    if _handle is not None:
        bpy.types.SpaceImageEditor.draw_handler_remove(_handle, "WINDOW")
        _handle = None


def shown() -> bool:
    return _handle is not None


def to_picture(region: bpy.types.Region, size: tuple[int, int], x: float, y: float) -> Point:
    """A point of the editor's region, y up, as a point of the picture, y down."""
    across, up = region.view2d.region_to_view(x, y)
    return across * size[0], (1.0 - up) * size[1]


def to_region(region: bpy.types.Region, size: tuple[int, int], point: Point) -> Point:
    """The way back."""
    there: Point = region.view2d.view_to_region(point[0] / size[0], 1.0 - point[1] / size[1], clip=False)
    return there


def _draw(area: int, drawing: Drawing, names: Callable[[], list[str]]) -> None:
    context = bpy.context
    if context.area is None or context.area.as_pointer() != area:
        return
    region, scale = context.region, context.preferences.system.ui_scale
    blf.size(0, 12 * scale)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 1.0)
    for index, (box, name) in enumerate(zip(drawing.boxes, names(), strict=False)):
        color = ACTIVE if index == drawing.active else LINE
        left, top = _draw_box(region, drawing.size, box, color, scale)
        _draw_words(name, left + 4 * scale, top - 15 * scale, color)
    if drawing.growing is not None:
        _draw_box(region, drawing.size, drawing.growing, GROWING, scale)
    _draw_words(HELP, 12 * scale, 12 * scale, GROWING)
    blf.disable(0, blf.SHADOW)


def _draw_box(region: bpy.types.Region, size: tuple[int, int], box: Box, color: Color, scale: float) -> Point:
    """A box with its area shaded; returns its upper left corner in the region."""
    left, top = to_region(region, size, (box.left, box.top))
    right, bottom = to_region(region, size, (box.right, box.bottom))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    gpu.state.blend_set("ALPHA")  # drawing text has switched it off
    area = gpu.shader.from_builtin("UNIFORM_COLOR")
    area.uniform_float("color", (*color[:3], SHADE))
    batch_for_shader(area, "TRIS", {"pos": corners}, indices=[(0, 1, 2), (0, 2, 3)]).draw(area)
    line = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    line.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    line.uniform_float("lineWidth", 2.0 * scale)
    line.uniform_float("color", color)
    ends = [(*corner, 0.0) for pair in zip(corners, corners[1:] + corners[:1], strict=True) for corner in pair]
    batch_for_shader(line, "LINES", {"pos": ends}).draw(line)
    gpu.state.blend_set("NONE")
    return left, top


def _draw_words(text: str, x: float, y: float, color: Color) -> None:
    blf.color(0, *color)
    blf.position(0, x, y, 0)
    blf.draw(0, text)


@persistent
def _file_loaded(*_: object) -> None:
    hide()


def register() -> None:
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    bpy.app.handlers.load_post.remove(_file_loaded)
    hide()
