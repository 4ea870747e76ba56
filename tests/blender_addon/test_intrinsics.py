"""The pinhole camera that is sent is the camera that Blender renders with."""

from __future__ import annotations

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from mathutils import Euler, Matrix, Vector

from blender_addon.capture import identity, render_settings, rendering, scenery
from blender_addon.capture.intrinsics import CaptureError, camera_json, picture_size, pinhole

lenses = some.floats(5, 300)
sensors = some.floats(5, 80)
shifts = some.floats(-1, 1)
aspects = some.floats(1, 3)
sides = some.integers(16, 4000)
fits = some.sampled_from(["AUTO", "HORIZONTAL", "VERTICAL"])
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def project(camera, point):
    """Pixel coordinates and planar depth, by the contract's words."""
    matrix = np.array(camera["world_from_camera"])
    x, y, z = (np.array(point) - matrix[:3, 3]) @ matrix[:3, :3]
    return camera["cx"] + camera["fx"] * x / -z, camera["cy"] - camera["fy"] * y / -z, -z


def set_up(lens, fit, sensor_width, sensor_height, shift_x, shift_y, aspect_x, aspect_y, size, percentage=100):
    scene = bpy.context.scene
    data = scene.camera.data
    data.lens, data.sensor_fit, data.sensor_width, data.sensor_height = lens, fit, sensor_width, sensor_height
    data.shift_x, data.shift_y = shift_x, shift_y
    render = scene.render
    render.pixel_aspect_x, render.pixel_aspect_y = aspect_x, aspect_y
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = percentage
    bpy.context.view_layer.update()
    return scene, scene.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())


@quick
@given(lenses, fits, sensors, sensors, shifts, shifts, aspects, aspects, sides, sides)
def test_the_pinhole_is_blenders_projection_matrix(lens, fit, wide, high, shift_x, shift_y, ax, ay, width, height):
    _, camera = set_up(lens, fit, wide, high, shift_x, shift_y, ax, ay, (width, height))
    data = camera.data
    ours = pinhole(
        data.lens, fit, data.sensor_width, data.sensor_height, data.shift_x, data.shift_y, width, height, ax, ay
    )
    matrix = camera.calc_matrix_camera(bpy.context.evaluated_depsgraph_get(), x=width, y=height, scale_x=ax, scale_y=ay)
    # A point that our camera sees in the middle or in the corner of the picture must be there for Blender too; the
    # tolerance grows with pictures so long that Blender's 32-bit matrix itself has no hundredth of a pixel.
    for x, y in ((width / 2, height / 2), (0, 0), (width, height)):
        ray = Vector(((x - ours.cx) / ours.fx, (ours.cy - y) / ours.fy, -1.0, 1.0))
        clip = matrix @ ray
        shown = ((clip.x / clip.w + 1) * width / 2, (1 - clip.y / clip.w) * height / 2)
        assert shown == pytest.approx((x, y), abs=0.01 + 2e-6 * max(width, height, abs(ours.cx), abs(ours.cy)))


@quick
@given(
    some.floats(8, 120), fits, shifts, shifts, aspects, some.integers(10, 200), some.floats(-3, 3), some.floats(-3, 3)
)
def test_a_point_is_seen_where_blender_sees_it(lens, fit, shift_x, shift_y, aspect, percentage, pitch, yaw):
    scene = bpy.context.scene
    scene.camera.rotation_euler = Euler((pitch, 0.3, yaw))
    # Sides that every percentage leaves whole: Blender's own helper does not round as its renders do.
    scene, camera = set_up(lens, fit, 36, 24, shift_x, shift_y, aspect, 1, (600, 400), percentage)
    ours = camera_json(scene, camera)
    assert (ours["width"], ours["height"]) == picture_size(scene.render)
    for column, row, away in ((0.5, 0.5, 2.0), (0.1, 0.8, 1.5), (0.9, 0.2, 4.0)):
        x = (column * ours["width"] - ours["cx"]) / ours["fx"]
        y = (ours["cy"] - row * ours["height"]) / ours["fy"]
        point = camera.matrix_world @ (Vector((x, y, -1.0)) * away)
        x, y, depth = project(ours, point)
        shown = world_to_camera_view(scene, camera, point)
        assert depth == pytest.approx(shown.z, abs=1e-4)
        assert x == pytest.approx(shown.x * ours["width"], abs=0.01)
        assert y == pytest.approx((1 - shown.y) * ours["height"], abs=0.01)


@pytest.mark.parametrize("percentage", [1, 33, 50, 99, 100, 150])
def test_the_picture_size_is_the_size_of_the_rendered_file(percentage, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 211, 107
    scene.render.resolution_percentage = percentage
    scene.render.filepath = str(tmp_path / "size.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath)
    assert tuple(image.size) == picture_size(scene.render)


@pytest.mark.parametrize("scale", [(1, 1, 1), (2, 3, 0.5), (-1, -1, 1)])
def test_a_scaled_camera_is_rendered_and_sent_as_if_it_had_no_scale(scale, tmp_path):
    context, scene = bpy.context, bpy.context.scene
    scene.camera.scale = scale
    cube = bpy.data.objects["Cube"]
    cube.scale = (0.1, 0.1, 0.1)
    cube.location = (0.7, -0.2, 0.1)
    context.view_layer.update()
    camera = camera_json(scene, scene.camera.evaluated_get(context.evaluated_depsgraph_get()))
    with rendering.stage(scene, context.view_layer, rendering.untold) as stage:
        render_settings.for_capture(stage.scene, stage.view_layer, camera["width"], camera["height"])
        what = scenery.survey(context.view_layer, "CYCLES")
        sight = rendering.finished(identity.look(stage, {cube.session_uid: 1}, what, tmp_path / "identity.exr"))
    labels, depth = sight.labels, sight.depth
    rows, columns = np.nonzero(labels == 1)
    x, y, away = project(camera, cube.matrix_world.translation)
    assert columns.mean() + 0.5 == pytest.approx(x, abs=0.7)
    assert rows.mean() + 0.5 == pytest.approx(y, abs=0.7)
    assert np.nanmean(depth[labels == 1]) == pytest.approx(away, abs=0.2)


def test_the_pose_is_a_rotation_to_full_precision():
    scene, camera = set_up(50, "AUTO", 36, 24, 0, 0, 1, 1, (96, 64))
    rotation = np.array(camera_json(scene, camera)["world_from_camera"])[:3, :3]
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-6)


def test_lengths_are_sent_in_metres():
    scene, camera = set_up(50, "AUTO", 36, 24, 0, 0, 1, 1, (96, 64))
    metres = np.array(camera_json(scene, camera)["world_from_camera"])
    scene.unit_settings.scale_length = 0.01
    centimetres = np.array(camera_json(scene, camera)["world_from_camera"])
    assert centimetres[:3, 3] == pytest.approx(metres[:3, 3] * 0.01)
    assert centimetres[:3, :3] == pytest.approx(metres[:3, :3])


def test_a_render_border_does_not_change_the_camera():
    scene, camera = set_up(50, "AUTO", 36, 24, 0, 0, 1, 1, (96, 64))
    whole = camera_json(scene, camera)
    scene.render.use_border = scene.render.use_crop_to_border = True
    scene.render.border_max_x = 0.5
    assert camera_json(scene, camera) == whole


def test_constraints_and_animation_count():
    scene = bpy.context.scene
    constraint = scene.camera.constraints.new("LIMIT_LOCATION")
    constraint.use_max_z, constraint.max_z = True, 1.0
    _, camera = set_up(50, "AUTO", 36, 24, 0, 0, 1, 1, (96, 64))
    assert camera_json(scene, camera)["world_from_camera"][2][3] == pytest.approx(1.0)


@pytest.mark.parametrize(("kind", "word"), [("ORTHO", "orthographic"), ("PANO", "panoramic")])
def test_a_camera_without_perspective_is_refused_with_what_to_switch(kind, word):
    scene = bpy.context.scene
    scene.camera.data.type = kind
    with pytest.raises(CaptureError, match=word) as caught:
        camera_json(scene, scene.camera)
    assert "Perspective" in caught.value.hint


def test_a_mirrored_a_sheared_and_a_vanished_camera_are_refused():
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    shear = Matrix.Identity(4)
    shear[0][1] = 0.5
    for matrix, word in (
        (Matrix.Diagonal((-1, 1, 1, 1)), "mirrored"),
        (shear, "sheared"),
        (Matrix.Diagonal((0, 1, 1, 1)), "nothing"),
    ):
        stand_in = type("Camera", (), {"data": camera.data, "name": "Camera", "matrix_world": matrix})
        with pytest.raises(CaptureError, match=word) as caught:
            camera_json(scene, stand_in)
        assert caught.value.hint
