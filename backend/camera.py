"""The pinhole camera that requests, `camera.json` and `result.json` share.

Pixel coordinates: (0, 0) is the upper left *corner* of the image, x right, y down; the centre of the first
pixel is (0.5, 0.5). Camera axes as in Blender and OpenGL: -Z looks ahead, +Y is up. World: Z up, metres.
Depth is planar: the distance along the viewing axis, not along the ray.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, field_validator, model_validator

Floats = NDArray[np.float64]
Value = TypeVar("Value")


def _not_a_truth(value: Value) -> Value:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


Whole = Annotated[int, BeforeValidator(_not_a_truth)]
Real = Annotated[FiniteFloat, BeforeValidator(_not_a_truth)]
Row = tuple[Real, Real, Real, Real]
Matrix = tuple[Row, Row, Row, Row]
Focal = Annotated[Real, Field(gt=0, le=1e7)]
Size = Annotated[Whole, Field(ge=1, le=65536)]

LARGEST_COORDINATE = 1e6
"""Metres. Nothing of a set, its camera included, is farther from the origin."""

NARROWEST, WIDEST = 1e5, 1e-3
"""Focal lengths by the longer side of the picture: 0.0006 and 179.9 degrees. Blender's own limits lie between."""

FARTHEST_CENTRE = 100.0
"""Of the principal point from the middle of the picture, by its longer side. Blender's shift ends at 10."""

MOST_ANISOTROPIC = 1e3
"""Ratio of the two focal lengths. Blender's pixels are at most 200 times as wide as high."""

DEFAULT_FIELD_OF_VIEW = math.radians(50.0)
DEFAULT_HEIGHT = 1.6
DEFAULT_PITCH = math.radians(-12.0)


class Camera(BaseModel):
    """Pinhole intrinsics in pixels plus pose.

    `world_from_camera` is a rigid 4x4 matrix, row major: rotation and translation, no scale.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fx: Focal
    fy: Focal
    cx: Real
    cy: Real
    width: Size
    height: Size
    world_from_camera: Matrix

    @field_validator("world_from_camera")
    @classmethod
    def _is_rigid(cls, value: Matrix) -> Matrix:
        matrix = np.array(value)
        rotation = matrix[:3, :3]
        if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
            raise ValueError("the last row must be 0 0 0 1")
        # The first test keeps numbers like 1e200 out of the product.
        if (
            np.abs(rotation).max() > 1.1
            or not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
            or np.linalg.det(rotation) < 0
        ):
            raise ValueError("the upper left 3x3 must be a rotation (no scale, shear or mirroring)")
        if np.abs(matrix[:3, 3]).max() > LARGEST_COORDINATE:
            raise ValueError("the camera must stand within a million metres of the origin")
        return value

    @model_validator(mode="after")
    def _sees_something(self) -> Camera:
        side = max(self.width, self.height)
        if not all(WIDEST * side <= focal <= NARROWEST * side for focal in (self.fx, self.fy)):
            raise ValueError("fx and fy must be between a thousandth and a hundred thousand times the longer side")
        if max(self.fx, self.fy) > MOST_ANISOTROPIC * min(self.fx, self.fy):
            raise ValueError("fx and fy must not differ by more than a factor of a thousand")
        if max(abs(self.cx - self.width / 2), abs(self.cy - self.height / 2)) > FARTHEST_CENTRE * side:
            raise ValueError("cx and cy must lie within a hundred pictures of the middle")
        return self

    @property
    def matrix(self) -> Floats:
        """World from camera, 4x4."""
        return np.array(self.world_from_camera, dtype=np.float64)

    @property
    def position(self) -> Floats:
        """The centre of projection in the world, (3,)."""
        return self.matrix[:3, 3]

    def directions(self, pixels: Any) -> Floats:
        """World directions through pixel coordinates (..., 2), scaled so that one unit is one metre of planar depth."""
        pixels = np.asarray(pixels, dtype=np.float64)
        rays = np.stack(
            [(pixels[..., 0] - self.cx) / self.fx, (self.cy - pixels[..., 1]) / self.fy, -np.ones(pixels.shape[:-1])],
            axis=-1,
        )
        result: Floats = rays @ self.matrix[:3, :3].T
        return result

    def unproject(self, pixels: Any, depth: Any) -> Floats:
        """World points (..., 3) at pixel coordinates (..., 2) and planar depth (...) in metres."""
        return self.position + self.directions(pixels) * np.asarray(depth, dtype=np.float64)[..., None]

    def project(self, points: Any) -> tuple[Floats, Floats]:
        """Pixel coordinates (..., 2) and planar depth (...) of world points (..., 3).

        Points at or behind the camera have depth <= 0; their pixel coordinates are NaN.
        """
        local = (np.asarray(points, dtype=np.float64) - self.position) @ self.matrix[:3, :3]
        depth = -local[..., 2]
        ahead = np.where(depth > 0, depth, np.nan)
        pixels = np.stack(
            [self.cx + self.fx * local[..., 0] / ahead, self.cy - self.fy * local[..., 1] / ahead], axis=-1
        )
        return pixels, depth


def default_camera(width: int, height: int) -> Camera:
    """The camera that is assumed for a picture without one.

    It stands 1.6 m above the origin, looks along +Y and 12 degrees down, and sees 50 degrees across the
    longer side: an ordinary picture of furniture, taken by a standing person.
    """
    focal = 0.5 * max(width, height) / math.tan(0.5 * DEFAULT_FIELD_OF_VIEW)
    tilt = math.pi / 2 + DEFAULT_PITCH
    cos, sin = math.cos(tilt), math.sin(tilt)
    return Camera(
        fx=focal,
        fy=focal,
        cx=width / 2,
        cy=height / 2,
        width=width,
        height=height,
        world_from_camera=((1, 0, 0, 0), (0, cos, -sin, 0), (0, sin, cos, DEFAULT_HEIGHT), (0, 0, 0, 1)),
    )
