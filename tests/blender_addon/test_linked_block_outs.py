"""Block-outs that are linked from another file: they stay hidden, or it is said that they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.capture import block_outs
from blender_addon.props import arrival as arriving
from blender_addon.work import results
from tests.blender_addon.test_references import fetched

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A file in a folder with odd signs, with a collection "Chairs", which has the one object "Chair"."""
    folder = tmp_path / "Möbel #1 50%"
    folder.mkdir()
    chairs, chair = bpy.data.collections.new("Chairs"), bpy.data.objects["Cube"].copy()
    chair.name = "Chair"
    chairs.objects.link(chair)
    path = folder / "Möbel #1.blend"
    bpy.data.libraries.write(str(path), {chairs}, fake_user=True)
    bpy.data.collections.remove(chairs)
    bpy.data.objects.remove(chair)
    return path


def link(path: Path) -> Any:
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        wanted.collections = ["Chairs"]
    return wanted.collections[0]


def reopen(path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.open_mainfile(filepath=str(path))


def test_it_is_said_that_a_linked_block_out_is_hidden_for_now_only(library: Path, tmp_path: Path) -> None:
    chairs = link(library)
    bpy.context.scene.collection.children.link(chairs)
    bpy.context.view_layer.update()
    (chair,) = chairs.objects
    record = fetched(tmp_path / "job", chair)
    arriving.place_result(bpy.context, record, results.read(record))
    assert chair.hide_render and chair.hide_get()
    (warning,) = record.warnings
    assert warning["message"] == "Linked from another file, and so hidden only until this file is closed: Chair."
    assert "library override" in warning["hint"]
    reopen(tmp_path / "set.blend")
    (chair,) = (each for each in bpy.context.scene.objects if each.library is not None)
    assert not chair.hide_render, "what is said is true"
    assert bpy.data.objects["Chair_prop", None].set_dresser_block_out == chair


def test_a_library_override_stays_hidden_and_nothing_is_said(library: Path, tmp_path: Path) -> None:
    chairs = link(library)
    bpy.context.scene.collection.children.link(chairs)
    chairs.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer)
    bpy.context.view_layer.update()
    (chair,) = (each for each in bpy.context.scene.objects if each.override_library is not None)
    record = fetched(tmp_path / "job", chair)
    arriving.place_result(bpy.context, record, results.read(record))
    assert record.warnings == []
    reopen(tmp_path / "set.blend")
    chair = bpy.data.objects["Chair_prop"].set_dresser_block_out
    assert chair.override_library is not None
    assert chair.hide_render and chair.hide_get()
    assert block_outs.is_hidden(chair), "a capture shows it for the occasion"
    block_outs.show(chair, bpy.context.view_layer)
    assert not chair.hide_render and not chair.hide_get()


def test_an_instance_of_a_linked_collection_stays_hidden_and_nothing_is_said(library: Path, tmp_path: Path) -> None:
    shown = bpy.data.objects.new("Set of chairs", None)
    shown.instance_type, shown.instance_collection = "COLLECTION", link(library)
    bpy.context.scene.collection.objects.link(shown)
    bpy.context.view_layer.update()
    record = fetched(tmp_path / "job", shown)
    arriving.place_result(bpy.context, record, results.read(record))
    assert record.warnings == []
    reopen(tmp_path / "set.blend")
    assert bpy.data.objects["Set of chairs"].hide_render and bpy.data.objects["Set of chairs"].hide_get()


def test_a_block_out_that_is_not_hidden_is_not_spoken_of(library: Path, tmp_path: Path) -> None:
    chairs = link(library)
    bpy.context.scene.collection.children.link(chairs)
    record = fetched(tmp_path / "job", chairs.objects[0], hide_block_outs=False)
    arriving.place_result(bpy.context, record, results.read(record))
    assert record.warnings == []
