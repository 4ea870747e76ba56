"""Cameras for pictures of a mesh: a pose and a projection, in OpenGL's conventions.

World Z is up. A pose is a rigid 4 x 4 matrix, world from camera, whose columns are the camera's x (right), y (up) and z
(backwards, away from what is seen) and its position. Clip coordinates run from -w to w with y up and -w on the near
plane (OpenGL 4.6 specification, section 13.8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

NEAR, FAR = 0.1, 1000.0


@dataclass(frozen=True)
class Camera:
    """Where a picture is taken from, and how.

    Attributes:
        pose: `[4, 4]` float64, world from camera.
        projection: `[4, 4]` float64, clip from camera.
    """

    pose: Tensor
    projection: Tensor

    @classmethod
    def perspective(cls, pose: Tensor, fov: float, aspect: float = 1.0, near: float = NEAR, far: float = FAR) -> Camera:
        """A pinhole camera.

        Args:
            pose: `[4, 4]`, world from camera.
            fov: angle between the upper and lower side of the picture, degrees.
            aspect: width of the picture divided by its height.
            near, far: planar distances of what is seen.

        Raises:
            ValueError: a number is out of range.
        """
        if not 0 < fov < 180:
            raise ValueError(f"A field of view lies between 0 and 180 degrees; {fov} does not.")
        _check(pose, aspect, near, far)
        focal = 1 / math.tan(math.radians(fov) / 2)
        projection = torch.zeros(4, 4, dtype=torch.float64)
        projection[0, 0], projection[1, 1] = focal / aspect, focal
        projection[2, 2], projection[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
        projection[3, 2] = -1.0
        return cls(pose.to("cpu", torch.float64), projection)

    @classmethod
    def orthographic(
        cls, pose: Tensor, extent: float, aspect: float = 1.0, near: float = NEAR, far: float = FAR
    ) -> Camera:
        """A camera without perspective.

        Args:
            pose: `[4, 4]`, world from camera.
            extent: distance in the world between the upper and lower side of the picture.
            aspect: width of the picture divided by its height.
            near, far: planar distances of what is seen.

        Raises:
            ValueError: a number is out of range.
        """
        if not extent > 0:
            raise ValueError(f"A picture shows something, not {extent} units of the world.")
        _check(pose, aspect, near, far)
        projection = torch.eye(4, dtype=torch.float64)
        projection[0, 0], projection[1, 1] = 2 / (extent * aspect), 2 / extent
        projection[2, 2], projection[2, 3] = -2 / (far - near), -(far + near) / (far - near)
        return cls(pose.to("cpu", torch.float64), projection)

    def clip(self, points: Tensor) -> Tensor:
        """Clip coordinates `[N, 4]` of points `[N, 3]` of the world, in their type and on their device."""
        matrix = (self.projection @ torch.linalg.inv(self.pose)).to(points)
        clip: Tensor = points @ matrix[:, :3].T + matrix[:, 3]
        return clip

    def distance(self, points: Tensor) -> Tensor:
        """Planar distances `[N]` of points `[N, 3]` ahead of the camera."""
        backwards, position = self.pose[:3, 2].to(points), self.pose[:3, 3].to(points)
        return (position - points) @ backwards

    def towards(self, points: Tensor) -> Tensor:
        """Unit vectors `[N, 3]` from points `[N, 3]` to the camera."""
        if self.projection[3, 2] == 0:  # without perspective all rays are parallel
            return self.pose[:3, 2].to(points).expand_as(points)
        return torch.nn.functional.normalize(self.pose[:3, 3].to(points) - points, dim=1)


def _check(pose: Tensor, aspect: float, near: float, far: float) -> None:
    if pose.shape != (4, 4):
        raise ValueError(f"A pose is [4, 4], not {list(pose.shape)}.")
    if not (aspect > 0 and 0 < near < far < math.inf):
        raise ValueError(f"An aspect of {aspect} from {near} to {far} is no picture.")
