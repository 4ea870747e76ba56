"""What is captured is what the camera sees, exactly, and nothing in the file is any different afterwards."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Vector

from blender_addon import block_outs, capture, pictures, render_settings
from blender_addon.block_outs import BlockOutRef, resolve
from blender_addon.capture import CaptureError, capture_camera, capture_image, capture_image_file
from tests.blender_addon import snapshots


@pytest.fixture(autouse=True)
def relation():
    """The pointer from prop to block-out, as the registered add-on has it."""
    block_outs.register()
    yield
    block_outs.unregister()


def add(kind, name, **options):
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**options)
    made = bpy.context.object
    made.name = name
    return made


def empty(name, location=(0, 0, 0), collection=None):
    made = bpy.data.objects.new(name, None)
    made.location = location
    bpy.context.scene.collection.objects.link(made)
    if collection is not None:
        made.instance_type, made.instance_collection = "COLLECTION", collection
    return made


@pytest.fixture
def room():
    """Cube, ball and cone as block-outs on a floor before a camera looking along +Y; returns the three."""
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    add("plane", "Floor", size=40)
    cube = add("cube", "Box", size=1.4, location=(-1.6, 0, 0.7), rotation=(0, 0, 0.4))
    ball = add("uv_sphere", "Ball", radius=0.8, location=(0.4, 0.6, 0.8))
    cone = add("cone", "Cone", radius1=0.7, depth=1.8, location=(1.9, -0.4, 0.9))
    camera = bpy.context.scene.camera
    camera.location, camera.rotation_euler = (0, -8, 3), (math.radians(74), 0, 0)
    bpy.context.view_layer.update()
    return [cube, ball, cone]


def read(path):
    """(H, W, 4) values 0..1 as Blender reads them from a file, upper row first."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1]
    bpy.data.images.remove(image)
    return pixels


def labels_of(shot):
    bits = shot.instances.read_bytes()[24]
    return np.rint(read(shot.instances)[..., 0] * (2**bits - 1)).astype(int)


def ray_cast(shot):
    """What a ray through the middle of each pixel meets first: name or "", and planar depth in metres."""
    scene, camera = bpy.context.scene, shot.camera
    pose = np.array(camera["world_from_camera"])
    metres = scene.unit_settings.scale_length
    origin = Vector(pose[:3, 3] / metres)
    names = np.full((camera["height"], camera["width"]), "", dtype=object)
    depth = np.full(names.shape, np.nan)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for row, column in np.ndindex(names.shape):
        local = ((column + 0.5 - camera["cx"]) / camera["fx"], (camera["cy"] - row - 0.5) / camera["fy"], -1)
        ray = Vector(pose[:3, :3] @ local)
        hit, point, _, _, met, _ = scene.ray_cast(depsgraph, origin, ray)
        if hit:
            names[row, column] = met.name
            depth[row, column] = (point - origin).dot(Vector(-pose[:3, 2])) * metres
    return names, depth


def away_from_edges(names):
    """Pixels whose four neighbours meet the same thing; on an edge a ray may pass by in the last digit."""
    inner = np.zeros(names.shape, bool)
    middle = names[1:-1, 1:-1]
    inner[1:-1, 1:-1] = (
        (middle == names[:-2, 1:-1])
        & (middle == names[2:, 1:-1])
        & (middle == names[1:-1, :-2])
        & (middle == names[1:-1, 2:])
    )
    return inner


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


def hostile(scene, room):
    """Settings of scene, camera and objects that would spoil a naive capture."""
    context = bpy.context
    render, cycles = scene.render, scene.cycles
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x = 0.3, 0.6
    render.use_multiview = True
    render.use_motion_blur = True
    render.use_stamp = True
    render.use_freestyle = True
    render.use_persistent_data = True
    render.dither_intensity = 2.0
    render.film_transparent = False
    scene.camera.data.dof.use_dof = True
    scene.camera.data.dof.aperture_fstop = 0.05
    scene.camera.data.dof.focus_distance = 2
    cycles.sample_clamp_direct, cycles.film_exposure, cycles.filter_width = 0.5, 4.0, 6.0
    cycles.time_limit, cycles.sample_offset, cycles.pixel_filter_type = 0.001, 7, "GAUSSIAN"
    cycles.use_layer_samples = "USE"
    context.view_layer.samples = 3
    context.view_layer.material_override = bpy.data.materials.new("Override")
    other = scene.view_layers.new("Other")
    other.layer_collection.exclude = True
    scene.view_settings.exposure = -1.0
    scene.world.node_tree.nodes.new("ShaderNodeVolumeScatter")
    fog = next(node for node in scene.world.node_tree.nodes if node.type == "VOLUME_SCATTER")
    out = next(node for node in scene.world.node_tree.nodes if node.type == "OUTPUT_WORLD")
    scene.world.node_tree.links.new(fog.outputs[0], out.inputs["Volume"])
    bpy.ops.object.light_add(type="AREA", location=(0, -4, 1.8), rotation=(math.radians(-90), 0, 0))
    context.object.visible_camera = True
    context.object.data.size = 1.5
    bpy.data.objects["Floor"].is_shadow_catcher = True
    bpy.data.objects["Floor"].pass_index = 2
    room[0].pass_index = 99
    scene.sequence_editor_create()
    editor = scene.sequence_editor
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    ends = {"length": 10} if "length" in strips.bl_rna.functions["new_effect"].parameters else {"frame_end": 10}
    strips.new_effect(name="Red", type="COLOR", channel=1, frame_start=1, **ends)


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
    tree = capture.compat.use_nodes(material)
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
    shot = capture_camera(bpy.context, room, tmp_path)
    assert any("Cycles" in warning for warning in shot.warnings)
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
    monkeypatch.setattr(render_settings, "bpy", stand_in)
    render_settings.render_to(scene, tmp_path / "picture.png")
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


# nothing is left changed


def test_everything_is_as_before(room, tmp_path):
    scene = bpy.context.scene
    hostile(scene, room)
    scene.render.use_multiview = False
    scene.render.filepath = "//somewhere"
    scene.render.image_settings.file_format = "JPEG"
    scene.render.image_settings.quality = 42
    scene.frame_set(7)
    bpy.ops.object.select_all(action="DESELECT")
    room[1].select_set(True)
    bpy.context.view_layer.objects.active = room[2]
    before = snapshots.everything()
    capture_camera(bpy.context, room, tmp_path)
    assert snapshots.differences(before, snapshots.everything()) == []


@pytest.mark.parametrize(
    ("file_format", "depth"), [("OPEN_EXR", "16"), ("PNG", "16"), ("OPEN_EXR_MULTILAYER", "32"), ("FFMPEG", None)]
)
def test_every_output_format_is_put_back(room, tmp_path, file_format, depth):
    image_settings = bpy.context.scene.render.image_settings
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = {"FFMPEG": "VIDEO", "OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE"}.get(
            file_format, "IMAGE"
        )
    image_settings.file_format = file_format
    if depth is not None:
        image_settings.color_depth = depth
    image_settings.color_management = "OVERRIDE"
    image_settings.view_settings.view_transform, image_settings.view_settings.exposure = "Filmic", 0.5
    image_settings.view_settings.use_curve_mapping = True
    image_settings.view_settings.curve_mapping.curves[3].points[0].location = (0.2, 0.1)
    before = snapshots.everything()
    capture_camera(bpy.context, room, tmp_path)
    assert snapshots.differences(before, snapshots.everything()) == []


STEPS = [
    (capture, "_show_block_outs"),
    (capture, "_read_floats"),
    (capture, "_unseen"),
    (capture, "_move"),
    (capture.compat, "use_nodes"),
    (capture.pictures, "png"),
    (capture.pictures, "npy"),
    (render_settings, "for_identity"),
    (render_settings, "for_picture"),
    (render_settings, "as_standard_png"),
    (render_settings, "_keep_last_render"),
]


@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("when", ["before", "after"])
def test_everything_is_as_before_if_a_step_fails(room, tmp_path, monkeypatch, module, name, when):
    real = getattr(module, name)

    def fails(*arguments, **options):
        if when == "after":
            real(*arguments, **options)
        raise OSError("No space left on device")

    scene = bpy.context.scene
    scene.render.filepath = "//somewhere"
    before = snapshots.everything()
    monkeypatch.setattr(module, name, fails)
    with pytest.raises(OSError, match="No space left"):
        capture_camera(bpy.context, room, tmp_path)
    assert snapshots.differences(before, snapshots.everything()) == []
    if not (name == "_move" and when == "after"):
        assert list(tmp_path.iterdir()) == [], "nothing half-done is left in the folder"


@pytest.mark.parametrize("number", [1, 2])
def test_everything_is_as_before_if_a_render_fails(room, tmp_path, monkeypatch, number):
    real, calls = bpy.ops.render.render, []

    def render(*arguments, **options):
        calls.append(arguments)
        if len(calls) == number:
            raise RuntimeError("Error: Out of memory in the middle of it")
        return real(*arguments, **options)

    before = snapshots.everything()
    stand_in = SimpleNamespace(
        ops=SimpleNamespace(render=SimpleNamespace(render=render)), data=bpy.data, app=bpy.app, types=bpy.types
    )
    monkeypatch.setattr(render_settings, "bpy", stand_in)
    with pytest.raises(CaptureError, match="Out of memory in the middle of it"):
        capture_camera(bpy.context, room, tmp_path)
    assert snapshots.differences(before, snapshots.everything()) == []
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_shot_in_the_folder_stays_whole_if_the_next_fails(room, tmp_path, monkeypatch):
    shot = capture_camera(bpy.context, room, tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {"image.png", "instances.png", "depth.npy"} and shot.image in tmp_path.iterdir()
    monkeypatch.setattr(pictures, "npy", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        capture_camera(bpy.context, room[:1], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


# what cannot be captured


def test_without_a_camera_there_is_a_sentence_and_a_hint(room, tmp_path):
    bpy.context.scene.camera = None
    with pytest.raises(CaptureError, match="no active camera") as caught:
        capture_camera(bpy.context, room, tmp_path)
    assert caught.value.hint and caught.value.code == "capture"


def test_an_orthographic_camera_is_refused_before_anything_is_rendered(room, tmp_path, monkeypatch):
    bpy.context.scene.camera.data.type = "ORTHO"
    monkeypatch.setattr(render_settings, "render_to", lambda *_: pytest.fail("rendered"))
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
    (warning,) = shot.warnings
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


# block-outs and props


def prop_for(block_out):
    prop = block_out.copy()
    prop.data = block_out.data.copy()
    prop.name = f"{block_out.name}_prop"
    bpy.context.scene.collection.objects.link(prop)
    prop.set_dresser_block_out = block_out
    return prop


def test_a_block_out_hidden_by_its_prop_is_captured_again_without_the_prop(room, tmp_path):
    cube = room[0]
    first = labels_of(capture_camera(bpy.context, [cube], tmp_path))
    prop = prop_for(cube)
    prop.location.y -= 1.0  # before the block-out, so that it would be seen instead
    bpy.context.view_layer.update()
    block_outs.hide(cube, bpy.context.view_layer)
    before = snapshots.everything()
    for chosen in ([cube], [prop], [cube, prop]):
        assert np.array_equal(labels_of(capture_camera(bpy.context, chosen, tmp_path)), first)
    assert snapshots.differences(before, snapshots.everything()) == []


def test_hiding_is_remembered_once_and_undone_exactly(room):
    view_layer = bpy.context.view_layer
    cube, ball, cone = room
    ball.parent = cube
    ball.hide_render = True
    cone.parent = ball
    cone.hide_set(True)
    light = bpy.data.objects["Light"]
    light.parent = cube
    before = snapshots.everything()
    block_outs.hide(cube, view_layer)
    block_outs.hide(cube, view_layer)
    assert all(part.hide_render and part.hide_get() for part in room)
    assert not light.hide_render, "a lamp's light goes on shining"
    block_outs.show(cube, view_layer)
    assert snapshots.differences(before, snapshots.everything()) == []


def test_a_reference_finds_its_object_after_renaming_and_reloading_and_not_after_deleting(room, tmp_path):
    reference = BlockOutRef.of(room[0])
    room[0].name = "Renamed"
    assert resolve(reference) == room[0]
    room[0].name = "Box"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    found = resolve(reference)
    assert found is not None and found.name == "Box" and found.session_uid != reference.session_uid
    reference = BlockOutRef.of(found)
    holder = bpy.data.objects["Ball"]
    holder.set_dresser_block_out = found  # keeps a deleted object's memory alive
    bpy.context.scene.collection.children[0].objects.unlink(found)
    assert resolve(reference) is None
    assert block_outs.block_out_of(holder) is None
    bpy.data.objects.remove(found)
    assert resolve(reference) is None


# pictures


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_the_png_writer_writes_blender_reads(tmp_path, dtype, channels):
    largest = np.iinfo(dtype).max
    pixels = np.random.default_rng(1).integers(0, largest + 1, (13, 7, channels)).astype(dtype)
    if channels == 4:
        pixels[..., 3] = largest
    path = pictures.write_whole(tmp_path / "picture.png", pictures.png(pixels))
    values = np.rint(read(path) * largest).astype(int)
    assert np.array_equal(values[..., : min(channels, 3)], pixels[..., :3])
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_of_nothing_is_no_png():
    for wrong in (np.zeros((0, 3), np.uint8), np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.uint8)):
        with pytest.raises(ValueError, match="no PNG"):
            pictures.png(wrong)


def image(name="Picture", size=(6, 4), *, float_buffer=False, alpha=True):
    made = bpy.data.images.new(name, *size, alpha=alpha, float_buffer=float_buffer)
    values = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 4)).astype(np.float32) / 255
    values[..., 3] = 1.0
    made.pixels.foreach_set(values.ravel())
    return made, values[::-1]


def state(datablock):
    return snapshots.plain(datablock)


def srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def test_a_generated_image_is_written_as_it_is_and_not_touched(tmp_path):
    made, values = image()
    before, data = state(made), snapshots.everything()
    shot = capture_image(made, tmp_path)
    assert read(shot.image) == pytest.approx(values, abs=1e-6)
    assert state(made) == before
    assert snapshots.differences(data, snapshots.everything()) == []
    assert (shot.instances, shot.depth, shot.camera, shot.labels) == (None, None, None, [])


def test_a_packed_image_with_unsaved_strokes_is_written_as_painted(tmp_path):
    made, values = image()
    made.pack()
    painted = values.copy()
    painted[1, 2, :3] = (1.0, 0.0, 0.0)
    made.pixels.foreach_set(painted[::-1].ravel())
    assert made.is_dirty
    before = state(made)
    assert read(capture_image(made, tmp_path).image) == pytest.approx(painted, abs=1e-6)
    assert state(made) == before


def test_a_file_image_is_not_tied_to_another_file(tmp_path):
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    path = pictures.write_whole(tmp_path / "file.png", pictures.png(pixels))
    loaded = bpy.data.images.load(str(path))
    before = state(loaded)
    shot = capture_image(loaded, tmp_path / "shot")
    assert np.array_equal(np.rint(read(shot.image)[..., :3] * 255), pixels)
    assert state(loaded) == before


def test_a_float_image_is_converted_from_linear_and_white_is_the_brightest(tmp_path):
    made, values = image(float_buffer=True)
    values = values.copy()
    values[0, 0, :3] = 9.0
    made.pixels.foreach_set(values[::-1].ravel())
    written = read(capture_image(made, tmp_path).image)
    assert written[..., :3] == pytest.approx(np.minimum(srgb(values[..., :3]), 1.0), abs=0.6 / 255)


def test_a_render_result_is_an_image_too(room, tmp_path):
    bpy.context.scene.view_settings.view_transform = "Standard"
    bpy.context.scene.render.image_settings.file_format = "PNG"
    bpy.context.scene.render.image_settings.color_mode = "RGB"
    bpy.context.scene.render.filepath = str(tmp_path / "render.png")
    bpy.ops.render.render(write_still=True)
    result = next(image for image in bpy.data.images if image.type == "RENDER_RESULT")
    before = snapshots.everything()
    shot = capture_image(result, tmp_path / "shot")
    assert read(shot.image)[..., :3] == pytest.approx(read(tmp_path / "render.png")[..., :3], abs=1.1 / 255)
    assert snapshots.differences(before, snapshots.everything()) == []


@pytest.mark.parametrize(("source", "word"), [("TILED", "UDIM"), ("SEQUENCE", "sequence"), ("MOVIE", "movie")])
def test_images_of_many_pictures_are_refused(tmp_path, source, word):
    made, _ = image()
    made.source = source
    with pytest.raises(CaptureError, match=word) as caught:
        capture_image(made, tmp_path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_image_whose_file_is_gone_is_refused(tmp_path):
    path = pictures.write_whole(tmp_path / "file.png", pictures.png(np.zeros((2, 2), np.uint8)))
    loaded = bpy.data.images.load(str(path))
    path.unlink()
    loaded.reload()
    with pytest.raises(CaptureError, match="no pixels"):
        capture_image(loaded, tmp_path / "shot")


def test_a_label_image_keeps_its_exact_values(tmp_path):
    picture, _ = image(size=(16, 16))
    labels = bpy.data.images.new("Labels", 16, 16)
    values = np.zeros((16, 16, 4), np.float32)
    values[..., 0] = values[..., 1] = values[..., 2] = np.arange(256).reshape(16, 16) / 255
    values[..., 3] = 1
    labels.pixels.foreach_set(values.ravel())
    shot = capture_image(picture, tmp_path, labels)
    assert shot.instances.read_bytes()[24:26] == bytes([8, 0]), "grey"
    assert np.array_equal(labels_of(shot), np.arange(256).reshape(16, 16)[::-1])
    values[..., 2] = 0
    labels.pixels.foreach_set(values.ravel())
    shot = capture_image(picture, tmp_path, labels)
    assert shot.instances.read_bytes()[25] == 2, "RGB"
    assert np.array_equal(labels_of(shot), np.arange(256).reshape(16, 16)[::-1])


@pytest.mark.parametrize("packed", [False, True])
def test_a_loaded_label_png_is_passed_on_byte_by_byte(tmp_path, packed):
    picture, _ = image(size=(4, 4))
    data = pictures.png(np.arange(16, dtype=np.uint16).reshape(4, 4) * 1000)
    path = pictures.write_whole(tmp_path / "labels.png", data)
    labels = bpy.data.images.load(str(path))
    if packed:
        labels.pack()
        path.unlink()
    assert capture_image(picture, tmp_path / "shot", labels).instances.read_bytes() == data


def test_a_float_label_image_is_refused_because_its_values_are_not_exact(tmp_path):
    picture, _ = image()
    labels, _ = image("Labels", float_buffer=True)
    with pytest.raises(CaptureError, match="8 bits"):
        capture_image(picture, tmp_path, labels)
    assert list(tmp_path.iterdir()) == []


def test_files_are_copied_as_they_are(tmp_path):
    (tmp_path / "photo.JPG").write_bytes(b"any bytes; the backend judges them")
    (tmp_path / "map.PNG").write_bytes(b"more bytes")
    shot = capture_image_file(tmp_path / "photo.JPG", tmp_path / "shot", tmp_path / "map.PNG", {"fx": 1})
    assert (shot.image.name, shot.instances.name) == ("image.jpg", "instances.png")
    assert shot.image.read_bytes() == (tmp_path / "photo.JPG").read_bytes()
    assert shot.instances.read_bytes() == b"more bytes"
    assert shot.camera == {"fx": 1}


def test_a_missing_or_huge_file_is_said_and_nothing_is_copied(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(CaptureError, match="does not exist"):
        capture_image_file(tmp_path / "photo.png", tmp_path / "shot", tmp_path / "nothing.png")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.seek(257 * 1024 * 1024)
        huge.write(struct.pack("B", 0))
    with pytest.raises(CaptureError, match="256 MB"):
        capture_image_file(tmp_path / "huge.png", tmp_path / "shot")
    assert list((tmp_path / "shot").iterdir()) == []
