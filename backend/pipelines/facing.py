"""How an object that was made from one picture is turned: its front towards the camera that took it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera

Floats = NDArray[np.float64]

STEEP = 0.05
"""Of a ray's horizontal part: below that the camera looks straight down, where behind is what the picture has above, or
straight up, where it is what the picture has below."""


def facing(camera: Camera, mask: NDArray[np.bool_]) -> float:
    """Degrees by which an object is turned about the vertical so that its front, -y, looks towards the camera.

    mask: HxW, the object in the camera's picture.
    """
    rows, columns = np.nonzero(mask)
    ray = _ray(camera, float(columns.mean()) + 0.5, float(rows.mean()) + 0.5)
    back: Floats = -ray[:2]
    if np.linalg.norm(back) < STEEP:
        back = np.sign(ray[2]) * camera.matrix[:2, 1]
    return math.degrees(math.atan2(back[0], -back[1]))


def straight_ahead(camera: Camera, mask: NDArray[np.bool_]) -> Floats:
    """(3, 3): how a frame stands in the world whose -y looks at the camera along the ray of the middle of a mask's box,
    and whose z is up in the picture.

    That is where an object stands which was made as if its picture had been taken from the front at its own height,
    however the camera really looked up or down at it.
    """
    ahead = _ray(camera, *_middle(mask))
    right = np.cross(ahead, camera.matrix[:3, 1])
    right = right / np.linalg.norm(right)
    return np.stack([right, ahead, np.cross(right, ahead)], axis=1)


def elevation(camera: Camera, mask: NDArray[np.bool_]) -> float:
    """Degrees above the horizontal from which the camera looks at the middle of a mask's box; below 0 it looks up."""
    return math.degrees(math.asin(-float(_ray(camera, *_middle(mask))[2])))


def _middle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Column and row of the middle of a mask's box."""
    rows, columns = np.nonzero(mask)
    column, row = ((float(places.min()) + float(places.max()) + 1) / 2 for places in (columns, rows))
    return column, row


def _ray(camera: Camera, column: float, row: float) -> Floats:
    """(3,) the unit direction in the world of a place in the picture."""
    x, y = (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy
    ray: Floats = camera.matrix[:3, :3] @ np.array([x, -y, -1.0])
    return ray / np.linalg.norm(ray)
