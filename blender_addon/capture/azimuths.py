"""From which side cameras look at a block-out: degrees round it, counter-clockwise seen from above."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import bpy
import numpy as np
from bpy.types import Object, Scene
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from .block_outs import SHAPES, block_out_of

STEEPEST = 85.0
"""Degrees above or below the middle of the object from which on nobody can say from which side a camera looks."""

PARALLEL = 1e-6
"""View axes count as parallel if the least eigenvalue of what they say together is below this share for each."""

Points = NDArray[np.float64]


def corners(objects: Iterable[Object]) -> Points:
    """(8 N, 3) corners of the boxes around block-outs, their parts and what these show as instances, in the world.

    A prop stands for the block-out it was made of. Goes once through the file's objects: the panel asks often.
    """
    meant = {block_out_of(candidate) or candidate for candidate in objects}
    found = [np.empty((0, 3))]
    for candidate in bpy.data.objects if meant else ():
        ancestor: Object | None = candidate
        while ancestor is not None and ancestor not in meant:
            ancestor = ancestor.parent
        if ancestor is not None:
            found += _boxes(candidate, candidate.matrix_world)
    return np.concatenate(found)


def _boxes(owner: Object, place: Matrix, depth: int = 0) -> list[Points]:
    found = []
    if owner.type in SHAPES:
        matrix, box = np.array(place), np.empty(24, np.float32)
        owner.bound_box.foreach_get(box)
        found.append(box.reshape(8, 3).astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3])
    if owner.instance_type == "COLLECTION" and owner.instance_collection is not None and depth < 8:
        origin = place @ Matrix.Translation(-owner.instance_collection.instance_offset)
        for inner in owner.instance_collection.all_objects:
            found += _boxes(inner, origin @ inner.matrix_world, depth + 1)
    return found


def middle(block_out: Points, cameras: Sequence[Object]) -> Vector:
    """What cameras stand round: the middle of the box around the block-out's corners; without any, where the cameras'
    view axes come nearest to one another; the origin if they are parallel."""
    if len(block_out):
        return Vector((block_out.min(axis=0) + block_out.max(axis=0)) / 2)
    matrix, vector = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        ahead = np.array(camera.matrix_world.col[2].to_3d().normalized(), np.float64)
        across = np.eye(3) - np.outer(ahead, ahead)
        matrix += across
        vector += across @ np.array(camera.matrix_world.to_translation())
    if not cameras or np.linalg.eigvalsh(matrix)[0] < PARALLEL * len(cameras):
        return Vector((0.0, 0.0, 0.0))
    return Vector(np.linalg.solve(matrix, vector))


def relative(cameras: Sequence[Object], centre: Vector) -> list[float | None]:
    """Each camera's azimuth, over -180 up to 180 degrees, counted from the first one that has any: one straight above
    or below has none. A camera that moved to its own right has a larger one."""
    absolute = [_absolute(camera.matrix_world.to_translation() - centre) for camera in cameras]
    first = next((angle for angle in absolute if angle is not None), 0.0)
    return [None if angle is None else 180.0 - (180.0 - (angle - first)) % 360.0 for angle in absolute]


def _absolute(offset: Vector) -> float | None:
    across = math.hypot(offset.x, offset.y)
    if math.degrees(math.atan2(abs(offset.z), across)) > STEEPEST or not across:
        return None
    return math.degrees(math.atan2(offset.y, offset.x))


def misses(camera: Object, scene: Scene, block_out: Points) -> bool:
    """Whether all of the block-out surely lies beside or behind what a perspective camera sees. Something else may
    still stand before it."""
    if not len(block_out):
        return False
    world: Any = np.array(camera.matrix_world.normalized().inverted_safe())
    seen = block_out @ world[:3, :3].T + world[:3, 3]
    frame = camera.data.view_frame(scene=scene)
    inside = sum(frame, Vector((0.0, 0.0, 0.0)))
    planes = (one.cross(other) for one, other in zip(frame, [*frame[1:], frame[0]], strict=True))
    sides = np.array([plane * math.copysign(1.0, plane.dot(inside)) for plane in planes])
    return bool((seen @ sides.T < 0).all(axis=0).any())
