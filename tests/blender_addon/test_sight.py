"""What hides and what lets through is in the instance map and in the depth as it is in the picture."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest

from blender_addon.capture import identity, render_settings, rendering, scenery
from blender_addon.capture.capture import CaptureError, capture_camera
from blender_addon.ground import compat
from tests.blender_addon.small_room import add, empty, labels_of, read

pytestmark = pytest.mark.usefixtures("relation")


@pytest.fixture
def couple():
    """Sofa and table, cubes of 1.6 m on a floor, and a camera of 320 x 180 pixels before them."""
    scene = bpy.context.scene
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    scene.render.resolution_x, scene.render.resolution_y = 320, 180
    scene.cycles.samples = 4
    scene.camera.location, scene.camera.rotation_euler = (0, -8, 2), (math.radians(82), 0, 0)
    add("plane", "Floor", size=40)
    found = [add("cube", name, size=1.6, location=(x, 0, 0.8)) for name, x in (("Sofa", -1.3), ("Table", 1.3))]
    bpy.context.view_layer.update()
    return found


def material(name, *nodes):
    """A material of shader nodes, each (type, output's socket or None, {input: value}); returns it and its nodes."""
    made = bpy.data.materials.new(name)
    tree = compat.use_nodes(made)
    tree.nodes.clear()
    output, found = tree.nodes.new("ShaderNodeOutputMaterial"), []
    for kind, socket, values in nodes:
        node = tree.nodes.new(kind)
        for key, value in values.items():
            node.inputs[key].default_value = value
        if socket:
            tree.links.new(node.outputs[0], output.inputs[socket])
        found.append(node)
    return made, found


def principled(alpha):
    return material("Pane", ("ShaderNodeBsdfPrincipled", "Surface", {"Alpha": alpha}))[0]


def cut_out_card(location, name="Leaf"):
    """A card of 1.6 m that shows a disc of a twentieth of its area; all else of it is transparent."""
    image = bpy.data.images.new(name, 64, 64, alpha=True)
    y, x = np.mgrid[0:64, 0:64] - 31.5
    pixels = np.zeros((64, 64, 4), np.float32)
    pixels[..., 1], pixels[..., 3] = 0.6, x**2 + y**2 < 64**2 * 0.05 / math.pi
    image.pixels.foreach_set(pixels.ravel())
    leaf, (shader, texture) = material(
        name, ("ShaderNodeBsdfPrincipled", "Surface", {}), ("ShaderNodeTexImage", None, {})
    )
    texture.image = image
    leaf.node_tree.links.new(texture.outputs["Alpha"], shader.inputs["Alpha"])
    card = add("plane", name, size=1.6, location=location, rotation=(math.pi / 2, 0, 0))
    card.data.materials.append(leaf)
    return card


def pane(made, location=(0, -7, 1.8)):
    """A window that fills the picture."""
    window = add("plane", "Pane", size=3, location=location, rotation=(math.pi / 2, 0, 0))
    window.data.materials.append(made)
    return window


def counts(shot):
    labels = labels_of(shot)
    return {row["name"]: int((labels == row["id"]).sum()) for row in shot.labels}


def test_a_leaf_card_hides_what_its_leaf_hides(couple, tmp_path):
    cut_out_card((-1.3, -2, 0.9))
    shot = capture_camera(bpy.context, couple, tmp_path)
    assert counts(shot) == {"Sofa": pytest.approx(9615, rel=0.02), "Table": 10302}
    assert not shot.warnings


def test_a_leaf_card_as_a_block_out_has_the_outline_of_its_leaf(couple, tmp_path):
    card = cut_out_card((0, -3, 0.9))
    assert counts(capture_camera(bpy.context, [card], tmp_path)) == {"Leaf": pytest.approx(959, rel=0.02)}


def test_mist_hides_nothing_and_changes_no_depth(couple, tmp_path):
    plain = capture_camera(bpy.context, couple, tmp_path / "plain")
    mist = add("cube", "Mist", size=1, location=(0, 0, 2))
    mist.scale = (8, 6, 5)
    mist.data.materials.append(material("Mist", ("ShaderNodeVolumePrincipled", "Volume", {"Density": 0.4}))[0])
    shot = capture_camera(bpy.context, couple, tmp_path / "mist")
    assert counts(shot) == counts(plain) == {"Sofa": 10302, "Table": 10302}
    assert np.array_equal(np.load(shot.depth), np.load(plain.depth), equal_nan=True)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.4])
def test_a_pane_that_is_mostly_transparent_hides_nothing(couple, tmp_path, alpha):
    pane(principled(alpha))
    shot = capture_camera(bpy.context, couple, tmp_path)
    assert counts(shot) == {"Sofa": pytest.approx(10302, abs=3), "Table": pytest.approx(10302, abs=3)}
    assert np.nanmin(np.load(shot.depth)) == pytest.approx(5.907, abs=0.01)


def test_what_stands_in_front_of_an_unseen_block_out_is_named(couple, tmp_path):
    pane(material("Glass", ("ShaderNodeBsdfGlass", "Surface", {}))[0], location=(-1.3, -2, 0.8))
    with pytest.raises(CaptureError, match=r"does not see Sofa \(behind Pane\)\.") as caught:
        capture_camera(bpy.context, couple[:1], tmp_path)
    assert "Glass" in caught.value.hint
    bpy.data.objects["Pane"].scale = (0.7, 0.7, 0.7)
    shot = capture_camera(bpy.context, couple, tmp_path)
    (warning,) = shot.warnings
    assert warning["message"] == "The camera does not see Sofa (behind Pane). Left out."


def test_a_displaced_surface_has_its_shape(couple, tmp_path):
    for each in (*couple, bpy.data.objects["Floor"]):
        bpy.data.objects.remove(each)
    rock = add("uv_sphere", "Rock", segments=64, ring_count=32, radius=0.8, location=(0, 0, 1.4))
    made, (_, shift) = material(
        "Rock",
        ("ShaderNodeBsdfDiffuse", "Surface", {}),
        ("ShaderNodeDisplacement", "Displacement", {"Height": 1.0, "Midlevel": 0.0, "Scale": 0.5}),
    )
    made.displacement_method = "DISPLACEMENT"
    assert shift.outputs[0].is_linked
    rock.data.materials.append(made)
    shot = capture_camera(bpy.context, [rock], tmp_path)
    assert counts(shot) == {"Rock": 16080}
    assert np.nanmin(np.load(shot.depth)) == pytest.approx(6.707, abs=0.001)


def test_a_holdout_hides_and_is_nothing(couple, tmp_path):
    sofa, table = couple
    table.is_holdout = True
    table.location = (-1.3, -2, 0.8)
    bpy.context.view_layer.update()
    shot = capture_camera(bpy.context, couple, tmp_path)
    assert 0 < counts(shot)["Sofa"] < 7000
    assert [warning["message"] for warning in shot.warnings] == ["The camera does not see Table. Left out."]
    assert np.isnan(np.load(shot.depth)).any()
    assert table.is_holdout and not sofa.is_holdout


def test_a_material_of_the_object_counts_in_place_of_the_meshs(couple, tmp_path):
    sofa = couple[0]
    sofa.data.materials.append(bpy.data.materials.new("Solid"))
    sofa.material_slots[0].link = "OBJECT"
    sofa.material_slots[0].material = principled(0.0)
    assert counts(capture_camera(bpy.context, couple, tmp_path)) == {"Table": 10302}


def test_a_material_that_geometry_nodes_set_counts(couple, tmp_path):
    group = bpy.data.node_groups.new("Clear", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    first, last = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    paint = group.nodes.new("GeometryNodeSetMaterial")
    paint.inputs["Material"].default_value = principled(0.0)
    group.links.new(first.outputs[0], paint.inputs["Geometry"])
    group.links.new(paint.outputs[0], last.inputs[0])
    couple[0].modifiers.new("Clear", "NODES").node_group = group
    assert counts(capture_camera(bpy.context, couple, tmp_path)) == {"Table": 10302}


def test_a_material_from_a_library_counts_and_is_not_touched(couple, tmp_path):
    window = pane(principled(0.1))
    library = tmp_path / "library.blend"
    bpy.data.libraries.write(str(library), {window})
    bpy.data.objects.remove(window)
    bpy.data.materials.remove(bpy.data.materials["Pane"])
    with bpy.data.libraries.load(str(library), link=True) as (_, wanted):
        wanted.objects = ["Pane"]
    bpy.context.scene.collection.objects.link(bpy.data.objects["Pane"])
    assert bpy.data.materials["Pane"].library is not None
    shot = capture_camera(bpy.context, couple, tmp_path / "shot")
    assert counts(shot) == {"Sofa": pytest.approx(10302, abs=3), "Table": pytest.approx(10302, abs=3)}


def test_what_a_whole_view_layer_is_made_of_counts(couple, tmp_path):
    bpy.context.view_layer.material_override = principled(0.0)
    with pytest.raises(CaptureError, match="does not see Sofa, Table"):
        capture_camera(bpy.context, couple, tmp_path)


@pytest.mark.parametrize("engine", ["BLENDER_WORKBENCH", "BLENDER_EEVEE"])
def test_the_pictures_engine_decides_what_materials_mean(couple, tmp_path, engine):
    """Workbench draws no material; EEVEE has an output of its own, here a solid one, where Cycles has a clear one."""
    made, (_, solid) = material(
        "Two outputs", ("ShaderNodeBsdfTransparent", "Surface", {}), ("ShaderNodeBsdfDiffuse", None, {})
    )
    tree = made.node_tree
    tree.nodes["Material Output"].target = "CYCLES"
    own = tree.nodes.new("ShaderNodeOutputMaterial")
    own.target = "EEVEE"
    tree.links.new(solid.outputs[0], own.inputs["Surface"])
    couple[0].data.materials.append(made)
    assert counts(capture_camera(bpy.context, couple, tmp_path)) == {"Table": 10302}
    scene = bpy.context.scene
    choices = [engine] if engine == "BLENDER_WORKBENCH" else ["BLENDER_EEVEE_NEXT", engine]
    assert compat.set_choice(scene.render, "engine", *choices)
    what, ids = scenery.survey(bpy.context.view_layer, scene.render.engine), {couple[0].session_uid: 1}
    with rendering.stage(scene, bpy.context.view_layer, rendering.untold) as stage:
        render_settings.for_capture(stage.scene, stage.view_layer, 320, 180)
        sight = rendering.finished(identity.look(stage, ids, what, tmp_path / "passes.exr"))
    assert np.count_nonzero(sight.labels == 1) == 10302
    assert tree.nodes["Material Output"].target == "CYCLES" and own.target == "EEVEE"
    assert bpy.context.view_layer.material_override is None
    assert "Set Dresser plain" not in bpy.data.materials


def test_instances_of_what_also_stands_in_the_scene_are_told_apart(couple, tmp_path):
    """Two block-outs that show one collection, one that is none, and the original: three looks for two codes."""
    sofa, table = couple
    collection = bpy.data.collections.new("Chair")
    collection.objects.link(table)
    left, right = empty("Left", (-4.2, 0, 0), collection), empty("Right", (-2.0, 3, 0), collection)
    empty("Neither", (1.4, 4, 0), collection)
    bpy.data.objects.remove(sofa)
    bpy.context.view_layer.update()
    shot = capture_camera(bpy.context, [left, right, table], tmp_path)
    labels = labels_of(shot)
    assert [row["name"] for row in shot.labels] == ["Left", "Right", "Table"]
    assert (labels == 3).sum() == 10302
    columns = {number: np.nonzero((labels == number).any(axis=0))[0] for number in (1, 2, 3)}
    assert columns[1].max() < columns[2].min() < columns[2].max() < columns[3].min()
    assert read(shot.image).shape[:2] == labels.shape
