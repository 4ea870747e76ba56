"""The unknown: how the camera stands to the normalised scene, and how large that scene is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.camera import Camera
from backend.registration.model import Model

Floats = NDArray[np.float64]

FLIP = np.diag([1.0, -1.0, -1.0])
"""Blender's camera axes (y up, looking along -z) to those of the picture (y down, z ahead)."""

PARAMETERS = 7
"""Of a step: turn about the world's x, y and z in radians, offset along the picture's x, y and z, log of scale."""


@dataclass(frozen=True)
class Pose:
    """turn: (3, 3) world from model. offset: (3,) the model's origin in picture axes, in model units. log_scale:
    natural logarithm of metres per model unit. The picture shows `turn` and `offset` only, never the scale."""

    turn: Floats
    offset: Floats
    log_scale: float = 0.0

    @property
    def yaw(self) -> float:
        """Turn about the vertical, radians."""
        return float(np.arctan2(self.turn[1, 0] - self.turn[0, 1], self.turn[0, 0] + self.turn[1, 1]))

    def see(self, points: Floats, camera: Camera) -> Floats:
        """Model points (..., 3) in picture axes, model units."""
        seen: Floats = points @ (picture_from_world(camera) @ self.turn).T + self.offset
        return seen

    def stepped(self, step: Floats) -> Pose:
        """The pose after a step (PARAMETERS,)."""
        turn = Rotation.from_rotvec(step[:3]).as_matrix() @ self.turn
        return Pose(turn, self.offset + step[3:6], self.log_scale + float(step[6]))

    def similarity(self, model: Model, camera: Camera) -> Floats:
        """(4, 4) world from the frame that the meshes came in: uniform scale, turn, translation."""
        scale = np.exp(self.log_scale)
        matrix = np.eye(4)
        matrix[:3, :3] = scale / model.radius * self.turn
        matrix[:3, 3] = camera.position + scale * picture_from_world(camera).T @ self.offset
        matrix[:3, 3] -= matrix[:3, :3] @ model.centre
        return matrix


def picture_from_world(camera: Camera) -> Floats:
    """(3, 3) world directions in picture axes."""
    return FLIP @ camera.matrix[:3, :3].T


def upright(yaw: float) -> Floats:
    """(3, 3) turn about the vertical by radians."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
