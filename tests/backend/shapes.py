"""Meshes of known size for tests."""

from __future__ import annotations

import numpy as np
import trimesh

from backend.scene import Mesh, Prop


def ball(radius: float = 1.0, subdivisions: int = 3, seam: bool = True) -> Mesh:
    """A textured ball standing on the origin: the front half shows the left of the texture, the back half the right."""
    sphere = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = np.array(sphere.vertices) * radius + (0, 0, radius)
    faces = np.array(sphere.faces, dtype=np.int64)
    uv = np.array(sphere.vertices)[:, [0, 2]] * (0.24, -0.48) + (0.25, 0.5)
    texture = np.zeros((32, 64, 3), dtype=np.uint8)
    texture[:, :32], texture[:, 32:] = (220, 40, 40), (40, 40, 220)
    if not seam:
        return Mesh(vertices, faces, uv=uv, texture=texture)
    corner_uv = uv[faces]
    corner_uv[vertices[faces].mean(axis=1)[:, 1] > 0] += (0.5, 0)
    return Mesh(vertices, faces, corner_uv=corner_uv, texture=texture)


def standing(
    mesh: Mesh, instance: int = 1, name: str = "", at: tuple[float, float, float] = (0, 0, 0), turn: float = 0
) -> Prop:
    """A prop at a place in the world, turned about the vertical by radians."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    matrix[:3, 3] = at
    return Prop(instance, name, mesh, matrix, placement="ground")
