"""Nothing in the file is any different after a capture, however it ended, and block-outs are found again."""

from __future__ import annotations

from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from blender_addon.capture import block_outs, capture, identity, outlines, pictures, render_settings, rendering, scenery
from blender_addon.capture.block_outs import resolve
from blender_addon.capture.capture import CaptureError, capture_camera
from blender_addon.ground.references import Reference
from tests.blender_addon import snapshots
from tests.blender_addon.small_room import hostile, labels_of

pytestmark = pytest.mark.usefixtures("relation")

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
    (capture, "_unseen"),
    (pictures, "move"),
    (identity, "_passes"),
    (identity.exr, "read_channels"),
    (identity.identity_settings, "borrow"),
    (scenery, "survey"),
    (outlines, "_is_whole"),
    (capture.pictures, "png"),
    (capture.pictures, "npy"),
    (identity, "for_identity"),
    (rendering, "render_now"),
    (render_settings, "for_capture"),
    (render_settings, "for_picture"),
    (render_settings, "as_standard_png"),
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
    if not (name == "move" and when == "after"):
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
    monkeypatch.setattr(rendering, "bpy", stand_in)
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
    reference = Reference.of(room[0])
    room[0].name = "Renamed"
    assert resolve(reference) == room[0]
    room[0].name = "Box"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "file.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "file.blend"))
    found = resolve(reference.reopened())
    assert found is not None and found.name == "Box" and found.session_uid != reference.session_uid
    reference = Reference.of(found)
    holder = bpy.data.objects["Ball"]
    holder.set_dresser_block_out = found  # keeps a deleted object's memory alive
    bpy.context.scene.collection.children[0].objects.unlink(found)
    assert resolve(reference) is None
    assert block_outs.block_out_of(holder) is None
    bpy.data.objects.remove(found)
    assert resolve(reference) is None
