"""A piece of furniture as it is put together, and as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from training.objects.invented.chance import Chance
from training.objects.invented.materials import Material
from training.objects.invented.shapes import Array, Shape

SHARP = 0.72
"""Cosine of the angle between a face and its corner's mean direction below which an edge is seen as one."""


class Piece:
    """Parts with their materials. z is up, the front is towards −y, lengths are metres."""

    def __init__(self) -> None:
        self.parts: list[tuple[Shape, Material]] = []

    def add(self, material: Material, *shapes: Shape) -> None:
        self.parts += [(shape, material) for shape in shapes]

    def both(self, material: Material, *shapes: Shape) -> None:
        """Left and right: as it is, and mirrored in x."""
        for shape in shapes:
            self.add(material, shape, shape.mirrored())

    def four(self, material: Material, shape: Shape) -> None:
        """At four corners: mirrored in x and in y."""
        self.both(material, shape, shape.mirrored().turned("z", 180))

    def take(self, other: Piece, change: Callable[[Shape], Shape]) -> None:
        """The parts of another, moved."""
        self.parts += [(change(shape), material) for shape, material in other.parts]

    def bounds(self) -> Array:
        """`[2, 3]`: lowest and highest corner of its box."""
        points = np.concatenate([shape.vertices for shape, _ in self.parts])
        return np.stack([points.min(0), points.max(0)])

    def settled(self) -> Piece:
        """On z = 0, in the middle of x and y."""
        low, high = self.bounds()
        x, y, _ = -(low + high) / 2
        settled = Piece()
        settled.take(self, lambda shape: shape.at(float(x), float(y), float(-low[2])))
        return settled

    def glb(self, chance: Chance) -> bytes:
        """As a file with y up that looks along +z, a mesh for each material. Chance: where pictures begin."""
        materials = {id(material): material for _, material in self.parts}
        scene: Any = trimesh.Scene()
        for number, material in enumerate(materials.values()):
            meshes = [_corners(shape, material.span, chance) for shape, made in self.parts if made is material]
            counts = np.cumsum([0, *(len(points) for points, _, _, _ in meshes)])
            points, normals, places = (np.concatenate([each[part] for each in meshes]) for part in (0, 1, 2))
            faces = np.concatenate([each[3] + start for each, start in zip(meshes, counts, strict=False)])
            look = PBRMaterial(  # type: ignore[no-untyped-call]
                baseColorTexture=Image.fromarray(material.picture),
                baseColorFactor=[255, 255, 255, 255],
                metallicFactor=material.metallic,
                roughnessFactor=material.roughness,
                doubleSided=True,
            )
            mesh: Any = trimesh.Trimesh(
                _to_file(points),
                faces,
                vertex_normals=_to_file(normals),
                process=False,
                validate=False,
                visual=TextureVisuals(uv=places, material=look),  # type: ignore[no-untyped-call]
            )
            scene.add_geometry(mesh, geom_name=f"part-{number}")
        return bytes(scene.export(file_type="glb", include_normals=True))


def _to_file(points: Array) -> Array:
    return np.asarray(points[:, [0, 2, 1]] * np.array([1, 1, -1.0]))


def _corners(shape: Shape, span: float, chance: Chance) -> tuple[Array, Array, Array, Any]:
    """Points, directions and places in the picture `[N, 3]`, `[N, 3]`, `[N, 2]`, and faces, of a shape whose picture
    is laid on along the axis that each face looks along, its grain along the longer side."""
    corners = shape.vertices[shape.faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = area / np.linalg.norm(area, axis=1, keepdims=True).clip(1e-15)
    mean = np.zeros_like(shape.vertices)
    for corner in range(3):
        np.add.at(mean, shape.faces[:, corner], area)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True).clip(1e-15)
    # Where a corner's directions differ much each face keeps its own.
    sharp = ((mean[shape.faces] * flat[:, None]).sum(2) < SHARP).ravel()
    axis = np.abs(flat).argmax(1).repeat(3)
    vertex, face = shape.faces.ravel(), np.arange(len(flat)).repeat(3)
    key = np.where(sharp, 3 * len(shape.vertices) + 3 * face + np.tile(np.arange(3), len(flat)), 3 * vertex + axis)
    _, first, index = np.unique(key, return_index=True, return_inverse=True)
    points = shape.vertices[vertex[first]]
    normals = np.where(sharp[first, None], flat[face[first]], mean[vertex[first]])
    extent = np.ptp(shape.vertices, axis=0)
    over = np.array([sorted({0, 1, 2} - {each}, key=lambda side: -extent[side]) for each in range(3)])[axis[first]]
    places = np.take_along_axis(points, over, 1) / span + chance.generator.random(2)
    return points, normals, places, index.reshape(-1, 3)
