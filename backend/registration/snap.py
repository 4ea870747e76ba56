"""Blocks of a set as boxes, and props fitted into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.geometry.blockout import box_axes

Floats = NDArray[np.float64]

THINNEST = 1e-9
"""An extent under this share of the largest is flat: it gives no scale."""


@dataclass(frozen=True)
class Box:
    """The bounds of a block-out object.

    pose: (4, 4) rigid, the origin in the middle of the box.
    size: (3,) full lengths along the box's own axes, metres.
    """

    pose: Floats
    size: Floats

    @classmethod
    def of(cls, world_from_box: Any) -> Box:
        """From the matrix of the label table, (4, 4), which takes the cube from -0.5 to 0.5 to the box."""
        pose = np.array(world_from_box, dtype=np.float64)
        pose[:3, :3], size = box_axes(pose)
        return cls(pose, size)

    @property
    def centre(self) -> Floats:
        """(3,) in the world."""
        return self.pose[:3, 3]

    @property
    def height(self) -> float:
        """How far it reaches along the world's z, metres."""
        return float(np.abs(self.pose[2, :3]) @ self.size)


def snap_to_bounds(vertices: Any, box: Box, per_axis: bool = False) -> Floats:
    """The (4, 4) that fits a prop into its box, standing on the middle of the box's underside.

    Args:
        vertices: (V, 3), world.
        box: where it belongs.
        per_axis: scale each axis of the box on its own, so that the prop fills it; else one factor for all, the
            greatest with which the prop stays inside.

    Returns:
        World from world: scale along the box's axes and a shift, no turn.
    """
    axes = box.pose[:3, :3]
    local = (np.asarray(vertices, dtype=np.float64) - box.centre) @ axes
    low, high = local.min(axis=0), local.max(axis=0)
    extent = high - low
    flat = extent <= THINNEST * extent.max()
    ratio = box.size / np.where(flat, 1.0, extent)
    factor = np.where(flat, 1.0, ratio) if per_axis else np.full(3, ratio[~flat].min(initial=np.inf))
    factor = np.where(np.isfinite(factor), factor, 1.0)
    # The underside: the face of the box that looks down most.
    below = int(np.argmax(np.abs(axes[2])))
    anchor, target = (low + high) / 2, np.zeros(3)
    downwards = -np.sign(axes[2, below])
    anchor[below] = (high if downwards > 0 else low)[below]
    target[below] = downwards * box.size[below] / 2
    matrix = np.eye(4)
    matrix[:3, :3] = axes @ np.diag(factor) @ axes.T
    matrix[:3, 3] = box.centre + axes @ (target - factor * anchor) - matrix[:3, :3] @ box.centre
    return matrix


def snap_to_ground(vertices: Any, level: float = 0.0) -> Floats:
    """The (4, 4) shift along z that stands a prop's lowest point on a level."""
    matrix = np.eye(4)
    matrix[2, 3] = level - float(np.asarray(vertices)[:, 2].min())
    return matrix
