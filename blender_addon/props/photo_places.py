"""Where a set stands that was made of a photograph without a camera, and how large it is.

The backend assumes a camera (1.6 m above the origin, looking along +Y and down); so size and distance are guessed. The
set is scaled to the height that the artist knows, turned to the active camera, and moved away along its own bearing
until all of it is in view. It stays upright.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import bpy
import numpy as np
from bpy.types import Context, Object
from mathutils import Matrix, Vector

FLOOR, CURSOR, PICTURE = "FLOOR", "CURSOR", "PICTURE"
PLACES = [
    (FLOOR, "Camera's Floor", "On the floor, z = 0, before the active camera; moved away until all of it is seen"),
    (CURSOR, "3D Cursor", "With the middle of its ground at the 3D cursor"),
    (PICTURE, "Where the Picture Says", "As the picture shows it in its frame, whether or not a floor is there"),
]

TALLEST = 1000.0
"""Metres."""

MARGIN = 0.03
"""Share of the frame that stays free along its border."""

STEP, NEARER, FARTHER = 1.08, 20, 70
"""Factor between two distances that are tried, and how many of them are nearer and farther than the guess."""

SHRINK, SMALLER = 0.8, 30
"""Factor between two sizes that are tried where no distance does, unless a height is wished; and how many."""


def world_from_assumed(
    context: Context, props: Mapping[int, Object], picture: Mapping[str, Any] | None, height: float, place_at: str
) -> Matrix:
    """World from assumed world: a scale, a turn about the vertical, and a move.

    Args:
        props: as imported, in the assumed world.
        picture: the assumed camera, as result.json has it; None where it is not known.
        height: of the tallest prop, in Blender's units; 0 as guessed.
        place_at: FLOOR, CURSOR or PICTURE. Without an active camera the cursor is all there is.
    """
    corners = np.array([prop.matrix_world @ Vector(corner) for prop in props.values() for corner in prop.bound_box])
    tall = max(float(np.ptp(one[:, 2])) for one in corners.reshape(len(props), 8, 3))
    scale = height / tall if height > 0 and tall > 0 else 1.0
    camera = context.scene.camera
    if camera is None or place_at == CURSOR:
        turn = Matrix.Identity(4) if camera is None else _turn(context, camera)
        return _at(turn, scale, context.scene.cursor.location, _middle(corners, ground=0.0))
    view = _View(context, camera)
    for size in [scale] if height > 0 else [scale * SHRINK**step for step in range(SMALLER)]:
        if (found := _in_view(view, corners, size, place_at, picture)) is not None:
            return found
    if place_at == FLOOR:  # this camera does not see the floor
        return world_from_assumed(context, props, picture, height, PICTURE)
    return _at(view.turn, scale, view.floor, Vector())


def _at(turn: Matrix, scale: float, place: Vector, middle: Vector) -> Matrix:
    """Scaled and turned about the point `middle`, which comes to `place`."""
    return Matrix.Translation(place) @ turn @ Matrix.Scale(scale, 4) @ Matrix.Translation(-middle)


def _middle(corners: Any, ground: float | None = None) -> Vector:
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle = (low + high) / 2
    return Vector((middle[0], middle[1], middle[2] if ground is None else ground))


def _ahead(corners: Any) -> float:
    """How far ahead of the assumed camera a set is; as far as it is large where it is all round the camera."""
    distance, large = _middle(corners).y, float(np.linalg.norm(np.ptp(corners, axis=0)))
    return distance if distance > 0.1 * large else large


def _turn(context: Context, camera: Object) -> Matrix:
    """The turn about the vertical that takes +Y to where the camera looks."""
    place = camera.evaluated_get(context.evaluated_depsgraph_get()).matrix_world
    ahead = -place.col[2].to_3d()
    if math.hypot(ahead.x, ahead.y) < 1e-3 * ahead.length:  # straight down or up: what is up in the picture is ahead
        ahead = place.col[1].to_3d() * (1 if ahead.z < 0 else -1)
    return Matrix.Rotation(math.atan2(-ahead.x, ahead.y), 4, "Z")


class _View:
    """What the active camera sees: its place, and its frame at one unit ahead (with a camera without perspective, its
    frame anywhere)."""

    def __init__(self, context: Context, camera: Object) -> None:
        evaluated = camera.evaluated_get(context.evaluated_depsgraph_get())
        rotation = evaluated.matrix_world.to_quaternion().to_matrix().to_4x4()
        self.position = evaluated.matrix_world.to_translation()
        self.turn = _turn(context, camera)
        self.floor = Vector((self.position.x, self.position.y, 0.0))
        self._world_from_camera = Matrix.Translation(self.position) @ rotation
        self._camera_from_world = np.array(self._world_from_camera.inverted())
        self._perspective = evaluated.data.type != "ORTHO"
        frame = np.array(evaluated.data.view_frame(scene=context.scene))
        if self._perspective:
            frame = frame / -frame[:, 2:]
        self._low, self._high = frame.min(axis=0)[:2], frame.max(axis=0)[:2]

    def shares(self, points: Any) -> Any:
        """Where world points (N, 3) are in the frame: 0 to 1 across and up, (N, 2); NaN behind the camera."""
        local = points @ self._camera_from_world[:3, :3].T + self._camera_from_world[:3, 3]
        ahead = np.where(local[:, 2] < -1e-6, -local[:, 2], np.nan)[:, None]
        flat = local[:, :2] / (ahead if self._perspective else np.where(np.isnan(ahead), np.nan, 1.0))
        return (flat - self._low) / (self._high - self._low)

    def sees_all(self, points: Any) -> bool:
        shares = self.shares(points)
        return bool(np.all((shares >= MARGIN) & (shares <= 1 - MARGIN)))  # False with NaN

    def through(self, share: tuple[float, float], distance: float) -> Vector:
        """The point at a place of the frame, so far ahead of the camera."""
        x, y = self._low + np.array(share) * (self._high - self._low)
        far = distance if self._perspective else 1.0
        return self._world_from_camera @ Vector((x * far, y * far, -distance))


def _distances() -> Iterator[float]:
    """Factors of the guessed distance: itself, then ever farther from it."""
    yield from (STEP**step for step in sorted(range(-NEARER, FARTHER), key=abs))


def _in_view(
    view: _View, corners: Any, scale: float, place_at: str, picture: Mapping[str, Any] | None
) -> Matrix | None:
    """The place of the set at this scale nearest to the guess at which all of it is in view; None if there is none."""
    candidates = (_on_floor if place_at == FLOOR else _in_frame)(view, corners, scale, picture)
    for matrix in candidates:
        placed = np.array(matrix)
        if view.sees_all(corners @ placed[:3, :3].T + placed[:3, 3]):
            return matrix
    return None


def _on_floor(view: _View, corners: Any, scale: float, picture: Mapping[str, Any] | None) -> Iterator[Matrix]:
    """On the floor at the bearing that the picture says, then straight ahead; ever farther from the guess."""
    middle, guess = _middle(corners, ground=0.0), _ahead(corners) * scale
    for aside in (middle.x, 0.0):
        for factor in _distances():
            ahead = Vector((aside * scale * factor, guess * factor, 0.0))
            yield _at(view.turn, scale, view.floor + view.turn @ ahead, middle)


def _in_frame(view: _View, corners: Any, scale: float, picture: Mapping[str, Any] | None) -> Iterator[Matrix]:
    """With its middle where the picture has it, then in the middle of the frame; ever farther from the guess."""
    middle = _middle(corners)
    guess = max(_ahead(corners) * scale, 1e-3)
    for share in (_share(picture, middle), (0.5, 0.5)):
        for factor in _distances():
            yield _at(view.turn, scale, view.through(share, guess * factor), middle)


def _share(picture: Mapping[str, Any] | None, point: Vector) -> tuple[float, float]:
    """Where a point of the assumed world, in Blender's units, is in the picture, across and up."""
    if picture is None:
        return 0.5, 0.5
    pose = Matrix(picture["world_from_camera"])
    pose.translation /= bpy.context.scene.unit_settings.scale_length
    local = pose.inverted() @ point
    if local.z > -1e-6:
        return 0.5, 0.5
    across = (picture["cx"] + picture["fx"] * local.x / -local.z) / picture["width"]
    down = (picture["cy"] - picture["fy"] * local.y / -local.z) / picture["height"]
    return min(max(across, 0.0), 1.0), min(max(1 - down, 0.0), 1.0)


def wish(scene: bpy.types.Scene, height: float | None, place_at: str | None) -> tuple[float, str]:
    """Height in Blender's units and place: those given (height in metres), else those of the panel."""
    settings = scene.set_dresser if hasattr(scene, "set_dresser") else None
    metres = scene.unit_settings.scale_length
    tall = (settings.height if settings else 0.0) if height is None else height / metres
    return tall, ((settings.place_at if settings else FLOOR) if place_at is None else place_at.upper())


def shapes_differ(picture: tuple[int, int], render: bpy.types.RenderSettings) -> bool:
    """Whether a picture of (width, height) has another shape than the render, by more than a pixel in a hundred."""
    shape = render.resolution_x * render.pixel_aspect_x / (render.resolution_y * render.pixel_aspect_y)
    return abs(math.log(picture[0] / picture[1] / shape)) > 0.01


def match_render(picture: tuple[int, int], render: bpy.types.RenderSettings) -> None:
    """Give the render the shape of a picture of (width, height); its longer side stays as it is."""
    longest = max(render.resolution_x, render.resolution_y)
    scale = longest / max(picture)
    render.resolution_x, render.resolution_y = (max(round(side * scale), 4) for side in picture)
    render.pixel_aspect_x = render.pixel_aspect_y = 1.0
