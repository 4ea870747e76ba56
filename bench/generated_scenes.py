"""Furnished scenes made by chance, with their true masks, depth and camera: what scene registration is measured on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import trimesh
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.raster import Lens, render
from backend.registration.pose import picture_from_world
from backend.scene import Mesh
from backend.shot import InstanceMap

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 640, 480
SENSOR = 36.0
"""Millimetres across."""

LEAST_PIXELS = 150
"""An object of which less is seen is put elsewhere."""


@dataclass
class Case:
    """One scene. meshes: as a method would give them, in a frame of their own; truth: (4, 4) world from that frame."""

    meshes: dict[int, Mesh]
    instances: InstanceMap
    camera: Camera
    depth: NDArray[np.float32]
    truth: Floats
    world: dict[int, Mesh] = field(default_factory=dict)
    focal: float = 0.0
    elevation: float = 0.0


def _box(size: tuple[float, float, float], at: tuple[float, float, float]) -> trimesh.Trimesh:
    """A box that stands at `at`, the middle of its underside."""
    return _moved(trimesh.creation.box(size), (at[0], at[1], at[2] + size[2] / 2))


def _moved(part: trimesh.Trimesh, by: tuple[float, float, float]) -> trimesh.Trimesh:
    part.apply_translation(by)
    return part


def _cylinder(
    radius: float, height: float, at: tuple[float, float, float], top: float | None = None
) -> trimesh.Trimesh:
    """A cylinder, or a cone cut off where its radius is `top`, that stands at `at`."""
    outline = [(0, 0), (radius, 0), (radius if top is None else top, height), (0, height)]
    return _moved(trimesh.creation.revolve(outline, sections=24), at)


def _chair(r: np.random.Generator) -> list[trimesh.Trimesh]:
    w, d, seat, back = r.uniform(0.4, 0.55), r.uniform(0.4, 0.55), r.uniform(0.4, 0.5), r.uniform(0.35, 0.6)
    t = 0.045
    parts = [_box((w, d, t), (0, 0, seat))]
    parts += [_box((t, t, seat), (x * (w - t) / 2, y * (d - t) / 2, 0)) for x in (-1, 1) for y in (-1, 1)]
    parts += [_box((w, t, back * 0.6), (0, (d - t) / 2, seat + back * 0.4))]
    parts += [_box((t, t, back), (x * (w - t) / 2, (d - t) / 2, seat)) for x in (-1, 1)]
    if r.random() < 0.5:
        parts.append(_box((t, d, t), ((w - t) / 2, 0, seat + 0.2)))
    return parts


def _desk(r: np.random.Generator) -> list[trimesh.Trimesh]:
    w, d, h, t = r.uniform(0.9, 1.5), r.uniform(0.5, 0.8), r.uniform(0.65, 0.8), 0.05
    parts = [_box((w, d, t), (0, 0, h))]
    parts += [_box((t, t, h), (-(w - t) / 2, y * (d - t) / 2, 0)) for y in (-1, 1)]
    parts.append(_box((0.35, d * 0.9, h * r.uniform(0.6, 1.0)), (w / 2 - 0.18, 0, 0)))
    return parts


def _sofa(r: np.random.Generator) -> list[trimesh.Trimesh]:
    w, d, h = r.uniform(1.3, 2.1), r.uniform(0.75, 0.95), r.uniform(0.35, 0.45)
    parts = [_box((w, d, h), (0, 0, 0)), _box((w, 0.2, 0.4), (0, d / 2 - 0.1, h))]
    parts.append(_box((0.18, d, 0.2), (-w / 2 + 0.09, 0, h)))
    if r.random() < 0.6:
        parts.append(_box((0.7, 0.7, h), (w / 2 - 0.35, -d / 2 - 0.35, 0)))
    return parts


def _lamp(r: np.random.Generator) -> list[trimesh.Trimesh]:
    h, reach = r.uniform(1.2, 1.7), r.uniform(0.25, 0.5)
    return [
        _cylinder(0.16, 0.03, (0, 0, 0)),
        _cylinder(0.025, h, (0, 0, 0)),
        _box((reach, 0.04, 0.04), (reach / 2, 0, h)),
        _cylinder(0.18, 0.22, (reach, 0, h - 0.22), top=0.09),
    ]


def _mug(r: np.random.Generator) -> list[trimesh.Trimesh]:
    radius, h = r.uniform(0.15, 0.3), r.uniform(0.3, 0.6)
    handle = trimesh.creation.torus(h * 0.28, 0.035, major_sections=16, minor_sections=8)
    handle.vertices = handle.vertices[:, [0, 2, 1]] * (1, -1, 1)  # upright
    return [_cylinder(radius, h, (0, 0, 0)), _moved(handle, (radius + h * 0.1, 0, h / 2))]


def _shelf(r: np.random.Generator) -> list[trimesh.Trimesh]:
    w, d, h, t = r.uniform(0.6, 1.0), r.uniform(0.25, 0.4), r.uniform(1.0, 1.7), 0.04
    levels = int(r.integers(3, 5))
    parts = [_box((t, d, h), (x * (w - t) / 2, 0, 0)) for x in (-1, 1)]
    parts += [_box((w, d, t), (0, 0, (h - t) * level / levels)) for level in range(levels + 1)]
    parts.append(_box((w * 0.45, d, h / levels), (-w * 0.25, 0, h * (levels - 1) / levels)))
    return parts


def _corner(r: np.random.Generator) -> list[trimesh.Trimesh]:
    a, b, h = r.uniform(0.6, 1.2), r.uniform(0.5, 0.9), r.uniform(0.3, 0.9)
    return [_box((a, 0.35, h), (0, 0, 0)), _box((0.35, b, h * r.uniform(0.4, 1.0)), (a / 2 - 0.175, b / 2, 0))]


def _pile(r: np.random.Generator) -> list[trimesh.Trimesh]:
    size = r.uniform(0.3, 0.6)
    ball = trimesh.creation.icosphere(subdivisions=2, radius=size * 0.3)
    cone = trimesh.creation.cone(size * 0.25, size * 0.8, sections=20)
    return [
        _box((size, size * 0.7, size), (0, 0, 0)),
        _moved(ball, (size * 0.2, 0, size * 1.28)),
        _moved(cone, (-size * 0.7, size * 0.2, 0)),
    ]


KINDS: tuple[Callable[[np.random.Generator], list[trimesh.Trimesh]], ...] = (
    _chair, _desk, _sofa, _lamp, _mug, _shelf, _corner, _pile,
)  # fmt: skip


def thing(chance: np.random.Generator) -> Mesh:
    """A piece of furniture, standing on the origin."""
    parts = KINDS[int(chance.integers(len(KINDS)))](chance)
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([np.array(part.vertices, dtype=np.float64) for part in parts])
    faces = np.concatenate([np.array(part.faces) + start for part, start in zip(parts, starts, strict=False)])
    vertices *= chance.uniform(0.85, 1.15)
    vertices[:, 2] -= vertices[:, 2].min()
    return Mesh(vertices, faces)


def _turned(mesh: Mesh, yaw: float, at: Floats) -> Mesh:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return Mesh(mesh.vertices @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]]) + at, mesh.faces)


def _apart(mesh: Mesh, others: list[Mesh]) -> bool:
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return all(
        (low > other.vertices.max(axis=0) + 0.02).any() or (high < other.vertices.min(axis=0) - 0.02).any()
        for other in others
    )


def _camera(chance: np.random.Generator, points: Floats) -> tuple[Camera, float, float]:
    """A camera that sees the scene, at 0 to 45 degrees of elevation, with a lens of 24 to 85 millimetres."""
    focal, elevation = float(np.exp(chance.uniform(*np.log((24, 85))))), chance.uniform(0, math.radians(45))
    azimuth = chance.uniform(0, 2 * math.pi)
    back = np.array(
        [math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation), math.sin(elevation)]
    )
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    up = np.cross(back, right)
    pixels = focal / SENSOR * WIDTH
    target = (points.min(axis=0) + points.max(axis=0)) / 2
    local = (points - target) @ np.stack([right, up, back], axis=1)
    fill = chance.uniform(0.75, 0.98)
    needed = [
        np.abs(local[:, axis]) * pixels / (fill * size / 2) + local[:, 2] for axis, size in ((0, WIDTH), (1, HEIGHT))
    ]
    distance = max(float(np.max(needed)), float(local[:, 2].max()) + 0.3)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, up, back], axis=1)
    pose[:3, 3] = target + back * distance
    camera = Camera(
        fx=pixels, fy=pixels, cx=WIDTH / 2, cy=HEIGHT / 2, width=WIDTH, height=HEIGHT,
        world_from_camera=tuple(tuple(float(value) for value in row) for row in pose),  # type: ignore[arg-type]
    )  # fmt: skip
    return camera, focal, math.degrees(elevation)


def see(meshes: dict[int, Mesh], camera: Camera) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Instance labels and planar depth of a scene in the world."""
    lens = Lens.of(camera, max(camera.width, camera.height))
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes.values()])
    points = (np.concatenate([mesh.vertices for mesh in meshes.values()]) - camera.position) @ picture_from_world(
        camera
    ).T
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes.values(), starts, strict=False)])
    labels = np.repeat(list(meshes), [len(mesh.faces) for mesh in meshes.values()])
    view = render(points, faces, labels, np.zeros(len(faces), dtype=bool), lens)
    depth = np.where(np.isfinite(view.depth), view.depth, np.nan).astype(np.float32)
    return view.labels.astype(np.uint16), depth


def make_case(seed: int, count: int | None = None) -> Case:
    """A scene of 2 to 8 objects by chance; the same for the same seed."""
    chance = np.random.default_rng(seed)
    count = count or int(chance.integers(2, 9))
    while True:
        case = _attempt(chance, count)
        if case is not None:
            return case


def _attempt(chance: np.random.Generator, count: int) -> Case | None:
    room = 0.75 * math.sqrt(count)
    placed: list[Mesh] = []
    for _ in range(200):
        at = np.array([chance.uniform(-room, room), chance.uniform(-room, room), 0.0])
        mesh = _turned(thing(chance), chance.uniform(0, 2 * math.pi), at)
        if _apart(mesh, placed):
            placed.append(mesh)
        if len(placed) == count:
            break
    world = dict(enumerate(placed, start=1))
    camera, focal, elevation = _camera(chance, np.concatenate([mesh.vertices for mesh in placed]))
    labels, depth = see(world, camera)
    if np.bincount(labels.reshape(-1), minlength=count + 1)[1:].min() < LEAST_PIXELS:
        return None
    scale, yaw = chance.uniform(0.2, 3.0), chance.uniform(0, 2 * math.pi)
    truth = np.eye(4)
    cos, sin = math.cos(yaw), math.sin(yaw)
    truth[:3, :3] = scale * np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    truth[:3, 3] = chance.uniform(-3, 3, 3)
    inverse = np.linalg.inv(truth)
    meshes = {
        number: Mesh(mesh.vertices @ inverse[:3, :3].T + inverse[:3, 3], mesh.faces) for number, mesh in world.items()
    }
    instances = InstanceMap(labels, {number: f"thing {number}" for number in world})
    return Case(meshes, instances, camera, depth, truth, world, focal, elevation)
