"""Reads the GLB of a method with a frame of its own: which objects there are, z up."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from backend.contract import Warning
from backend.errors import Problem
from backend.scene import Mesh

MAGIC = b"glTF"
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""glTF's axes (y up) to the world's: (x, y, z) becomes (x, -z, y)."""


@dataclass(frozen=True)
class RawObject:
    """One object: its node's name, the instance it says to be (`extras.instance_id`), its mesh in the scene's frame."""

    name: str
    instance: int | None
    mesh: Mesh


def read_scene(data: bytes) -> tuple[list[RawObject], list[Warning]]:
    """The objects of a GLB, in the order of their nodes, and a warning for whatever could not be kept.

    An object is everything under one node with `extras.instance_id`; nodes that say the same instance are one object.
    Without such an id every node with a mesh is one.

    Raises:
        Problem: "scene-unreadable".
    """
    if not data.startswith(MAGIC):
        raise Problem("scene-unreadable", "The scene is not a glTF binary (.glb) file.")
    try:
        scene = trimesh.load(io.BytesIO(data), file_type="glb", process=False, force="scene")
        parts = _parts(scene)
    except Exception as error:
        # The reader meets damaged files with many kinds of errors.
        raise Problem("scene-unreadable", f"The scene is damaged or incomplete ({error}).") from error
    if not parts:
        raise Problem("scene-unreadable", "The scene has no object with triangles.")
    warnings: list[Warning] = []
    objects = []
    for name, instance, meshes, coloured in parts:
        if coloured or (len(meshes) > 1 and any(mesh.texture is not None for mesh in meshes)):
            message = f"The colours of '{name}' are kept per vertex or in several materials; they are left out."
            warnings.append(Warning(code="colours-dropped", message=message, instance=instance))
        objects.append(RawObject(name, instance, _joined(meshes)))
    return objects, warnings


def _parts(scene: Any) -> list[tuple[str, int | None, list[Mesh], bool]]:
    """Name, instance, meshes and whether one has vertex colours, of each object."""
    parents = scene.graph.transforms.parents
    edges = scene.graph.transforms.edge_data
    found: dict[str | int, tuple[str, int | None, list[Mesh], list[bool]]] = {}
    for node in _in_order(scene):
        matrix, geometry = scene.graph[node]
        surface = scene.geometry[geometry]
        if not isinstance(surface, trimesh.Trimesh) or not len(surface.faces):
            continue
        owner, instance = node, None
        if surface.metadata.get("from_gltf_primitive") and node in parents:
            owner = parents[node]
        above: str | None = node
        while above is not None and instance is None:
            extras = edges.get((parents.get(above), above), {}).get("metadata") or {}
            number = extras.get("instance_id")
            if isinstance(number, int | float) and not isinstance(number, bool) and number == int(number) > 0:
                owner, instance = above, int(number)
            above = parents.get(above)
        key: str | int = owner if instance is None else instance
        entry = found.setdefault(key, (str(owner), instance, [], []))
        entry[2].append(_mesh(surface, np.asarray(matrix, dtype=np.float64)))
        entry[3].append(getattr(surface.visual, "kind", None) == "vertex")
    return [(name, instance, meshes, any(coloured)) for name, instance, meshes, coloured in found.values()]


def _in_order(scene: Any) -> Iterable[str]:
    """Nodes with geometry, in the file's order."""
    wanted = set(scene.graph.nodes_geometry)
    return [node for node in scene.graph.nodes if node in wanted]


def _mesh(surface: Any, matrix: NDArray[np.float64]) -> Mesh:
    vertices = np.asarray(surface.vertices, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    faces = np.asarray(surface.faces, dtype=np.int64)
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    uv, texture = getattr(surface.visual, "uv", None), None
    material = getattr(surface.visual, "material", None)
    picture = getattr(material, "baseColorTexture", None)
    if uv is not None and isinstance(picture, Image.Image):
        texture = np.asarray(picture.convert("RGB"))
        uv = np.asarray(uv, dtype=np.float64) * (1, -1) + (0, 1)  # counted from the upper corner, as in the file
    return Mesh(vertices @ Z_UP.T, faces, uv=uv if texture is not None else None, texture=texture)


def _joined(meshes: list[Mesh]) -> Mesh:
    """Several parts as one mesh; a single one keeps its texture."""
    if len(meshes) == 1:
        return meshes[0]
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
    )
