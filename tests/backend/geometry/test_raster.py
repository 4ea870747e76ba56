"""The z-buffer against two other ways to draw the same things."""

from __future__ import annotations

import math

import numpy as np
import trimesh
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.raster import Lens, View, render
from backend.geometry.silhouette import mask_iou, silhouette
from backend.registration.pose import picture_from_world
from backend.scene import Mesh
from bench.generated_scenes import make_case
from tests.backend.ray_caster import Solid, cast, look

Floats = NDArray[np.float64]

SOLIDS = [
    Solid("box", (0.8, 0.5, 0.6), (-0.5, 3.0, 0.3), 0.4),
    Solid("box", (0.3, 1.2, 1.0), (0.5, 3.9, 0.5), -0.3),
    Solid("cylinder", (0.4, 0.4, 0.7), (0.2, 2.6, 0.35)),
]


def solid_mesh(solid: Solid) -> Mesh:
    if solid.kind == "box":
        raw = trimesh.creation.box((1.0, 1.0, 1.0))
    else:
        raw = trimesh.creation.cylinder(0.5, 1.0, sections=128)
    vertices = np.array(raw.vertices) * solid.size @ solid.turn.T + solid.centre
    return Mesh(vertices, np.array(raw.faces, dtype=np.int64))


def drawn(meshes: list[Mesh], camera: Camera, one_sided: bool, longest: int = 4096) -> View:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    points = np.concatenate([mesh.vertices for mesh in meshes]) - camera.position
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)])
    labels = np.repeat(np.arange(len(meshes)) + 1, [len(mesh.faces) for mesh in meshes])
    sided = np.full(len(faces), one_sided)
    return render(points @ picture_from_world(camera).T, faces, labels, sided, Lens.of(camera, longest))


def test_labels_and_depth_are_those_of_a_ray_caster() -> None:
    camera = look((0.1, 0.0, 1.4), 0.3, 0.05, 35, 300)
    labels, depth = cast(SOLIDS, camera)
    for one_sided in (False, True):
        view = drawn([solid_mesh(solid) for solid in SOLIDS], camera, one_sided)
        assert np.mean(view.labels == labels) > 0.999
        both = (view.labels == labels) & (labels > 0)
        assert np.abs(view.depth[both] - depth[both]).max() < 0.02
        assert np.median(np.abs(view.depth[both] - depth[both])) < 1e-4
        assert np.isinf(view.depth[view.labels == 0]).all()


def test_the_outline_is_the_silhouette() -> None:
    for seed in range(4):
        case = make_case(seed)
        meshes = list(case.world.values())
        view = drawn(meshes, case.camera, one_sided=False)
        together = np.zeros_like(view.labels, dtype=bool)
        for mesh in meshes:
            together |= silhouette(mesh.vertices, mesh.faces, case.camera)
        assert mask_iou(view.labels > 0, together) > 0.999


def test_what_lies_behind_the_camera_is_not_drawn() -> None:
    camera = look((0.0, 0.0, 1.4), 0.0, math.pi, 35, 64)
    assert not drawn([solid_mesh(solid) for solid in SOLIDS], camera, one_sided=False).labels.any()


def test_a_smaller_picture_shows_the_same_things() -> None:
    camera = look((0.1, 0.0, 1.4), 0.3, 0.05, 35, 300)
    meshes = [solid_mesh(solid) for solid in SOLIDS]
    small, large = drawn(meshes, camera, True, 100), drawn(meshes, camera, True)
    assert small.labels.shape == (100, 100)
    assert np.array_equal(small.labels, large.labels[1::3, 1::3])
