"""Photographs that are stored turned: Blender shows them as stored, the backend turns them upright, and boxes, cameras
and label images go along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

from blender_addon.capture import orientation
from blender_addon.capture.image_capture import capture_image
from blender_addon.ground.messages import SetDresserError
from blender_addon.settings.boxes import Box
from blender_addon.ui.operators import boxes as box_operators
from blender_addon.ui.operators import generate
from tests.blender_addon.catalogue import take_preparations
from tests.blender_addon.small_room import read
from tests.blender_addon.test_panels import PREPARATIONS
from tests.blender_addon.turned_photos import BOX, SIZE, write_turned_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_turned_photos(tmp_path_factory.mktemp("photos"))


@pytest.mark.parametrize("number", range(1, 9))
def test_a_box_drawn_on_what_blender_shows_covers_the_object_in_what_is_sent(
    addon: Any, photos: Path, number: int
) -> None:
    take_preparations(PREPARATIONS)
    settings = bpy.context.scene.set_dresser
    settings.source, settings.image_path, settings.labels = "FILE", str(photos / f"{number}.jpg"), "FIND"
    assert tuple(box_operators.picture(settings).size) == SIZE, "Blender shows it as it is stored"
    box_operators.add(settings, Box(**BOX))
    (sent,) = generate.prepared(bpy.context.scene)["segment"]["boxes"]
    seen = json.loads((photos / "told.json").read_text())[f"{number}.jpg"]
    del seen["size"]
    assert sent == {**seen, "name": "Object 1"}


@pytest.mark.parametrize("number", [1, 3, 6, 8])
def test_a_rolled_camera_sees_each_point_where_the_turned_picture_has_it(number: int) -> None:
    eye = Matrix.LocRotScale((1, -8, 2), Euler((1.3, 0.2, -0.4)), None)
    pose = [list(row) for row in eye]
    camera = {"fx": 50.0, "fy": 55.0, "cx": 20.0, "cy": 21.0, "width": 48, "height": 36, "world_from_camera": pose}
    turned = orientation.upright_camera(number, camera)
    assert (turned["width"], turned["height"]) == orientation.upright_size(number, *SIZE)
    assert Matrix(turned["world_from_camera"]).to_3x3().determinant() == pytest.approx(1)
    for point in ((3, 4), (40, 30), (17, 2)):
        elsewhere = orientation.upright_point(number, SIZE, *point)
        assert ray(turned, elsewhere) == pytest.approx(ray(camera, point))


def ray(camera: dict[str, Any], point: tuple[float, float]) -> tuple[float, ...]:
    """The direction in the world in which a camera of the contract sees a point of its picture."""
    x, y = (point[0] - camera["cx"]) / camera["fx"], (camera["cy"] - point[1]) / camera["fy"]
    return tuple(Matrix(camera["world_from_camera"]).to_3x3() @ Vector((x, y, -1)))


def test_a_matched_photograph_gives_its_prop_where_blender_shows_the_object(addon: Any, photos: Path) -> None:
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    for number in (1, 3, 6):
        job = addon.generate(source=photos / f"{number}.jpg", match_camera=True, wait=True)
        (prop,) = job.objects
        points = [world_to_camera_view(scene, scene.camera, prop.matrix_world @ v.co) for v in prop.data.vertices]
        across, down = [point.x * SIZE[0] for point in points], [(1 - point.y) * SIZE[1] for point in points]
        seen = min(across), min(down), max(across), max(down)
        assert seen == pytest.approx(tuple(BOX.values()), abs=1.2), number


@pytest.mark.parametrize("number", orientation.MIRRORED)
def test_a_mirrored_photograph_cannot_be_matched_and_says_so(addon: Any, photos: Path, number: int) -> None:
    with pytest.raises(SetDresserError, match="stored mirrored") as caught:
        addon.generate(source=photos / f"{number}.jpg", match_camera=True)
    assert "upright" in caught.value.hint


@pytest.mark.parametrize("packed", [False, True])
def test_an_image_of_the_blend_file_goes_as_blender_shows_it_and_is_not_turned(
    photos: Path, tmp_path: Path, packed: bool
) -> None:
    image = bpy.data.images.load(str(photos / "6.png"))
    if packed:
        image.pack()
    shot = capture_image(image, tmp_path, labels=image)
    for file in (shot.image, shot.instances):
        assert orientation.of_file(file) == orientation.UPRIGHT
        pixels = read(file)
        assert pixels.shape[:2] == (36, 48)
        assert pixels[10, 10, 0] > 2 * pixels[10, 10, 1], "red where Blender shows it"
