"""Chance: cameras and light of an object, a function of the seed and the object's name alone."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from models.lrm.cameras import spherical_poses
from training.render.settings import Settings

WORLDS = tuple(
    f"{name}.exr" for name in ("city", "courtyard", "forest", "interior", "night", "studio", "sunrise", "sunset")
)
"""What comes with Blender in datafiles/studiolights/world, CC0."""

FRONT = -90.0
"""The azimuth of the camera in front of an object: on the −y axis."""


@dataclass(frozen=True)
class Cameras:
    """V cameras.

    Attributes:
        poses: [V, 4, 4] camera-to-world, OpenGL axes.
        focals: [V], in units of the picture's width; the centre is in the middle.
    """

    poses: NDArray[np.float64]
    focals: NDArray[np.float64]

    @property
    def intrinsics(self) -> NDArray[np.float64]:
        """[V, 3, 3] in units of the picture's size."""
        lens = np.tile(np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 1.0]]), (len(self.focals), 1, 1))
        lens[:, 0, 0] = lens[:, 1, 1] = self.focals
        return lens


def chance(seed: int, name: str, purpose: str) -> Generator:
    """A generator of its own for each purpose, so that one more draw here changes nothing there."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), zlib.crc32(purpose.encode())])


def draw_cameras(settings: Settings, name: str, points: NDArray[np.floating]) -> Cameras:
    """The cameras of an object.

    Args:
        points: [P, 3], of its surface; they say how far back a camera has to stand that sees the whole.
    """
    draw = chance(settings.seed, name, "cameras")
    count = settings.count
    distances = draw.uniform(*settings.distance, count)
    focals = draw.uniform(*settings.focal, count)
    if settings.path == "rings":
        azimuths = np.tile(FRONT + np.arange(settings.azimuths) * (360 / settings.azimuths), len(settings.elevations))
        elevations = np.repeat(np.array(settings.elevations), settings.azimuths)
    elif settings.path == "orbit":
        azimuths = FRONT + np.arange(count) * (360 / count)
        elevations = np.degrees(np.arcsin(np.clip(settings.height / distances, -1, 1)))
    else:
        low, high = np.sin(np.radians(settings.elevation))
        azimuths = draw.uniform(0, 360, count)
        elevations = np.degrees(np.arcsin(draw.uniform(low, high, count)))
    if settings.front:
        azimuths[0], elevations[0] = FRONT, 0.0
    poses = _poses(azimuths, elevations, distances)
    if settings.whole is not None:
        least = least_distances(poses, focals, points, settings.whole)
        poses = _poses(azimuths, elevations, np.maximum(distances, least))
    return Cameras(poses, focals)


def least_distances(
    poses: NDArray[np.float64], focals: NDArray[np.float64], points: NDArray[np.floating], margin: float
) -> NDArray[np.float64]:
    """How far from the origin each camera has to be, moved along its axis, to see all points.

    A point at (x, y, z) in the camera's axes through the origin is at depth d − z, and in the picture if
    focal · max(|x|, |y|) ≤ (0.5 − margin) (d − z).
    """
    least = []
    for pose, focal in zip(poses, focals, strict=True):
        seen = points @ pose[:3, :3]
        least.append((seen[:, 2] + focal * np.abs(seen[:, :2]).max(1) / (0.5 - margin)).max())
    return np.array(least)


def draw_light(settings: Settings, name: str) -> dict[str, Any]:
    """The light on an object, the same for all of its views. A white matt surface stays below white in the picture.

    Returns:
        `world` (a file's name; None for a plain one, from `ground` straight below to `sky`), `turn` in degrees,
        `brightness` (of a white surface under it, at the brightest), `suns`: each with `towards` (the unit vector to
        it), `strength` (W/m²), `width` (degrees: how soft its shadows are) and `colour`.
    """
    draw = chance(settings.seed, name, "light")
    plain = {"world": None, "turn": 0.0, "sky": [1.0, 1.0, 1.0], "ground": [1.0, 1.0, 1.0], "brightness": 0.5}
    if settings.light == "even":
        return {**plain, "suns": []}
    if settings.light == "random" and draw.uniform() < 0.5:
        world = {"world": str(draw.choice(WORLDS)), "turn": draw.uniform(0, 360), "brightness": draw.uniform(0.5, 0.7)}
        strengths = [draw.uniform(0.05, 0.25)]
    else:
        sky, ground = draw.uniform(0.9, 1.0, 3), draw.uniform(0.4, 0.9) * draw.uniform(0.9, 1.0, 3)
        world = {"brightness": draw.uniform(0.3, 0.5), "sky": sky.tolist(), "ground": ground.tolist()}
        strengths = [draw.uniform(0.25, 0.45), draw.uniform(0.0, 0.1)]
    return {**plain, **world, "suns": [_sun(draw, strength) for strength in strengths]}


def _sun(draw: Generator, white: float) -> dict[str, Any]:
    """Args: white: how bright a white surface is that faces it."""
    azimuth, elevation = draw.uniform(0, 2 * math.pi), math.radians(draw.uniform(20, 75))
    across = math.cos(elevation)
    return {
        "towards": [across * math.cos(azimuth), across * math.sin(azimuth), math.sin(elevation)],
        "strength": white * math.pi,
        "width": draw.uniform(3, 40),
        "colour": [1.0, draw.uniform(0.9, 1.0), draw.uniform(0.82, 1.0)],
    }


def _poses(
    azimuths: NDArray[np.float64], elevations: NDArray[np.float64], distances: NDArray[np.float64]
) -> NDArray[np.float64]:
    angles = (torch.from_numpy(each) for each in (azimuths, elevations, distances))
    return np.asarray(spherical_poses(*angles).numpy(), np.float64)
