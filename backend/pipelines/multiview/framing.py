"""Pictures of any size with cameras of the world → square views of one size around the object.

What is reconstructed stands in a frame of its own, in which it is about one unit large and about the origin, so that
nothing depends on whether it is a cup or a house. The squares of the pictures are as small as the object in them is,
so that none of a view's pixels is spent on what is beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from backend.camera import Camera
from backend.errors import Problem
from backend.pipelines.cut_outs import Pixels, extent
from models.multiview.views import Cameras, Views

Floats = NDArray[np.float64]

MARGIN = 0.06
"""Of the square beside the object's longer side, on either end."""

PARALLEL = 1e-4
"""Rays count as parallel if the least eigenvalue of what they say together is below this share for each."""


@dataclass(frozen=True)
class Frame:
    """Where the frame of the views stands in the world: points there times `scale` plus `centre` are metres."""

    centre: Floats
    scale: float

    def to_world(self, points: Floats) -> Floats:
        """(N, 3) in the world."""
        return points * self.scale + self.centre


@dataclass(frozen=True, eq=False)
class Framed:
    """One picture.

    picture: SxSx4, straight alpha. camera: that would have taken it, in the world.
    """

    picture: Pixels
    camera: Camera


def square_of(cut: Pixels) -> tuple[float, float, float]:
    """Left, upper corner and side of the square around what is not transparent, pixels; it may leave the picture."""
    top, bottom, left, right = extent(cut)
    side = max(bottom - top, right - left) * (1 + 2 * MARGIN) + 2
    return (left + right - side) / 2, (top + bottom - side) / 2, side


def framed(cut: Pixels, camera: Camera, side: int) -> Framed:
    """A picture HxWx4, something of which is to be seen, resampled once to a square of `side` pixels."""
    left, top, square = square_of(cut)
    around = math.ceil(max(0.0, -left, -top, left + square - cut.shape[1], top + square - cut.shape[0]))
    padded = Image.fromarray(np.pad(cut, ((around, around), (around, around), (0, 0))))
    box = (left + around, top + around, left + around + square, top + around + square)
    picture = np.asarray(padded.resize((side, side), Image.Resampling.HAMMING, box))
    factor = side / square
    changed = {
        "fx": camera.fx * factor,
        "fy": camera.fy * factor,
        "cx": (camera.cx - left) * factor,
        "cy": (camera.cy - top) * factor,
        "width": side,
        "height": side,
    }
    return Framed(picture, camera.model_copy(update=changed))


def frame_of(cameras: Sequence[Camera]) -> Frame:
    """The frame of an object in the middle of what square cameras see.

    Raises:
        Problem: "camera-invalid": they look past one another, all from the same place or the same side.
    """
    matrix, vector = np.zeros((3, 3)), np.zeros(3)
    ahead = [camera.directions((camera.width / 2, camera.height / 2)) for camera in cameras]
    for camera, way in zip(cameras, ahead, strict=True):
        way = way / np.linalg.norm(way)
        across = np.eye(3) - np.outer(way, way)
        matrix += across
        vector += across @ camera.position
    hint = "Take the pictures from different sides, and send each with the camera that took it."
    if np.linalg.eigvalsh(matrix)[0] < PARALLEL * len(cameras):
        raise Problem("camera-invalid", "All cameras see the object from the same side.", hint)
    centre: Floats = np.linalg.solve(matrix, vector).astype(np.float64)
    sizes = []
    for number, camera in enumerate(cameras, 1):
        distance = float(camera.project(centre)[1])
        if distance <= 0:
            raise Problem("camera-invalid", f"Camera {number} looks away from what the others see.", hint)
        sizes.append(distance * camera.width / math.sqrt(camera.fx * camera.fy))
    return Frame(centre, float(np.median(sizes)))


def views_of(pictures: Sequence[Framed], frame: Frame) -> Views:
    """Square pictures of one size as views, in a frame."""
    poses, lenses = [], []
    for each in pictures:
        pose, camera = each.camera.matrix, each.camera
        pose[:3, 3] = (pose[:3, 3] - frame.centre) / frame.scale
        poses.append(pose)
        lenses.append([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
    side = pictures[0].camera.width
    cameras = Cameras(torch.tensor(np.array(poses)), torch.tensor(lenses, dtype=torch.float64), side, side)
    values = torch.from_numpy(np.stack([each.picture for each in pictures])).float() / 255
    return Views(values[..., :3].contiguous(), values[..., 3].contiguous(), cameras)
