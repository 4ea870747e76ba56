"""The frame of the field: that of the canonical source camera. And the cameras in it.

Whatever the pose of the source view, the world is moved so that it becomes the canonical one, at its own distance: the
network learns of one point of view, the one that is claimed when it is used. Part of that move may be a mirror, a scale
and a stretch along the axes of the source camera. All three are linear in space, so a ray of any other view stays a
ray; and what they do to the picture of the source itself is a scale along its rows and one along its columns, which the
intrinsics take up. Nothing has to be rendered again, and nothing is approximated.

Axes of the canonical camera in its frame: x right, y ahead, z up; it stands at (0, −distance, 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.lrm.cameras import canonical_pose, normalised_poses
from training.mira.config import Augmentation, Crops

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in units of the picture; may reach beyond 0 … 1."""


@dataclass(frozen=True)
class Frame:
    """What one view of one object is shown as.

    Attributes:
        matrix: [4, 4], world → frame of the field; affine.
        distance: of the canonical camera.
        crop: the part of the picture that is shown.
        mirrored: whether that part is shown with left and right exchanged.
        lens: [3, 3], intrinsics of what is shown, in units of what is shown.
    """

    matrix: Floats
    distance: float
    crop: Box
    mirrored: bool
    lens: Floats

    def camera(self, rows: int) -> NDArray[np.float32]:
        """What the network is told: `rows` rows of the canonical pose, then fx, fy, cx, cy; [4 · rows + 4]."""
        pose = canonical_pose(self.distance).numpy()[:rows].reshape(-1)
        lens = self.lens[[0, 1, 0, 1], [0, 1, 2, 2]]
        return np.concatenate([pose, lens]).astype(np.float32)

    def points(self, world: Floats) -> Floats:
        """[P, 3] → [P, 3] in the frame."""
        return world @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def back(self, points: Floats) -> Floats:
        """[P, 3] in the frame → [P, 3] in the world."""
        return (points - self.matrix[:3, 3]) @ np.linalg.inv(self.matrix[:3, :3]).T

    def rays(self, pose: Floats, lens: Floats, places: Floats) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rays of any view of the object, in the frame.

        Args:
            pose, lens: [4, 4] and [3, 3] of the view in the world, as it was rendered.
            places: [R, 2], across and down, in units of its picture.

        Returns:
            Origins and unit directions, [R, 3] each.
        """
        across = (places[:, 0] - lens[0, 2]) / lens[0, 0]
        down = (places[:, 1] - lens[1, 2]) / lens[1, 1]
        ahead = np.stack([across, -down, -np.ones_like(across)], axis=1) @ pose[:3, :3].T @ self.matrix[:3, :3].T
        ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
        origin = self.points(pose[None, :3, 3])
        return np.repeat(origin, len(ahead), axis=0).astype(np.float32), ahead.astype(np.float32)


def frame_of(
    pose: Floats,
    lens: Floats,
    box: Floats,
    size: tuple[int, int],
    scale: float,
    crops: Crops,
    augmentation: Augmentation,
    chance: np.random.Generator,
) -> Frame:
    """The frame of a source view, with a crop and changes by chance.

    Args:
        pose, lens: [4, 4] camera to world, and [3, 3] in units of its picture.
        box: [4], what the object covers of the picture.
        size: width and height of the picture, pixels.
        scale: what the world is multiplied with before anything else.
    """
    distance = float(np.linalg.norm(pose[:3, 3]))
    still = normalised_poses(torch.from_numpy(pose[None]), 0).numpy()[0] @ np.linalg.inv(pose)
    # Drawn whether they are used or not, so that one switch does not change what the others come to.
    flip, even, own = chance.random(), chance.uniform(-1, 1), chance.uniform(-1, 1, 3)
    mirrored = bool(flip < augmentation.mirror)
    axes = scale * np.exp(augmentation.scale * even + augmentation.stretch * own)
    signed = axes * np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    matrix = np.diag([*signed, 1.0]) @ still
    # x / y and z / y are what a pinhole shows: stretched axes are other focal lengths, and no other picture.
    focal = lens[0, 0] * axes[1] / axes[0], lens[1, 1] * axes[1] / axes[2]
    crop = _crop(box, size, lens, focal, crops, chance)
    left, top, right, bottom = crop
    wide, high = right - left, bottom - top
    centre = (lens[0, 2] - left) / wide, (lens[1, 2] - top) / high
    shown = np.array(
        [
            [focal[0] / wide, 0.0, 1.0 - centre[0] if mirrored else centre[0]],
            [0.0, focal[1] / high, centre[1]],
            [0.0, 0.0, 1.0],
        ]
    )
    return Frame(matrix, float(axes[1] * distance), crop, mirrored, shown)


def _crop(
    box: Floats,
    size: tuple[int, int],
    lens: Floats,
    focal: tuple[float, float],
    crops: Crops,
    chance: np.random.Generator,
) -> Box:
    """A part of the picture; `focal` are the focal lengths of the whole of it, of the object as it is stretched."""
    fill, ratio, amount, shift = chance.random(), chance.random(), chance.random(), chance.uniform(-1, 1, 2)
    if crops.source == "random":
        area = crops.area[0] + amount * (crops.area[1] - crops.area[0])
        low, high = (math.log(each) for each in crops.aspect)
        aspect = math.exp(low + ratio * (high - low)) * size[1] / size[0]  # in units of the picture
        wide, high = min(math.sqrt(area * aspect), 1.0), min(math.sqrt(area / aspect), 1.0)
        left, top = (shift[0] + 1) / 2 * (1 - wide), (shift[1] + 1) / 2 * (1 - high)
        return left, top, left + wide, top + high
    if crops.source == "object" and box.any():
        # Of that width and height the focal lengths come out equal: a square of the stretched world.
        upright = focal[1] / focal[0]
        filled = crops.fill[0] + fill * (crops.fill[1] - crops.fill[0])
        wide = max(box[2] - box[0], (box[3] - box[1]) / upright) / filled
        high = wide * upright
        across = (box[0] + box[2]) / 2 + shift[0] * crops.shift * wide
        down = (box[1] + box[3]) / 2 + shift[1] * crops.shift * high
        return across - wide / 2, down - high / 2, across + wide / 2, down + high / 2
    # What the same lens shows of the stretched object: all of the picture, if it is not stretched.
    wide, high = focal[0] / lens[0, 0], focal[1] / lens[1, 1]
    left, top = lens[0, 2] * (1 - wide), lens[1, 2] * (1 - high)
    return left, top, left + wide, top + high
