"""How the prop is turned: upright, its front towards the camera that took the first photo."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera

Floats = NDArray[np.float64]

FRONT = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From the frame of the reconstruction, in which the photo is taken from +x, to a prop's: its front is -y, as Blender's
front view sees it."""

STEEP = 0.05
"""Of a ray's horizontal part: below that the camera looks straight down, where behind is what the picture has above, or
straight up, where it is what the picture has below."""


def facing(camera: Camera, mask: NDArray[np.bool_]) -> float:
    """Degrees by which an object is turned about the vertical so that its front, -y, looks towards the camera.

    mask: HxW, the object in the camera's picture.
    """
    rows, columns = np.nonzero(mask)
    x = (float(columns.mean()) + 0.5 - camera.cx) / camera.fx
    y = (float(rows.mean()) + 0.5 - camera.cy) / camera.fy
    axes = camera.matrix[:3, :3]
    ray = axes @ np.array([x, -y, -1.0])
    back: Floats = -ray[:2] / np.linalg.norm(ray)
    if np.linalg.norm(back) < STEEP:
        back = np.sign(ray[2]) * axes[:2, 1]
    return math.degrees(math.atan2(back[0], -back[1]))
