"""Reads the GLB of a method with a frame of its own: which objects there are, z up."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from backend.contract import Warning
from backend.geometry.glb_arrays import floats, triangles
from backend.geometry.glb_claims import GREATEST, Glb, PlacedMesh, damaged, open_glb, refuse
from backend.registration.raw_materials import Looks, colours_of, uv_of
from backend.scene import Mesh

Floats = NDArray[np.float64]

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""glTF's axes (y up) to the world's: (x, y, z) becomes (x, -z, y)."""

LONGEST_NAME = 200

MOST_UNNAMED = 64
"""Objects that say of themselves which instance they are can be many; the others are all tried on all masks."""


@dataclass(frozen=True)
class RawObject:
    """One object: its node's name, the instance it says to be (`extras.instance_id`), its mesh in the scene's frame."""

    name: str
    instance: int | None
    mesh: Mesh


@dataclass
class _Parts:
    """What lies under one object's node."""

    name: str
    instance: int | None
    meshes: list[Mesh] = field(default_factory=list)
    dropped: dict[str, None] = field(default_factory=dict)


def read_scene(data: bytes) -> tuple[list[RawObject], list[Warning]]:
    """The objects of a GLB, in the order of their nodes, and a warning for whatever could not be kept.

    An object is everything under one node with `extras.instance_id`; nodes that say the same instance are one object.
    Without such an id every node with a mesh is one.

    Raises:
        Problem: "scene-unreadable".
    """
    glb = open_glb(data)
    looks = Looks(glb)
    read: dict[int, tuple[list[Mesh], list[str]]] = {}
    found: dict[tuple[bool, int], _Parts] = {}
    for item in glb.placed:
        if item.mesh not in read:
            read[item.mesh] = _surfaces(glb, item.mesh, looks)
        meshes, dropped = read[item.mesh]
        key = (False, item.owner) if item.instance is None else (True, item.instance)
        parts = found.setdefault(key, _Parts(_name(glb, item), item.instance))
        parts.meshes += [_placed(mesh, item.matrix) for mesh in meshes]
        parts.dropped |= dict.fromkeys(dropped)
    objects, warnings = [], []
    for parts in found.values():
        if not parts.meshes:
            continue
        mesh = _joined(parts)
        objects.append(RawObject(parts.name, parts.instance, mesh))
        if parts.dropped:
            message = f"Left out of '{parts.name}': {', '.join(parts.dropped)}."
            warnings.append(Warning(code="colours-dropped", message=message, instance=parts.instance))
    if not objects:
        refuse("The scene has no object with triangles")
    if len(objects) > MOST_UNNAMED and all(item.instance is None for item in objects):
        refuse(
            f"The scene has {len(objects)} objects and does not say which instances they are; "
            f"without that, {MOST_UNNAMED} are the limit",
            "Give each node its instance as extras.instance_id.",
        )
    return objects, warnings


def _name(glb: Glb, item: PlacedMesh) -> str:
    given = [glb.document.nodes[item.owner].name, glb.document.meshes[item.mesh].name]
    for name in given:
        if isinstance(name, str) and (clean := re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", name).strip()):
            return clean[:LONGEST_NAME]
    return f"Object {item.owner}"


def _surfaces(glb: Glb, index: int, looks: Looks) -> tuple[list[Mesh], list[str]]:
    """The parts of a mesh that are surfaces, in its own frame, y up; and what of their looks is left out."""
    meshes: list[Mesh] = []
    dropped: list[str] = []
    for primitive in glb.document.meshes[index].primitives:
        if primitive.mode < 4 or "POSITION" not in primitive.attributes:
            continue
        vertices = floats(glb, primitive.attributes["POSITION"])
        if vertices.shape[1] != 3:
            damaged(f"mesh {index} has points with {vertices.shape[1]} coordinates")
        faces = triangles(glb, primitive, len(vertices))
        if not len(faces):
            continue
        look = looks.of(primitive)
        dropped += look.dropped
        uv = uv_of(glb, primitive, look, len(vertices))
        colours, own = colours_of(glb, primitive, look, len(vertices))
        if look.texture is not None:
            if own:
                dropped.append("the colours per vertex")
            if uv is None:
                dropped.append("a texture without places on the surface")
        if uv is None:
            meshes.append(Mesh(vertices, faces, colours=colours))
        else:
            meshes.append(Mesh(vertices, faces, uv=uv, texture=look.texture, alpha_cutoff=look.cutoff))
    return meshes, dropped


def _placed(mesh: Mesh, matrix: Floats) -> Mesh:
    """A mesh in the scene's frame, z up, its outside outside."""
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = (mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3]) @ Z_UP.T
    if not np.isfinite(vertices).all() or np.abs(vertices).max() > GREATEST:
        damaged("points of it lie beyond all bounds")
    faces = mesh.faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else mesh.faces
    return Mesh(vertices, faces, mesh.uv, None, mesh.texture, mesh.colours, mesh.alpha_cutoff)


def _joined(parts: _Parts) -> Mesh:
    """Several parts as one mesh: a texture that all share stays, and so do colours where none has a texture."""
    meshes = parts.meshes
    if len(meshes) == 1:
        return meshes[0]
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    joined = Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]),
    )
    first = meshes[0]
    if all(mesh.texture is first.texture and mesh.alpha_cutoff == first.alpha_cutoff for mesh in meshes):
        if first.texture is not None:
            joined.uv = np.concatenate([mesh.uv for mesh in meshes if mesh.uv is not None])
            joined.texture, joined.alpha_cutoff = first.texture, first.alpha_cutoff
        elif any(mesh.colours is not None for mesh in meshes):
            grey = [np.full((len(mesh.vertices), 3), UNCOLOURED, dtype=np.uint8) for mesh in meshes]
            joined.colours = np.concatenate(
                [plain if mesh.colours is None else mesh.colours for mesh, plain in zip(meshes, grey, strict=True)]
            )
    else:
        parts.dropped["the colours of its several materials"] = None
    return joined


UNCOLOURED = 203
"""sRGB of the grey in which a mesh without colours is written (`geometry.gltf.UNTEXTURED`)."""
