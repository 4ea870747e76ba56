"""How objects stand, how large they are, what memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix


def close(first: Any, second: Any, tolerance: float = 1e-5) -> bool:
    rows = zip(first, second, strict=True)
    return all(abs(a - b) < tolerance for one, two in rows for a, b in zip(one, two, strict=True))


def stands(prop: Any) -> Matrix:
    bpy.context.view_layer.update()
    return prop.matrix_world.copy()


def sizes() -> dict[str, int]:
    kinds = (name for name, kind in bpy.data.bl_rna.properties.items() if kind.type == "COLLECTION")
    return {name: len(getattr(bpy.data, name)) for name in kinds}


def resident_bytes() -> int:
    """Memory of this process (Linux); 0 where the system does not tell, which says nothing either way."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.exists() else 0


def geometry(props: list[Any]) -> dict[int, tuple[bytes, bytes, bytes]]:
    """Of each prop, by its instance: vertices, corners and place, to the last bit."""
    found = {}
    for prop in props:
        mesh = prop.data
        vertices = np.empty(len(mesh.vertices) * 3, np.float32)
        corners = np.empty(len(mesh.loops), np.int32)
        mesh.vertices.foreach_get("co", vertices)
        mesh.loops.foreach_get("vertex_index", corners)
        place = np.array(prop.matrix_world, np.float32)
        found[prop["set_dresser"]["instance_id"]] = (vertices.tobytes(), corners.tobytes(), place.tobytes())
    return found


def corners(prop: Any) -> np.ndarray:
    bpy.context.view_layer.update()
    return np.array([prop.matrix_world @ vertex.co for vertex in prop.data.vertices])
