"""Sets made of photographs without a camera: as high as they are told to be, and all of it before the camera."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from blender_addon.capture import photo_files
from blender_addon.ground.messages import SetDresserError
from blender_addon.props import photo_places
from tests.blender_addon.glb import Node
from tests.blender_addon.test_importer import bring

ASSUMED = {"camera_source": "default"}
CHAIR = [Node(1, "Chair", (0.2, 1.9, 0.0), 0.3, (1.0, 0.9, 2.07))]
SET = [
    *CHAIR,
    Node(2, "Lamp", (-1.6, 3.0, 0.0), 0.0, (0.4, 0.4, 1.1)),
    Node(3, "Rug", (0.8, 4.5, 0.0), 0.0, (3, 2, 0.1)),
]


pointer = pytest.mark.usefixtures("relation")
"""From prop to block-out, as the registered add-on has it."""


def look(height: float, pitch: float, lens: float = 50.0, turn: float = 130.0) -> Any:
    camera = bpy.context.scene.camera
    camera.location = (5.0, -3.0, height)
    camera.rotation_euler = (math.radians(90 + pitch), 0.0, math.radians(turn))
    camera.data.lens = lens
    bpy.context.view_layer.update()
    return camera


def seen(props: list[Any]) -> np.ndarray:
    """Where all corners of the props are in the frame: across, up, and how far ahead."""
    scene = bpy.context.scene
    corners = [prop.matrix_world @ Vector(corner) for prop in props for corner in prop.bound_box]
    return np.array([world_to_camera_view(scene, scene.camera, corner) for corner in corners])


def inside(props: list[Any]) -> bool:
    found = seen(props)
    return bool(((found[:, :2] >= 0) & (found[:, :2] <= 1)).all() and (found[:, 2] > 0).all())


def top(props: list[Any]) -> float:
    return max(prop.dimensions.z for prop in props)


@pytest.mark.parametrize("place_at", [photo_places.FLOOR, photo_places.PICTURE])
@pytest.mark.parametrize("wished", [0.0, 0.9, 3.0])
@pytest.mark.parametrize("nodes", [CHAIR, SET], ids=["chair", "set"])
@pytest.mark.parametrize(
    ("height", "pitch", "lens"), [(1.6, -12, 50), (1.0, 0, 35), (1.6, 0, 85), (4.0, -35, 50), (2.0, -8, 24)]
)
@pointer
def test_all_of_a_set_is_seen_upright_and_as_high_as_it_was_wished(
    tmp_path: Path, height: float, pitch: float, lens: float, nodes: list[Node], wished: float, place_at: str
) -> None:
    look(height, pitch, lens)
    props = bring(tmp_path, nodes, fields=ASSUMED, height=wished, place_at=place_at)
    assert inside(props)
    if wished:
        assert top(props) == pytest.approx(wished, rel=1e-4)
    assert all(tuple(prop.scale) == (1, 1, 1) for prop in props), "the size is the mesh's own"
    assert all(prop.rotation_euler.x == prop.rotation_euler.y == 0 for prop in props), "it stays upright"
    ground = [prop.location.z for prop in props]
    assert ground == pytest.approx([ground[0]] * len(props), abs=1e-4), "one ground for all"
    from_above = pitch == -35 and wished == 3.0  # what is that high is never seen whole on the floor from so near
    if place_at == photo_places.FLOOR and not from_above:
        assert ground[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("height", "pitch"), [(12.0, -90), (1.6, 40), (0.2, 30), (9.0, -75)])
@pointer
def test_a_camera_that_hardly_sees_a_floor_sees_the_set_all_the_same(
    tmp_path: Path, height: float, pitch: float
) -> None:
    look(height, pitch)
    assert inside(bring(tmp_path, SET, fields=ASSUMED))


@pointer
def test_an_orthographic_camera_sees_it_too(tmp_path: Path) -> None:
    camera = look(2.0, -15)
    camera.data.type, camera.data.ortho_scale = "ORTHO", 1.5
    assert inside(bring(tmp_path, CHAIR, fields=ASSUMED))


@pointer
def test_at_the_cursor_the_set_stands_with_its_middle_there_whatever_the_camera_sees(tmp_path: Path) -> None:
    camera = look(1.6, -12)
    bpy.context.scene.cursor.location = (10, 20, 3)
    for active in (camera, None):
        bpy.context.scene.camera = active
        (chair,) = bring(tmp_path, CHAIR, fields=ASSUMED, height=0.9, place_at=photo_places.CURSOR)
        corners = np.array([chair.matrix_world @ Vector(corner) for corner in chair.bound_box])
        middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
        assert [*middle[:2], corners[:, 2].min()] == pytest.approx([10, 20, 3], abs=2e-2)
        assert chair.dimensions.z == pytest.approx(0.9, rel=1e-4)


@pointer
def test_where_the_picture_says_is_where_the_picture_has_it(tmp_path: Path) -> None:
    look(1.6, -12)
    from_left = [Node(1, "Vase", (-0.9, 4.0, 0.6), 0.0, (0.3, 0.3, 0.5))]
    camera = {"fx": 686.0, "fy": 686.0, "cx": 320.0, "cy": 240.0, "width": 640, "height": 480}
    pose = np.eye(4)
    tilt = math.radians(78)
    pose[:3, 1], pose[:3, 2] = (0, math.cos(tilt), math.sin(tilt)), (0, -math.sin(tilt), math.cos(tilt))
    pose[2, 3] = 1.6
    camera["world_from_camera"] = pose.tolist()
    props = bring(tmp_path, from_left, fields={**ASSUMED, "camera": camera}, place_at=photo_places.PICTURE)
    local = np.linalg.inv(pose) @ (-0.9, 4.0, 0.85, 1)
    wanted = (320 + 686 * local[0] / -local[2]) / 640, 1 - (240 - 686 * local[1] / -local[2]) / 480
    middle = seen(props)[:, :2].mean(axis=0)
    assert tuple(middle) == pytest.approx(wanted, abs=0.02)


def test_a_render_of_another_shape_is_noticed_and_matched(addon: Any, picture: Path) -> None:
    scene = bpy.context.scene
    settings = scene.set_dresser
    settings.source, settings.image_path = "FILE", str(picture)
    assert photo_files.size(settings) == (64, 48)
    scene.render.resolution_x, scene.render.resolution_y = 1920, 1080
    assert photo_places.shapes_differ((64, 48), scene.render)
    bpy.ops.set_dresser.match_render_size()
    assert (scene.render.resolution_x, scene.render.resolution_y) == (1920, 1440)
    assert not photo_places.shapes_differ((64, 48), scene.render)
    settings.image_path = "/nowhere.png"
    with pytest.raises(RuntimeError, match="no picture"):
        bpy.ops.set_dresser.match_render_size()


def test_height_and_place_of_a_script_are_metres_and_words(addon: Any, picture: Path) -> None:
    scene = bpy.context.scene
    scene.unit_settings.scale_length = 0.01
    look(160.0, -12)
    job = addon.generate(source=picture, height=0.5, place_at="floor", wait=True)
    (prop,) = job.objects
    assert prop.dimensions.z == pytest.approx(50.0, rel=1e-3) and inside([prop])
    for wrong in ({"height": -1}, {"height": math.nan}, {"place_at": "moon"}):
        with pytest.raises(SetDresserError, match=r"height|moon"):
            addon.generate(source=picture, **wrong)
