"""Boxes on a picture: what drags, clicks and keys make of them, and what becomes of them in the request."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon.settings import properties
from blender_addon.settings.boxes import Box
from blender_addon.ui import box_overlay
from blender_addon.ui.operators import boxes as operators
from tests.blender_addon.catalogue import take_preparations
from tests.blender_addon.test_panels import PREPARATIONS

SIZE = (100, 80)


@pytest.fixture
def settings(addon: Any, picture: Path) -> Any:
    take_preparations(PREPARATIONS)
    made = bpy.context.scene.set_dresser
    made.source, made.image_path, made.labels = "FILE", str(picture), "FIND"
    return made


class Window:
    """What the tool sees of a window: an editor of 200 by 160 pixels at (1000, 500) that shows the picture at twice its
    size, and the events in it."""

    def __init__(self) -> None:
        view = SimpleNamespace(
            region_to_view=lambda x, y: (x / 200, y / 160),
            view_to_region=lambda u, v, clip: (u * 200, v * 160),
        )
        self.region = SimpleNamespace(type="WINDOW", x=1000, y=500, width=200, height=160, view2d=view)
        self.area = SimpleNamespace(
            type="IMAGE_EDITOR",
            as_pointer=lambda: 77,
            tag_redraw=lambda: None,
            regions=[self.region],
            spaces=SimpleNamespace(active=SimpleNamespace(image=SimpleNamespace(size=SIZE))),
        )
        self.manager = SimpleNamespace(modal_handler_add=lambda operator: None)
        self.context = SimpleNamespace(
            area=self.area,
            window=SimpleNamespace(screen=SimpleNamespace(areas=[self.area])),
            scene=bpy.context.scene,
            window_manager=self.manager,
        )
        self.tool = SimpleNamespace()
        for name in ("invoke", "modal", "cancel", "_act", "_take", "_find_area"):
            function = getattr(operators.SET_DRESSER_OT_edit_boxes, name)
            setattr(self.tool, name, function.__get__(self.tool))

    def start(self) -> set[str]:
        return self.tool.invoke(self.context, SimpleNamespace())

    def event(self, kind: str, value: str = "PRESS", at: tuple[float, float] = (50, 40)) -> set[str]:
        """An event at a point of the picture."""
        x, y = 1000 + 2 * at[0], 500 + 160 - 2 * at[1]
        return self.tool.modal(self.context, SimpleNamespace(type=kind, value=value, mouse_x=x, mouse_y=y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.event("LEFTMOUSE", "PRESS", start)
        self.event("MOUSEMOVE", "NOTHING", end)
        self.event("LEFTMOUSE", "RELEASE", end)


def stored(settings: Any) -> list[tuple[Any, ...]]:
    return [(box.name, box.left, box.top, box.right, box.bottom) for box in settings.boxes]


def test_the_tool_draws_selects_and_deletes(settings: Any) -> None:
    window = Window()
    assert window.start() == {"RUNNING_MODAL"}
    assert box_overlay.shown()
    window.drag((10, 20), (40, 60))
    window.drag((90, 70), (150, 5))
    assert stored(settings) == [("Object 1", 10, 20, 40, 60), ("Object 2", 90, 5, 100, 70)]
    assert settings.box_index == 1
    window.drag((20, 30), (20, 30))
    assert settings.box_index == 0
    settings.boxes[0].name = "Lamp"
    window.event("X")
    assert stored(settings) == [("Object 2", 90, 5, 100, 70)]
    assert window.event("MIDDLEMOUSE") == {"PASS_THROUGH"}, "panning goes on as ever"
    assert window.event("X", at=(500, 40)) == {"PASS_THROUGH"}, "the mouse is elsewhere"
    assert len(settings.boxes) == 1
    assert window.event("RET") == {"FINISHED"}
    assert not box_overlay.shown()


def _escape(window: Window) -> None:
    assert window.event("ESC") == {"FINISHED"}


def _area_closed(window: Window) -> None:
    window.context.window.screen.areas.clear()
    assert window.event("MOUSEMOVE") == {"FINISHED"}


def _other_editor(window: Window) -> None:
    window.area.type = "TEXT_EDITOR"
    assert window.event("MOUSEMOVE") == {"FINISHED"}


def _cancelled(window: Window) -> None:
    window.tool.cancel(window.context)


def _file_loaded(window: Window) -> None:
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    window.context.scene = bpy.context.scene
    assert not box_overlay.shown()
    assert window.event("MOUSEMOVE") == {"FINISHED"}


def _addon_disabled(window: Window) -> None:
    box_overlay.unregister()
    box_overlay.register()


@pytest.mark.parametrize("end", [_escape, _area_closed, _other_editor, _cancelled, _file_loaded, _addon_disabled])
def test_the_overlay_goes_however_the_tool_ends(settings: Any, end: Any) -> None:
    window = Window()
    window.start()
    window.event("LEFTMOUSE", "PRESS", (10, 10))
    assert box_overlay.shown()
    end(window)
    assert not box_overlay.shown()


def test_boxes_are_added_and_removed_in_the_list(settings: Any) -> None:
    for _ in range(3):
        bpy.ops.set_dresser.add_box()
    assert stored(settings)[0] == ("Object 1", 16, 12, 48, 36), "the middle of 64 x 48"
    settings.box_index = 1
    bpy.ops.set_dresser.remove_box()
    bpy.ops.set_dresser.add_box()
    assert [box.name for box in settings.boxes] == ["Object 1", "Object 3", "Object 2"]
    settings.box_index = -1
    assert not bpy.ops.set_dresser.remove_box.poll()


def test_boxes_and_words_are_what_the_request_asks_for(settings: Any) -> None:
    bpy.context.scene.prepare_set_dresser_segment.labels = "chair, table"
    operators.add(settings, Box(1, 2, 30, 40))
    wanted = {
        "labels": "chair, table",
        "threshold": 0.3,
        "boxes": [{"left": 1, "top": 2, "right": 30, "bottom": 40, "name": "Object 1"}],
    }
    assert properties.preparation_values(bpy.context.scene) == {"segment": wanted}
    settings.labels = "SINGLE"
    assert properties.preparation_values(bpy.context.scene) == {}


def test_boxes_are_saved_with_the_file(settings: Any, tmp_path: Path) -> None:
    operators.add(settings, Box(1, 2, 30, 40))
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert stored(bpy.context.scene.set_dresser) == [("Object 1", 1, 2, 30, 40)]


@pytest.mark.parametrize("path", ["", "/nowhere/picture.png"])
def test_without_a_picture_there_is_a_sentence(settings: Any, path: str) -> None:
    settings.image_path = path
    with pytest.raises(RuntimeError, match=r"cannot be read|no picture"):
        bpy.ops.set_dresser.add_box()
