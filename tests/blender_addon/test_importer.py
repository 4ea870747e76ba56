"""A result comes in as objects that stand right, know where they came from, and leave nothing else behind."""

from __future__ import annotations

import json
import math
import struct
import time

import bmesh
import bpy
import pytest
from mathutils import Euler, Matrix, Vector

from blender_addon.capture import block_outs
from blender_addon.ground import compat
from blender_addon.ground.references import Reference
from blender_addon.props import importer, recipes, sets
from blender_addon.props.importer import RECIPE, ImportFailed, import_result
from tests.blender_addon import glb
from tests.blender_addon.glb import Node
from tests.blender_addon.results import bring

pytestmark = pytest.mark.usefixtures("relation")


def add_block_out(name, location=(0, 0, 0)):
    bpy.ops.mesh.primitive_cube_add(location=location)
    made = bpy.context.object
    made.name = name
    return made


def datablocks():
    kinds = (name for name, kind in bpy.data.bl_rna.properties.items() if kind.type == "COLLECTION")
    return {(name, each.name_full) for name in kinds for each in getattr(bpy.data, name)}


def close(first, second, tolerance=1e-5):
    return all(
        abs(a - b) < tolerance for one, two in zip(first, second, strict=True) for a, b in zip(one, two, strict=True)
    )


CHAIR = Node(1, "Chair", (1.0, 2.0, 0.0), 0.7, (0.5, 0.6, 1.0))
LAMP = Node(2, "Lamp", (-1.0, 3.0, 0.5), -2.0, (0.2, 0.2, 1.6))


# place


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("metres", [1.0, 0.01, 0.3048])
def test_props_stand_where_the_file_says_in_blenders_units(tmp_path, metres, wrapped):
    bpy.context.scene.unit_settings.scale_length = metres
    props = bring(tmp_path, [CHAIR, LAMP], wrapped=wrapped)
    for prop, node in zip(props, [CHAIR, LAMP], strict=True):
        assert list(prop.location) == pytest.approx(list(Vector(node.place) / metres), rel=1e-4, abs=1e-5)
        assert prop.rotation_mode == "XYZ"
        assert tuple(prop.rotation_euler) == pytest.approx((0, 0, node.turn), abs=1e-5)
        assert tuple(prop.scale) == (1, 1, 1)
        assert prop.parent is None
        assert list(prop.dimensions) == pytest.approx(list(Vector(node.size) / metres), rel=1e-4)
        lowest = min(corner[2] for corner in prop.bound_box)
        assert lowest == pytest.approx(0.0, abs=1e-4 / metres), "the origin is at the bottom"


def test_instances_are_known_by_their_extras_never_by_name(tmp_path):
    add_block_out("Chair")
    table, stool = add_block_out("Table"), add_block_out("Stool")
    same = [Node(7, "Chair", (1, 0, 0)), Node(3, "Chair", (2, 0, 0)), Node(5, "Cube", (3, 0, 0))]
    props = bring(tmp_path, same, {7: Reference.of(table), 3: Reference.of(stool)})
    assert [prop[RECIPE]["instance_id"] for prop in props] == [3, 5, 7]
    assert [round(prop.location.x) for prop in props] == [2, 3, 1]
    assert [block_outs.block_out_of(prop) for prop in props] == [stool, None, table]
    assert [prop.name for prop in props] == ["Stool_prop", "Cube.001", "Table_prop"]


@pytest.mark.parametrize("kind", ["plain", "scaled", "bone"])
def test_a_prop_has_its_block_outs_parent_and_stands_where_it_stood(tmp_path, kind):
    if kind == "bone":
        bpy.ops.object.armature_add(location=(2, 1, 0), rotation=(0.3, 0.2, 0.1))
        parent = bpy.context.object
    else:
        parent = bpy.data.objects.new("Parent", None)
        bpy.context.scene.collection.objects.link(parent)
        parent.location, parent.rotation_euler = (4, -2, 1), Euler((0.4, 0.2, 1.1))
        if kind == "scaled":
            parent.scale = (2.0, 0.5, 3.0)
    block_out = add_block_out("Sofa")
    block_out.parent = parent
    if kind == "bone":
        block_out.parent_type, block_out.parent_bone = "BONE", parent.data.bones[0].name
    bpy.context.view_layer.update()
    (prop,) = bring(tmp_path, [CHAIR], {1: Reference.of(block_out)})
    wanted = Matrix.Translation(CHAIR.place) @ Matrix.Rotation(CHAIR.turn, 4, "Z")
    assert (prop.parent, prop.parent_type, prop.parent_bone) == (
        parent,
        block_out.parent_type,
        block_out.parent_bone,
    )
    assert close(prop.matrix_world, wanted)
    assert tuple(prop.scale) == (1, 1, 1)
    assert tuple(prop.location) == pytest.approx(CHAIR.place, abs=1e-5)
    parent.location.z += 5
    bpy.context.view_layer.update()
    assert prop.matrix_world.translation.z == pytest.approx(5, abs=1e-4), "it goes with its parent"


def test_without_a_camera_of_its_own_the_set_lies_before_the_active_camera(tmp_path):
    camera = bpy.context.scene.camera
    camera.location, camera.rotation_euler = (5.0, -3.0, 2.5), (math.radians(70), 0.0, math.radians(130))
    bpy.context.view_layer.update()
    (prop,) = bring(tmp_path, [Node(1, "Chair", (0.5, 6.0, 0.0), 0.2)], fields={"camera_source": "default"})
    ahead = Vector((-math.sin(math.radians(130)), math.cos(math.radians(130)), 0))
    right = Vector((math.cos(math.radians(130)), math.sin(math.radians(130)), 0))
    assert close([prop.location], [Vector((5, -3, 0)) + 6.0 * ahead + 0.5 * right], 1e-4)
    assert prop.rotation_euler.z == pytest.approx(0.2 + math.radians(130), abs=1e-5)
    assert prop.location.z == pytest.approx(0, abs=1e-6), "the ground stays the ground"


def test_a_camera_that_looks_straight_down_has_its_pictures_top_ahead(tmp_path):
    camera = bpy.context.scene.camera
    camera.location, camera.rotation_euler = (1.0, 1.0, 19.0), (0.0, 0.0, math.radians(90))
    bpy.context.view_layer.update()
    (prop,) = bring(tmp_path, [Node(1, "Chair", (0, 2, 0))], fields={"camera_source": "default"})
    assert tuple(prop.location) == pytest.approx((1 - 2, 1, 0), abs=1e-4)


def test_without_any_camera_the_set_stands_at_the_cursor(tmp_path):
    scene = bpy.context.scene
    scene.camera = None
    scene.cursor.location = (10, 20, 3)
    nodes = [Node(1, "Left", (-1, 5, 0)), Node(2, "Right", (1, 5, 0))]
    left, right = bring(tmp_path, nodes, fields={"camera_source": "default"})
    assert tuple(left.location) == pytest.approx((9, 20, 3), abs=1e-4)
    assert tuple(right.location) == pytest.approx((11, 20, 3), abs=1e-4)


def test_with_the_captured_camera_nothing_is_moved(tmp_path):
    bpy.context.scene.camera.location = (50, 50, 50)
    (prop,) = bring(tmp_path, [CHAIR])
    assert tuple(prop.location) == pytest.approx(CHAIR.place, abs=1e-5)


# block-outs


def test_block_outs_are_hidden_kept_and_shown_again_as_they_were(tmp_path):
    sofa, cushion = add_block_out("Sofa"), add_block_out("Cushion")
    cushion.parent = sofa
    (prop,) = bring(tmp_path, [CHAIR], {1: Reference.of(sofa)})
    assert all(part.hide_render and part.hide_get() for part in (sofa, cushion))
    assert not prop.hide_render and prop.visible_get()
    bpy.context.view_layer.update()
    assert sofa.name == "Sofa", "the block-out keeps its name"
    block_outs.show(sofa, bpy.context.view_layer)
    assert not any(part.hide_render or part.hide_get() or block_outs.HIDDEN in part for part in (sofa, cushion))


def test_a_prop_that_another_job_made_of_the_block_out_gives_way_and_is_kept(tmp_path):
    sofa = add_block_out("Sofa")
    (first,) = bring(tmp_path, [CHAIR], {1: Reference.of(sofa)}, fields={"job": "first"})
    (second,) = bring(tmp_path, [CHAIR], {1: Reference.of(sofa)}, fields={"job": "second"})
    assert first.hide_render and first.hide_get()
    assert not second.hide_render and second.visible_get()
    block_outs.show(first, bpy.context.view_layer)
    assert not first.hide_render and not first.hide_get()


def test_block_outs_stay_in_sight_if_asked(tmp_path):
    sofa = add_block_out("Sofa")
    bring(tmp_path, [CHAIR], {1: Reference.of(sofa)}, hide_block_outs=False)
    assert not sofa.hide_render and not sofa.hide_get() and block_outs.HIDDEN not in sofa


def test_the_relation_survives_renaming_duplicating_and_saving(tmp_path):
    sofa = add_block_out("Sofa")
    (prop,) = bring(tmp_path, [CHAIR], {1: Reference.of(sofa)})
    sofa.name, prop.name = "Couch", "Hero sofa"
    twin = prop.copy()
    bpy.context.scene.collection.objects.link(twin)
    names = ("Couch", "Hero sofa", twin.name)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "set.blend"))
    sofa, prop, twin = (bpy.data.objects[name] for name in names)
    assert block_outs.block_out_of(prop) == block_outs.block_out_of(twin) == sofa
    assert set(block_outs.props_of([sofa])) == {prop, twin}


@pytest.mark.parametrize("how", ["renamed", "deleted"])
def test_a_block_out_that_was_renamed_or_deleted_meanwhile_is_no_failure(tmp_path, how):
    sofa = add_block_out("Sofa")
    reference = Reference.of(sofa)
    if how == "renamed":
        sofa.name = "Couch"
    else:
        bpy.data.objects.remove(sofa)
    (prop,) = bring(tmp_path, [CHAIR], {1: reference, 99: reference})
    assert prop.name == ("Couch_prop" if how == "renamed" else "Chair")
    assert (block_outs.block_out_of(prop) is not None) == (how == "renamed")


# what a prop is


def test_the_recipe_is_on_every_prop_and_survives_saving(tmp_path):
    nodes = [CHAIR, LAMP]
    bring(tmp_path, nodes)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "set.blend"))
    wanted = glb.result(nodes)
    for name, number in (("Chair", 1), ("Lamp", 2)):
        recipe = bpy.data.objects[name][RECIPE].to_dict()
        assert recipe["instance_id"] == number and recipe["label"] == name
        assert (recipe["job"], recipe["pipeline"], recipe["version"]) == (wanted["job"], "inflate", "1")
        assert recipe["parameters"] == wanted["parameters"]
        assert recipe["seed"] == wanted["seed"]
        assert recipe["mask_iou"] == pytest.approx(0.987)
        assert recipe["camera"]["fx"] == 800.0
        assert [list(row) for row in recipe["camera"]["world_from_camera"]] == [
            [float(value) for value in row] for row in wanted["camera"]["world_from_camera"]
        ]
        assert json.loads(recipe["inputs"]) == wanted["inputs"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"a": None, "b": {"c": True}}, {"b": {"c": True}}),
        (2**40, str(2**40)),
        ([1, 2.5], [1.0, 2.5]),
        ([[1, 2], [3, 4]], [[1.0, 2.0], [3.0, 4.0]]),
        ([], []),
        (["a", 1], '["a", 1]'),
        ([{"a": 1}], '[{"a": 1}]'),
        ([True, False], "[true, false]"),
        ("text", "text"),
    ],
)
def test_any_json_becomes_custom_properties(value, kept):
    stored = recipes.storable(value)
    assert stored == kept
    bpy.data.objects["Cube"]["test"] = {"value": stored}


def test_the_set_is_a_collection_of_its_own_with_nothing_else_in_it(tmp_path):
    before = datablocks()
    props = bring(tmp_path, [CHAIR, LAMP])
    new = datablocks() - before
    collection = bpy.context.scene.collection.children["Set Dresser"].children["Shot props"]
    assert set(collection.objects) == set(props)
    assert all(prop.users_collection == (collection,) for prop in props)
    assert new == {
        ("collections", "Set Dresser"),
        ("collections", "Shot props"),
        *((kind, name) for kind in ("objects", "meshes", "materials", "images") for name in ("Chair", "Lamp")),
    }
    for image in (bpy.data.images[name] for name in ("Chair", "Lamp")):
        assert image.packed_file is not None and image.size[0] == 4
    for prop in props:
        assert not {"instance_id", "name", "placement"} & set(prop.keys())


def test_removing_the_props_leaves_the_file_as_it_was(tmp_path):
    before = datablocks()
    props = bring(tmp_path, [CHAIR, LAMP])
    bpy.data.batch_remove(props)
    sets.remove_if_empty(bpy.data.collections["Shot props"])
    bpy.data.orphans_purge(do_recursive=True)
    assert datablocks() <= before


def test_props_are_selected_and_the_first_is_active(tmp_path):
    other = add_block_out("Other")
    props = bring(tmp_path, [LAMP, CHAIR])
    assert set(bpy.context.selected_objects) == set(props)
    assert bpy.context.view_layer.objects.active == props[0]
    assert [prop.name for prop in props] == ["Chair", "Lamp"] and not other.select_get()


def test_seams_close_and_smooth_shapes_have_no_custom_normals(tmp_path):
    (prop,) = bring(tmp_path, [CHAIR])
    mesh = prop.data
    assert len(mesh.vertices) == 8, "24 in the file, doubled for their texture"
    shape = bmesh.new()
    shape.from_mesh(mesh)
    assert all(edge.is_manifold for edge in shape.edges)
    assert shape.calc_volume(signed=True) == pytest.approx(0.5 * 0.6 * 1.0, rel=1e-4), "outward"
    shape.free()
    assert not mesh.has_custom_normals
    assert all(polygon.use_smooth for polygon in mesh.polygons)
    assert not any(edge.use_edge_sharp for edge in mesh.edges)


def test_hard_edges_of_the_file_stay_hard(tmp_path):
    (prop,) = bring(tmp_path, [Node(1, "Crate", smooth=False)])
    corner_normals = {tuple(round(value) for value in normal.vector) for normal in prop.data.corner_normals}
    axes = {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    assert corner_normals == axes | {tuple(-value for value in axis) for axis in axes}


def test_two_hundred_thousand_triangles_come_in_within_a_second(tmp_path):
    nodes = [Node(number, f"Prop {number}", (number, 0, 0)) for number in range(1, 11)]
    result = glb.result(nodes)
    path = glb.write(tmp_path / "scene.glb", nodes, detail=100)
    processor, started = time.process_time(), time.monotonic()
    names = import_result(bpy.context, path, result, {})
    took = min(time.process_time() - processor, time.monotonic() - started)
    assert sum(len(bpy.data.objects[name].data.polygons) for name in names) == 200_000
    assert took <= 1.0


# what cannot be imported, and where


def broken(path, how):
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    if how == "missing":
        path.unlink()
    elif how == "cut off":
        path.write_bytes(data[: len(data) // 2])
    elif how == "no glTF":
        path.write_bytes(b"<html>" + data[6:])
    elif how == "bad JSON":
        path.write_bytes(data[:20] + b"}" * length + data[20 + length :])
    elif how == "no extras":
        path.write_bytes(data.replace(b"instance_id", b"instance_xx"))
    elif how == "bad accessor":
        path.write_bytes(data.replace(b'"componentType": 5126', b'"componentType": 9999'))
    return path


@pytest.mark.parametrize("how", ["missing", "cut off", "no glTF", "bad JSON", "no extras", "bad accessor"])
def test_a_damaged_file_is_said_and_leaves_nothing(tmp_path, how):
    path = broken(glb.write(tmp_path / "scene.glb", [CHAIR, LAMP]), how)
    before, selected = datablocks(), list(bpy.context.selected_objects)
    with pytest.raises(ImportFailed) as caught:
        import_result(bpy.context, path, glb.result([CHAIR, LAMP]), {})
    assert caught.value.message.endswith(".") and caught.value.hint
    assert datablocks() == before
    assert list(bpy.context.selected_objects) == selected or how not in ("missing", "cut off", "no glTF")


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    sofa = add_block_out("Sofa")
    before = datablocks()
    monkeypatch.setattr(importer, "_dress", lambda *_: (_ for _ in ()).throw(MemoryError("in the middle")))
    with pytest.raises(MemoryError):
        bring(tmp_path, [CHAIR, LAMP], {1: Reference.of(sofa)})
    assert datablocks() == before
    assert not sofa.hide_render


def test_nothing_is_imported_in_edit_mode(tmp_path):
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")
    before = datablocks()
    with pytest.raises(ImportFailed, match="Object Mode"):
        bring(tmp_path, [CHAIR])
    assert bpy.context.mode == "EDIT_MESH" and datablocks() == before
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("how", ["exclude", "hide_viewport"])
def test_an_active_collection_that_is_not_shown_is_no_obstacle_and_stays_active(tmp_path, how):
    layer = bpy.context.view_layer.layer_collection.children["Collection"]
    bpy.context.view_layer.active_layer_collection = layer
    setattr(layer, how, True)
    active = bpy.context.view_layer.active_layer_collection.name
    (prop,) = bring(tmp_path, [CHAIR])
    assert prop.visible_get()
    assert bpy.context.view_layer.active_layer_collection.name == active


def test_the_gltf_addon_is_switched_on_for_the_import_and_off_again(tmp_path):
    import addon_utils

    addon_utils.disable("io_scene_gltf2")
    try:
        assert not compat._operator_exists(bpy.ops.import_scene.gltf)
        assert [prop.name for prop in bring(tmp_path, [CHAIR])] == ["Chair"]
        assert not compat._operator_exists(bpy.ops.import_scene.gltf)
    finally:
        addon_utils.enable("io_scene_gltf2")
    assert compat._operator_exists(bpy.ops.import_scene.gltf)


def test_a_blender_without_gltf_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(compat, "_operator_exists", lambda _: False)
    monkeypatch.setattr(compat.addon_utils, "enable", lambda *_, **__: None)
    with pytest.raises(ImportFailed, match="no glTF importer") as caught:
        bring(tmp_path, [CHAIR])
    assert "Preferences" in caught.value.hint
