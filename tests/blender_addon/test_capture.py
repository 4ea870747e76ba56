"""What is captured is what the camera sees, exactly; what cannot be captured is said."""

from __future__ import annotations

from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from blender_addon.capture import render_settings, rendering
from blender_addon.capture.block_outs import resolve
from blender_addon.capture.capture import CaptureError, capture_camera
from blender_addon.ground import compat
from tests.blender_addon.small_room import add, away_from_edges, empty, hostile, labels_of, ray_cast, read

pytestmark = pytest.mark.usefixtures("relation")

# the instance map and the depth


@pytest.mark.parametrize("metres", [1.0, 0.01])
def test_labels_and_depth_are_what_rays_meet(room, tmp_path, metres):
    bpy.context.scene.unit_settings.scale_length = metres
    shot = capture_camera(bpy.context, room, tmp_path)
    labels, depth = labels_of(shot), np.load(shot.depth)
    names, away = ray_cast(shot)
    wanted = np.vectorize({"Box": 1, "Ball": 2, "Cone": 3, "Floor": 0, "": 0}.get)(names)
    inner = away_from_edges(names)
    assert np.array_equal(labels[inner], wanted[inner])
    assert np.mean(labels == wanted) > 0.995
    assert (depth.dtype, depth.shape) == (np.float32, labels.shape)
    assert np.array_equal(np.isnan(depth[inner]), np.isnan(away[inner])), "depth is NaN just where nothing is"
    seen = inner & ~np.isnan(away)
    assert depth[seen] == pytest.approx(away[seen], rel=2e-4)
    assert [(row["id"], row["name"]) for row in shot.labels] == [(1, "Box"), (2, "Ball"), (3, "Cone")]
    for row, block_out, size in zip(shot.labels, room, (1.4, 1.6, None), strict=True):
        box = np.array(row["world_from_box"])
        turned = np.array(block_out.matrix_world)[:3, :3]
        assert box[:3, 3] == pytest.approx(np.array(block_out.location) * metres, rel=1e-4, abs=1e-6)
        if size is not None:
            assert box[:3, :3] == pytest.approx(turned * size * metres, abs=1e-3 * metres)
    assert {number: resolve(reference).name for number, reference in shot.block_outs.items()} == {
        1: "Box",
        2: "Ball",
        3: "Cone",
    }
    assert not shot.warnings


def test_parts_are_one_with_what_they_are_parented_to(room, tmp_path):
    pole, shade, part = room
    shade.parent = pole
    part.parent = shade
    shot = capture_camera(bpy.context, room, tmp_path)
    assert [label["name"] for label in shot.labels] == ["Box"]
    assert set(np.unique(labels_of(shot))) == {0, 1}
    whole = empty("Everything")
    pole.parent = whole
    shot = capture_camera(bpy.context, [whole], tmp_path)
    assert [label["name"] for label in shot.labels] == ["Everything"]
    assert np.count_nonzero(labels_of(shot)) > 500


def test_an_instance_counts_as_the_object_that_makes_it(tmp_path):
    scene = bpy.context.scene
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    collection = bpy.data.collections.new("Chair")
    inner = add("cube", "Inner", size=1.2)
    inner.users_collection[0].objects.unlink(inner)
    collection.objects.link(inner)
    nested = bpy.data.collections.new("Group")
    instance = empty("Nested", collection=collection)
    scene.collection.objects.unlink(instance)
    nested.objects.link(instance)
    left, right = empty("Left", (-3, 0, 0), collection), empty("Right", (3, 0, 0), collection)
    deep, other = empty("Deep", (0, 3, 0), nested), empty("Other", (0, -3, 0), collection)
    scene.camera.location, scene.camera.rotation_euler = (0, 0, 18), (0, 0, 0)
    shot = capture_camera(bpy.context, [left, right, deep], tmp_path)
    labels = labels_of(shot)
    assert [label["name"] for label in shot.labels] == ["Left", "Right", "Deep"]
    middle = labels.shape[1] // 2
    assert set(np.unique(labels[:, : middle - 8])) == {0, 1}
    assert set(np.unique(labels[:, middle + 8 :])) == {0, 2}
    assert set(np.unique(labels[: labels.shape[0] // 2 - 4, middle - 8 : middle + 8])) == {0, 3}
    assert set(np.unique(labels[labels.shape[0] // 2 + 4 :, middle - 8 : middle + 8])) == {0}, other.name


def test_particles_count_as_their_emitter(room, tmp_path):
    cube, _, cone = room
    settings = cube.modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system.settings
    settings.type, settings.count, settings.render_type = "HAIR", 12, "OBJECT"
    settings.instance_object, settings.particle_size = cone, 0.6
    with_particles = labels_of(capture_camera(bpy.context, [cube], tmp_path))
    cube.modifiers.clear()
    without = labels_of(capture_camera(bpy.context, [cube], tmp_path))
    assert np.count_nonzero(with_particles == 1) > 1.3 * np.count_nonzero(without == 1)


def test_more_than_255_block_outs_make_a_16_bit_map(tmp_path):
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    scene = bpy.context.scene
    mesh = bpy.data.meshes.new("Tile")
    mesh.from_pydata([(-0.4, -0.4, 0), (0.4, -0.4, 0), (0.4, 0.4, 0), (-0.4, 0.4, 0)], [], [(0, 1, 2, 3)])
    tiles = []
    for number in range(300):
        tile = bpy.data.objects.new(f"Tile {number}", mesh)
        tile.location = (number % 20 - 9.5, number // 20 - 7, 0)
        scene.collection.objects.link(tile)
        tiles.append(tile)
    scene.camera.location, scene.camera.rotation_euler = (0, 0, 32), (0, 0, 0)
    scene.render.resolution_x, scene.render.resolution_y = 160, 120
    shot = capture_camera(bpy.context, tiles, tmp_path)
    assert shot.instances.read_bytes()[24:26] == bytes([16, 0]), "16 bits, grey"
    assert set(np.unique(labels_of(shot))) == set(range(301))
    assert len(shot.labels) == 300


def test_up_to_255_block_outs_make_an_8_bit_grey_map(room, tmp_path):
    shot = capture_camera(bpy.context, room, tmp_path)
    assert shot.instances.read_bytes()[24:26] == bytes([8, 0])


def test_no_setting_of_the_scene_blurs_or_shifts_the_instance_map(room, tmp_path):
    plain = capture_camera(bpy.context, room, tmp_path / "plain")
    hostile(bpy.context.scene, room)
    spoilt = capture_camera(bpy.context, room, tmp_path / "spoilt")
    assert np.array_equal(labels_of(spoilt), labels_of(plain))
    assert np.array_equal(np.load(spoilt.depth), np.load(plain.depth), equal_nan=True)
    assert spoilt.camera == plain.camera
    assert read(spoilt.image).shape == read(plain.image).shape
    assert read(spoilt.image)[..., 2].mean() > 0.01, "the picture is the camera's, not the red strip of the sequencer"


def test_no_colour_management_changes_ids_or_depth(room, tmp_path):
    plain = capture_camera(bpy.context, room, tmp_path / "plain")
    image_settings = bpy.context.scene.render.image_settings
    image_settings.file_format = "OPEN_EXR"
    image_settings.color_management = "OVERRIDE"
    image_settings.linear_colorspace_settings.name = "ACEScg"
    override = capture_camera(bpy.context, room, tmp_path / "override")
    shots = [override]
    if hasattr(bpy.data, "colorspace"):  # from 5.0 on a file has a working space
        bpy.ops.wm.set_working_color_space(working_space="Linear Rec.2020", convert_colors=False)
        shots.append(capture_camera(bpy.context, room, tmp_path / "wide override"))
        image_settings.color_management = "FOLLOW_SCENE"
        shots.append(capture_camera(bpy.context, room, tmp_path / "wide"))
    for shot in shots:
        assert np.array_equal(labels_of(shot), labels_of(plain))
        assert np.array_equal(np.load(shot.depth), np.load(plain.depth), equal_nan=True)


# the picture


def test_colours_come_through_as_they_are_whatever_the_view_transform(tmp_path):
    scene = bpy.context.scene
    cube = bpy.data.objects["Cube"]
    material = bpy.data.materials.new("Glow")
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    glow, out = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
    glow.inputs["Color"].default_value = (0.8, 0.2, 0.05, 1)
    tree.links.new(glow.outputs[0], out.inputs[0])
    cube.data.materials.clear()
    cube.data.materials.append(material)
    assert scene.view_settings.view_transform == "AgX"
    shot = capture_camera(bpy.context, [cube], tmp_path)
    inside = labels_of(shot) == 1
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    colors = np.median(read(shot.image)[inside], axis=0)[:3] * 255
    assert colors == pytest.approx([231.1, 123.5, 63.3], abs=1.5), "linear 0.8, 0.2, 0.05 in sRGB"


def test_without_a_window_eevee_gives_way_to_cycles_and_says_so(room, tmp_path):
    scene = bpy.context.scene
    assert render_settings.compat.set_choice(scene.render, "engine", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
    before = scene.render.engine
    shot = capture_camera(bpy.context, room, tmp_path, "SCENE")
    assert [warning["code"] for warning in shot.warnings] == ["engine"]
    assert capture_camera(bpy.context, room, tmp_path).warnings == [], "nobody asked for the scene's own engine"
    assert scene.render.engine == before


def test_the_last_render_of_the_artist_is_kept(room, tmp_path):
    scene = bpy.context.scene
    for hidden in room:
        hidden.hide_render = True
    bpy.ops.render.render()
    result = next(image for image in bpy.data.images if image.type == "RENDER_RESULT")
    result.save_render(str(tmp_path / "before.png"), scene=scene)
    for hidden in room:
        hidden.hide_render = False
    capture_camera(bpy.context, room, tmp_path / "shot")
    result.save_render(str(tmp_path / "after.png"), scene=scene)
    assert np.array_equal(read(tmp_path / "before.png"), read(tmp_path / "after.png"))


@pytest.mark.parametrize("name", ["{frame}", "{nothing}", "a{b", "c}d", "{{e}}", "{}"])
def test_braces_in_a_path_are_braces(room, tmp_path, name):
    shot = capture_camera(bpy.context, room, tmp_path / name)
    assert shot.image == tmp_path / name / "image.png" and shot.image.is_file()
    assert set(np.unique(labels_of(shot))) == {0, 1, 2, 3}


def test_a_build_without_denoiser_renders_without_denoising(room, tmp_path, monkeypatch):
    scene = bpy.context.scene
    scene.cycles.use_denoising = True
    tried = []

    def render(*_, **__):
        tried.append(scene.cycles.use_denoising)
        if scene.cycles.use_denoising:
            raise RuntimeError("Error: Failed to denoise, build has no OpenImageDenoise support")
        bpy.ops.render.render("EXEC_DEFAULT", write_still=True)

    stand_in = SimpleNamespace(ops=SimpleNamespace(render=SimpleNamespace(render=render)))
    monkeypatch.setattr(rendering, "bpy", stand_in)
    rendering.render_now(scene, tmp_path / "picture.png")
    assert tried == [True, False]
    assert scene.cycles.use_denoising
    assert (tmp_path / "picture.png").is_file()


def test_what_is_modelled_in_edit_mode_is_seen(tmp_path):
    cube = bpy.data.objects["Cube"]
    bpy.context.view_layer.objects.active = cube
    before = np.count_nonzero(labels_of(capture_camera(bpy.context, [cube], tmp_path)))
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.transform.resize(value=(0.5, 0.5, 0.5))
    after = np.count_nonzero(labels_of(capture_camera(bpy.context, [cube], tmp_path)))
    assert bpy.context.mode == "EDIT_MESH"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert 0.15 < after / before < 0.4


# what should be known


def test_what_the_frame_cuts_and_what_is_dark_is_told(room, tmp_path):
    assert capture_camera(bpy.context, room, tmp_path).warnings == []
    room[0].location.x = -3.4
    (warning,) = capture_camera(bpy.context, room, tmp_path).warnings
    assert (warning["code"], warning["instance"]) == ("cut-by-frame", 1) and "Box." in warning["message"]
    bpy.data.objects["Light"].hide_render = True
    bpy.context.scene.world = None
    cut, dark = capture_camera(bpy.context, room, tmp_path).warnings
    assert cut == warning and dark["code"] == "picture-dark" and "are black" in dark["message"] and dark["hint"]


def test_a_fast_picture_is_as_large_as_pipelines_look_at_and_all_files_agree(room, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 1920, 1081, 100
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    shot = capture_camera(bpy.context, room[:1], tmp_path)
    assert (shot.camera["width"], shot.camera["height"]) == (1024, 577)
    labels = labels_of(shot)
    assert labels.shape == np.load(shot.depth).shape == read(shot.image).shape[:2] == (577, 1024)
    scene.render.resolution_percentage = 10
    whole = capture_camera(bpy.context, room[:1], tmp_path, "SCENE")
    assert (whole.camera["width"], whole.camera["height"]) == (192, 108)
    middle, small = (np.argwhere(found == 1).mean(axis=0) + 0.5 for found in (labels, labels_of(whole)))
    assert middle / (577, 1024) == pytest.approx(small / (108, 192), abs=0.005)
    assert scene.render.resolution_x == 1920


def test_a_fast_picture_takes_few_samples_and_the_scenes_own_takes_its_own(room, monkeypatch):
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 300, False
    for quality, denoiser, samples in (("FAST", False, 16), ("FAST", True, 8), ("SCENE", True, 300)):
        monkeypatch.setattr(render_settings.compat, "has_denoiser", lambda there=denoiser: there)
        copy = scene.copy()
        assert render_settings.for_picture(copy, quality) == ""
        cycles = copy.cycles
        assert cycles.samples == samples
        assert cycles.use_denoising == (denoiser and quality == "FAST")
        assert (cycles.denoising_prefilter == cycles.denoising_quality == "FAST") == (quality == "FAST")
        bpy.data.scenes.remove(copy)


@pytest.mark.parametrize("quality", ["FAST", "SCENE"])
def test_a_picture_is_taken_in_a_blender_without_denoiser(monkeypatch, quality):
    monkeypatch.setattr(render_settings.compat, "has_denoiser", lambda: False)
    copy = bpy.context.scene.copy()
    copy.render.engine, copy.cycles.samples, copy.cycles.use_denoising = "CYCLES", 8, True
    render_settings.for_picture(copy, quality)
    assert not copy.cycles.use_denoising, "Cycles would refuse to render"
    assert copy.cycles.samples == 8


# what cannot be captured


def test_without_a_camera_there_is_a_sentence_and_a_hint(room, tmp_path):
    bpy.context.scene.camera = None
    with pytest.raises(CaptureError, match="no active camera") as caught:
        capture_camera(bpy.context, room, tmp_path)
    assert caught.value.hint and caught.value.code == "capture"


def test_an_orthographic_camera_is_refused_before_anything_is_rendered(room, tmp_path, monkeypatch):
    bpy.context.scene.camera.data.type = "ORTHO"
    monkeypatch.setattr(rendering, "render_now", lambda *_: pytest.fail("rendered"))
    with pytest.raises(CaptureError, match="orthographic"):
        capture_camera(bpy.context, room, tmp_path)


@pytest.mark.parametrize("chosen", [[], ["Camera", "Light"]])
def test_nothing_to_make_props_of_is_said(room, tmp_path, chosen):
    with pytest.raises(CaptureError, match="Nothing is chosen") as caught:
        capture_camera(bpy.context, [bpy.data.objects[name] for name in chosen], tmp_path)
    assert "Select" in caught.value.hint


def test_block_outs_that_the_camera_does_not_see_are_named_and_left_out(room, tmp_path):
    cube, ball, cone = room
    ball.location.y = -30
    cone.hide_render = True
    shot = capture_camera(bpy.context, room, tmp_path)
    assert [(row["id"], row["name"]) for row in shot.labels] == [(1, "Box")]
    assert set(shot.block_outs) == {1}
    assert [each.name for each in shot.left_out] == ["Ball", "Cone"]
    (warning,) = (each["message"] for each in shot.warnings)
    assert "Ball" in warning and "Cone" in warning and "Box" not in warning
    cube.hide_render = True
    with pytest.raises(CaptureError, match="Box") as caught:
        capture_camera(bpy.context, room, tmp_path)
    assert "hidden" in caught.value.hint


def test_a_picture_of_more_than_64_megapixels_is_refused(room, tmp_path):
    bpy.context.scene.render.resolution_x = bpy.context.scene.render.resolution_y = 9000
    with pytest.raises(CaptureError, match="9000 x 9000"):
        capture_camera(bpy.context, room, tmp_path)


def test_cycles_switched_off_is_said(room, tmp_path, monkeypatch):
    scene = bpy.context.scene
    render_settings.compat.set_choice(scene.render, "engine", "BLENDER_WORKBENCH")
    monkeypatch.setattr(render_settings.compat, "set_choice", lambda *_: None)
    with pytest.raises(CaptureError, match="Cycles is switched off"):
        capture_camera(bpy.context, room, tmp_path)
