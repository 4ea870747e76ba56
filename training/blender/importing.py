"""Model files → meshes in world coordinates, whatever the file held: hierarchies, instances, modifiers, curves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
from bpy.types import Material, Mesh, Object
from mathutils import Matrix

SURFACES = {"MESH", "CURVE", "SURFACE", "META", "FONT"}


class Broken(Exception):
    """The model cannot be used; the sentence says why."""


def _operator(module: str, name: str, **settings: object) -> Callable[[str], None]:
    def load(file: str) -> None:
        getattr(getattr(bpy.ops, module), name)(filepath=file, **settings)

    return load


def _append(file: str) -> None:
    """The objects of the scenes of a .blend file. What is in no scene was not meant to be seen."""
    with bpy.data.libraries.load(file) as (found, wanted):
        wanted.scenes = found.scenes
    seen: set[Object] = set()
    for scene in wanted.scenes:
        seen.update(scene.objects)
    for each in seen:
        bpy.context.scene.collection.objects.link(each)


USD = _operator("wm", "usd_import")
GLTF = _operator("import_scene", "gltf")
IMPORTERS: dict[str, Callable[[str], None]] = {
    ".abc": _operator("wm", "alembic_import", as_background_job=False),
    ".blend": _append,
    ".fbx": _operator("import_scene", "fbx"),
    ".glb": GLTF,
    ".gltf": GLTF,
    ".obj": _operator("wm", "obj_import"),
    ".ply": _operator("wm", "ply_import"),
    ".stl": _operator("wm", "stl_import"),
    ".usd": USD,
    ".usda": USD,
    ".usdc": USD,
    ".usdz": USD,
}


def load(file: Path) -> list[Object]:
    """Everything in a file that has a surface, as mesh objects whose own matrices are the identity.

    Blender's axes: z up. The file's own lights and cameras are not kept.

    Raises:
        Broken: the file cannot be read, or there is no surface in it.
    """
    importer = IMPORTERS.get(file.suffix.lower())
    if importer is None:
        raise Broken(f"{file.suffix or 'A file without a suffix'} is none of {', '.join(sorted(IMPORTERS))}.")
    try:
        importer(str(file))
    except (RuntimeError, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        # Importers in Python fall over bad files in their own ways; those in C say RuntimeError.
        lines = [line.strip() for line in str(error).splitlines()]
        lines = [line for line in lines if line and not line.startswith("Location:")]
        told = [line for line in lines if line.startswith("Error:") and "Traceback" not in line] or lines[-1:]
        raise Broken(f"Blender cannot read it: {told[0] if told else type(error).__name__}") from error
    meshes = _evaluated()
    for each in list(bpy.data.objects):
        bpy.data.objects.remove(each)
    objects = []
    for mesh in meshes:
        placed = bpy.data.objects.new(mesh.name, mesh)
        bpy.context.scene.collection.objects.link(placed)
        objects.append(placed)
    if not objects:
        raise Broken("There is no surface in it.")
    return objects


def _evaluated() -> list[Mesh]:
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    meshes: list[Mesh] = []
    for instance in depsgraph.object_instances:
        thing = instance.object
        if thing.type not in SURFACES or thing.hide_render:
            continue
        place = instance.matrix_world.copy()
        mesh = bpy.data.meshes.new_from_object(thing, preserve_all_data_layers=True, depsgraph=depsgraph)
        if not len(mesh.polygons):
            bpy.data.meshes.remove(mesh)
            continue
        for index, slot in enumerate(thing.material_slots):
            if slot.link == "OBJECT" and index < len(mesh.materials):
                mesh.materials[index] = slot.material.original if slot.material else None
        mesh.transform(place)
        if place.determinant() < 0:
            mesh.flip_normals()
        meshes.append(mesh)
    return meshes


def triangles(objects: list[Object]) -> np.ndarray:
    """[T, 3, 3] float32: the corners of every triangle, in the world.

    Raises:
        Broken: a coordinate is not finite.
    """
    parts = []
    for each in objects:
        mesh = each.data
        mesh.calc_loop_triangles()
        points = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", points)
        corners = np.empty(len(mesh.loop_triangles) * 3, np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
        parts.append(points.reshape(-1, 3)[corners].reshape(-1, 3, 3))
    found = np.concatenate(parts)
    if not np.isfinite(found).all():
        raise Broken("A coordinate in it is not a finite number.")
    return found


def move(objects: list[Object], matrix: np.ndarray) -> None:
    """Transforms all vertices.

    Args:
        matrix: [4, 4], affine.
    """
    for each in objects:
        each.data.transform(Matrix(matrix.tolist()))
        if np.linalg.det(matrix[:3, :3]) < 0:
            each.data.flip_normals()
        each.data.update()


def normalise(
    objects: list[Object], span: float, rotation: list[list[float]] | None = None, size: list[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Turns, stretches and scales what was loaded, so that its box is centred on the origin.

    Args:
        span: how long the longest side of the box becomes.
        rotation: [3, 3], done first.
        size: of the box after it, in metres along x, y, z; the proportions of the file where there is none.

    Returns:
        The [4, 4] matrix file → world (Blender's axes on both sides), and the triangles [T, 3, 3] in the world.

    Raises:
        Broken: a coordinate is not finite, or the box has no length.
    """
    matrix = np.eye(4)
    if rotation is not None:
        matrix[:3, :3] = rotation
    corners = triangles(objects).astype(np.float64) @ matrix[:3, :3].T
    low, high = corners.reshape(-1, 3).min(0), corners.reshape(-1, 3).max(0)
    sides = high - low
    if not sides.max() > 0:
        raise Broken("All of it is in one point.")
    wanted = np.array(size if size is not None else sides, np.float64)
    stretch = np.where(sides > 1e-9 * sides.max(), wanted / np.where(sides > 0, sides, 1), 1.0)
    scale = stretch * (span / (stretch * sides).max())
    place = np.diag([*scale, 1.0])
    place[:3, 3] = -scale * (low + high) / 2
    matrix = place @ matrix
    move(objects, matrix)
    return matrix, triangles(objects)


def own_materials(objects: list[Object]) -> list[Material]:
    """All materials of objects, each once."""
    return list(dict.fromkeys(slot for each in objects for slot in each.data.materials if slot is not None))
