"""What a job remembers is found again whatever is shown, renamed or called the same by the time its props come."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.capture import block_outs, photos
from blender_addon.ground.references import Place, Reference, contains
from blender_addon.props import arrival as arriving
from blender_addon.props import variants
from blender_addon.settings import photo_list
from blender_addon.state.job import JobRecord
from blender_addon.work import results
from tests.blender_addon import glb
from tests.blender_addon.conftest import ROOT
from tests.blender_addon.glb import Node

pytestmark = pytest.mark.usefixtures("addon")

CHAIR = Node(1, "Chair", (1.0, 2.0, 0.0), 0.7, (0.5, 0.6, 1.0))


def place(record: JobRecord) -> list[bpy.types.Object]:
    return arriving.place_result(bpy.context, record, results.read(record))


def fetched(folder: Path, block_out: Any = None, **values: Any) -> JobRecord:
    """A job made now, in what is shown now, whose result lies here."""
    folder.mkdir(exist_ok=True)
    glb.write(folder / "scene.glb", [CHAIR])
    (folder / "result.json").write_text(json.dumps(glb.result([CHAIR])))
    if block_out is not None:
        values["block_outs"] = {1: Reference.of(block_out)}
    place = Place.of(bpy.context.scene, bpy.context.view_layer)
    return JobRecord("0123456789abcdef", folder=folder, place=place, **values)


def linked(folder: Path, kind: str, name: str, count: int = 2) -> list[Any]:
    """Objects called the same in as many libraries, linked into the scene, each further along X."""
    found = []
    for number in range(count):
        made = bpy.data.objects[kind].copy()
        made.name, made.location = name, (number * 4.0, 0.0, 0.0)
        path = folder / f"library {number}.blend"
        bpy.data.libraries.write(str(path), {made}, fake_user=True)
        written = made.name
        bpy.data.objects.remove(made)
        with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
            wanted.objects = [written]
        bpy.context.scene.collection.objects.link(wanted.objects[0])
        found += wanted.objects
    bpy.context.view_layer.update()
    assert len({each.name for each in found}) == 1
    return found


def test_nothing_is_looked_up_by_its_name_alone() -> None:
    by_name = re.compile(r"\b(?:objects|scenes|view_layers|cameras)\.get\(|data\.(?:objects|scenes)\[\w+\]")
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted((ROOT / "blender_addon").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if by_name.search(line) and path.name != "references.py"
    ]
    assert found == [], "use Reference, Place or contains of references.py"
    assert by_name.search("bpy.data.objects[name]") and by_name.search("view_layer.objects.get(part.name) == part")


# scenes and layers


def test_props_come_into_the_scene_of_their_block_outs_and_hide_these_in_the_layer_worked_in(tmp_path: Path) -> None:
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    first, second = bpy.context.view_layer, scene.view_layers.new("Two")
    bpy.context.window.view_layer = second
    record = fetched(tmp_path, cube)
    bpy.context.window.scene = bpy.data.scenes.new("Other")
    (prop,) = arriving.place_result(bpy.context, record, results.read(record))
    assert prop.users_scene == (scene,) and record.warnings == []
    assert [cube.hide_get(view_layer=layer) for layer in (first, second)] == [False, True]
    assert prop.select_get(view_layer=second)
    assert bpy.context.scene.name == "Other", "what is shown stays"


@pytest.mark.parametrize("shown", [0, 1])
def test_a_scene_that_was_renamed_is_not_taken_for_the_one_that_has_its_name_now(tmp_path: Path, shown: int) -> None:
    scene = bpy.context.scene
    record, former = fetched(tmp_path, bpy.data.objects["Cube"]), scene.name
    scene.name = "Act 1"
    other = bpy.data.scenes.new(former)
    assert other.name == former
    bpy.context.window.scene = (scene, other)[shown]
    (prop,) = arriving.place_result(bpy.context, record, results.read(record))
    assert prop.users_scene == (scene,)
    assert bpy.data.objects["Cube"].hide_render


def test_a_layer_that_was_renamed_is_not_taken_for_the_one_that_has_its_name_now(tmp_path: Path) -> None:
    scene, cube = bpy.context.scene, bpy.data.objects["Cube"]
    record, layer = fetched(tmp_path, cube), bpy.context.view_layer
    former, layer.name = layer.name, "Foreground"
    other = scene.view_layers.new(former)
    assert other.name == former
    arriving.place_result(bpy.context, record, results.read(record))
    assert [cube.hide_get(view_layer=each) for each in (layer, other)] == [True, False]


def test_props_of_a_deleted_scene_come_into_the_one_in_sight_and_it_is_said(tmp_path: Path) -> None:
    scene = bpy.context.scene
    record = fetched(tmp_path)
    bpy.context.window.scene = other = bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(scene)
    (prop,) = arriving.place_result(bpy.context, record, results.read(record))
    assert prop.users_scene == (other,)
    assert [row["message"] for row in record.warnings] == [
        "The scene they were made for is gone: the props came into Other."
    ]
    arriving.place_result(bpy.context, record, results.read(record))
    assert len(record.warnings) == 1, "said once, however often it is imported"


def test_block_outs_that_went_to_another_scene_take_their_props_with_them(tmp_path: Path) -> None:
    cube = bpy.data.objects["Cube"]
    record = fetched(tmp_path, cube)
    other = bpy.data.scenes.new("Other")
    for collection in cube.users_collection:
        collection.objects.unlink(cube)
    other.collection.objects.link(cube)
    (prop,) = arriving.place_result(bpy.context, record, results.read(record))
    assert prop.users_scene == (other,) and cube.hide_get(view_layer=other.view_layers[0])
    assert "Other" in record.warnings[0]["message"]


# objects


def test_linked_objects_of_one_name_are_told_apart(tmp_path: Path) -> None:
    near, far = linked(tmp_path, "Cube", "Chair")
    assert [Reference.of(each).find(bpy.data.objects) for each in (near, far)] == [near, far]
    reopened = [Reference.of(each).reopened() for each in (near, far)]
    assert [each.find(bpy.data.objects) for each in reopened] == [near, far], "the library tells them apart"
    for objects in (bpy.context.scene.objects, bpy.context.view_layer.objects):
        assert contains(objects, near) and contains(objects, far)
        assert contains(objects, bpy.data.objects["Cube"])
    bpy.context.scene.collection.objects.unlink(far)
    bpy.context.view_layer.update()
    assert not contains(bpy.context.scene.objects, far)


def test_each_of_two_block_outs_of_one_name_gets_its_prop_and_is_hidden_and_shown(tmp_path: Path) -> None:
    for block_out in linked(tmp_path, "Cube", "Chair"):
        (prop,) = place(fetched(tmp_path / "job", block_out))
        assert block_outs.block_out_of(prop) == block_out
        assert block_out.hide_get() and block_out.hide_render
        block_outs.show(block_out, bpy.context.view_layer)
        assert not block_out.hide_get() and not block_out.hide_render


def test_linked_cameras_of_one_name_both_take_photos(tmp_path: Path) -> None:
    cameras = linked(tmp_path, "Camera", "Hero")
    for number, camera in enumerate(cameras):
        camera.matrix_world = bpy.data.objects["Camera"].matrix_world
        camera.location.x += 0.01 * number
    bpy.context.view_layer.update()
    for camera in cameras:
        planned = photos.ask(bpy.context, [camera], [bpy.data.objects["Cube"]], False)
        assert [photo.session_uid for photo in planned.photos] == [camera.session_uid]


def test_the_list_of_photos_knows_linked_cameras_of_one_name(tmp_path: Path, addon: Any) -> None:
    settings = bpy.context.scene.set_dresser
    cameras = linked(tmp_path, "Camera", "Hero")
    photo_list.add_cameras(settings, cameras)
    assert set(photo_list.cameras(settings)) == set(cameras)


def test_what_was_deleted_is_not_found_by_the_name_of_another() -> None:
    cube = bpy.data.objects["Cube"]
    reference = Reference.of(cube)
    bpy.data.objects.remove(cube)
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.name = "Cube"
    assert reference.find(bpy.data.objects) is None
    assert block_outs.resolve(reference) is None


def test_undo_keeps_what_is_remembered() -> None:
    bpy.ops.ed.undo_push(message="before")
    cube, scene = Reference.of(bpy.data.objects["Cube"]), Place.of(bpy.context.scene, bpy.context.view_layer)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.ops.ed.undo_push(message="removed")
    assert cube.find(bpy.data.objects) is None
    bpy.ops.ed.undo()
    assert cube.find(bpy.data.objects) == bpy.data.objects["Cube"]
    assert scene.find() == (bpy.context.scene, bpy.context.view_layer)


def test_in_the_same_file_opened_again_names_and_libraries_decide(tmp_path: Path) -> None:
    chairs = [Reference.of(each) for each in linked(tmp_path, "Cube", "Chair")]
    record = fetched(tmp_path / "job", bpy.data.objects["Cube"], one_with=chairs)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "set.blend"))
    assert block_outs.resolve(record.block_outs[1]) is None, "its session id went with the file"
    record.file_opened(same=True)
    assert block_outs.resolve(record.block_outs[1]) == bpy.data.objects["Cube"]
    assert [round(block_outs.resolve(each).location.x) for each in record.one_with] == [0, 4]
    assert record.place.find() == (bpy.context.scene, bpy.context.view_layer)
    record.file_opened(same=False)
    assert (record.block_outs, record.one_with, record.place) == ({}, [], None)


def test_the_session_tells_the_same_file_from_another(addon: Any, current: Any, tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    record = fetched(tmp_path / "job", bpy.data.objects["Cube"], import_when_done=True)
    current.desk.jobs[record.id] = record
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "set.blend"))
    assert block_outs.resolve(record.block_outs[1]) == bpy.data.objects["Cube"]
    assert not record.import_when_done
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert record.block_outs == {}
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert record.block_outs == {}


def test_the_objects_of_a_job_keep_their_identity(addon: Any, current: Any, tmp_path: Path) -> None:
    record = fetched(tmp_path, bpy.data.objects["Cube"])
    (prop,) = arriving.place_result(bpy.context, record, results.read(record))
    prop.name = "Hero"
    bpy.data.objects["Light"].name = "Cube_prop"
    assert addon.Job(record).objects == [prop]
    bpy.data.objects.remove(prop)
    assert addon.Job(record).objects == []


def test_a_variant_follows_its_prop_and_no_object_of_its_name(tmp_path: Path) -> None:
    (prop,) = place(fetched(tmp_path, bpy.data.objects["Cube"]))
    known = {1: Reference.of(prop)}
    prop.name = "Hero"
    bpy.data.objects["Light"].name = "Cube_prop"
    assert variants.awaiting("job", known) == {1: prop}
    known = {1: known[1].reopened()}
    prop[variants.AWAITED] = "job"
    assert variants.awaiting("job", known) == {1: prop}, "what is written on the prop counts more than a name"
