"""Cameras round a block-out → server → multiview → a prop that stands on its block-out and looks the same to each."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.small_room import add, camera_at

CENTRE = (3, -2, 1)
QUICK = {"quality": "draft", "resolution": 96, "side": 256, "faces": 8000, "texture_size": 512}


@pytest.fixture
def multiview(monkeypatch: pytest.MonkeyPatch, addon: Any) -> Any:
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return addon


@pytest.fixture
def stool() -> list[Any]:
    """The start-up file's cube as a seat aside of the origin, and a foot below it: one block-out of two objects."""
    seat = bpy.data.objects["Cube"]
    seat.location, seat.scale = (3, -2, 1.7), (1, 0.8, 0.3)
    foot = add("cube", "Foot", size=2, location=(3, -2, 0.7))
    foot.scale = (0.4, 0.5, 0.7)
    bpy.context.view_layer.update()
    return [seat, foot]


def triangles(objects: list[Any]) -> np.ndarray:
    """(T, 3, 3) of objects in the world."""
    found = []
    for each in objects:
        mesh = each.data
        mesh.calc_loop_triangles()
        points = np.array([each.matrix_world @ vertex.co for vertex in mesh.vertices])
        found.append(points[np.array([face.vertices for face in mesh.loop_triangles])])
    return np.concatenate(found)


def mask(camera: dict[str, Any], corners: np.ndarray, width: int = 160) -> np.ndarray:
    """(H, W), which pixels' middles triangles cover, seen by a camera of the contract."""
    factor = width / camera["width"]
    matrix = np.array(camera["world_from_camera"])
    local = (corners - matrix[:3, 3]) @ matrix[:3, :3]
    x = (camera["cx"] + camera["fx"] * local[..., 0] / -local[..., 2]) * factor
    y = (camera["cy"] - camera["fy"] * local[..., 1] / -local[..., 2]) * factor
    covered = np.zeros((round(camera["height"] * factor), width), bool)
    for ax, ay in zip(x, y, strict=True):
        left, right = max(0, int(ax.min())), min(width, int(ax.max()) + 2)
        top, bottom = max(0, int(ay.min())), min(len(covered), int(ay.max()) + 2)
        rows, columns = np.mgrid[top:bottom, left:right] + 0.5
        sides = [
            (ax[(i + 1) % 3] - ax[i]) * (rows - ay[i]) - (ay[(i + 1) % 3] - ay[i]) * (columns - ax[i]) for i in range(3)
        ]
        covered[top:bottom, left:right] |= np.all(np.array(sides) >= 0, 0) | np.all(np.array(sides) <= 0, 0)
    return covered


def overlaps(job: Any, prop: Any, block_out: list[Any]) -> list[float]:
    """Of the outlines of prop and block-out, as each camera of the job sees them."""
    bpy.context.view_layer.update()
    found = []
    for photo in job.result["photos"]:
        own, other = (mask(photo["camera"], triangles(objects)) for objects in ([prop], block_out))
        found.append((own & other).sum() / (own | other).sum())
    return found


def box(corners: np.ndarray) -> np.ndarray:
    """Least and largest coordinates, (2, 3)."""
    return np.stack([corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)])


def cameras(count: int) -> list[Any]:
    return [camera_at(f"View {number}", 20 + 360 * number / count, CENTRE, away=7.0) for number in range(count)]


def test_three_cameras_make_a_prop_that_stands_on_its_block_out(multiview: Any, stool: list[Any]) -> None:
    job = multiview.generate(photos=cameras(3), objects=stool, pipeline="multiview", parameters=QUICK, wait=True)
    (prop,) = job.objects
    assert prop.set_dresser_block_out == stool[0] and stool[0].hide_render
    assert [photo["name"] for photo in job.result["photos"]] == ["View 0", "View 1", "View 2"]
    assert min(overlaps(job, prop, stool)) > 0.95
    corners, truth = box(triangles([prop])), box(triangles(stool))
    middle = (corners.sum(axis=0) - truth.sum(axis=0)) / 2
    assert np.abs(middle).max() < 0.25, "three outlines leave room on the sides that none of them sees"
    assert (corners[0] < truth[0] + 0.1).all() and (corners[1] > truth[1] - 0.1).all()


def test_eight_cameras_see_the_prop_as_they_saw_the_block_out(multiview: Any, stool: list[Any]) -> None:
    """Its outline from each of them, its size, and its colours."""
    red = bpy.data.materials.new("Red")
    red.use_nodes = True
    red.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.8, 0.02, 0.02, 1)
    stool[0].data.materials.clear()
    stool[0].data.materials.append(red)
    job = multiview.generate(photos=cameras(8), objects=stool, pipeline="multiview", parameters=QUICK, wait=True)
    (prop,) = job.objects
    assert min(overlaps(job, prop, stool)) >= 0.95
    assert min(job.result["props"][0]["quality"]["view_ious"]) >= 0.95
    corners, truth = box(triangles([prop])), box(triangles(stool))
    assert np.abs(corners - truth)[:, :2].max() < 0.3, "outlines alone leave as much room beside a flat side"
    (material,) = prop.data.materials
    (image,) = [node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE"]
    pixels = np.array(image.pixels[:]).reshape(-1, 4)[:, :3]
    is_red = pixels[:, 0] > 2 * pixels[:, 1] + 0.02
    assert 0.2 < is_red.mean() < 0.9, "the seat is, and the foot is not"


def test_pictures_without_a_camera_are_refused_with_a_sentence(multiview: Any, stool: list[Any]) -> None:
    image = bpy.data.images.new("Painted", 64, 64)
    with pytest.raises(multiview.SetDresserError, match="camera that took picture 3"):
        multiview.generate(
            photos=[*cameras(2), image], objects=stool, pipeline="multiview", parameters=QUICK, wait=True
        )
