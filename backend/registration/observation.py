"""What is known about the picture: masks, distances to their outlines, depth, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.camera import Camera
from backend.geometry.raster import Lens

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

OTHER = -1
"""Label of pixels that belong to an instance without a mesh: it may hide anything."""

STEEPEST = 0.1
"""Change of log depth per pixel from which there is an edge, not a surface."""

HIDDEN = 0.25
"""Weight of a side of a mask's bounding box that touches another instance, which may hide the rest of it."""


@dataclass(frozen=True)
class Observation:
    """The picture at one size. N instances, their order that of the ids it was made from.

    labels: height x width, 0 background, 1 + n for instance n, OTHER for instances without a mesh.
    distance: (N, height, width) pixels from each pixel's centre to the outline of a mask, negative inside.
    telling: (N, height, width) False where the nearest outline is that of an instance without a mesh.
    log_depth, log_depth_slope: height x width, (2, height, width), NaN where unknown; None without depth.
    """

    lens: Lens
    labels: Integers
    distance: NDArray[np.float32]
    telling: Mask
    log_depth: Floats | None
    log_depth_slope: Floats | None

    @classmethod
    def of(
        cls, labels: NDArray[np.uint16], ids: Sequence[int], camera: Camera, depth: Floats | None, longest: int
    ) -> Observation:
        """The picture with its longer side reduced to `longest` pixels, by taking the pixel at each centre."""
        lens = Lens.of(camera, longest)
        rows = ((np.arange(lens.height) + 0.5) * camera.height / lens.height).astype(np.int64)
        columns = ((np.arange(lens.width) + 0.5) * camera.width / lens.width).astype(np.int64)
        small = labels[np.ix_(rows, columns)].astype(np.int64)
        places = np.where(small > 0, OTHER, 0)
        for place, number in enumerate(ids):
            places[small == number] = 1 + place
        fields = [_signed_distance(places, 1 + place) for place in range(len(ids))]
        distance = np.array([field for field, _ in fields], dtype=np.float32).reshape(-1, lens.height, lens.width)
        telling = np.array([told for _, told in fields], dtype=bool).reshape(distance.shape)
        if depth is None:
            return cls(lens, places, distance, telling, None, None)
        log_depth = np.log(depth[np.ix_(rows, columns)].astype(np.float64))
        steps = np.stack([_derivative(log_depth, axis=1), _derivative(log_depth, axis=0)])
        steps[:, np.abs(steps).max(axis=0) > STEEPEST] = np.nan
        return cls(lens, places, distance, telling, log_depth, steps)

    def without_depth(self) -> Observation:
        """The same picture as if its depth were not known."""
        return replace(self, log_depth=None, log_depth_slope=None)

    def areas(self) -> Integers:
        """(N,) pixels of each mask."""
        return np.bincount(self.labels[self.labels > 0], minlength=1 + len(self.distance))[1:]

    def sides(self) -> tuple[Floats, Floats]:
        """Bounding boxes of the masks.

        Returns:
            (N, 4) left, right, top, bottom in the lens's pixels; (N, 4) how far each side can be trusted: 0 at the
            border of the picture, `HIDDEN` against another instance, 1 otherwise. Masks without pixels get 0.
        """
        padded = np.pad(self.labels, 1, constant_values=-2)
        sides, trust = np.zeros((len(self.distance), 4)), np.zeros((len(self.distance), 4))
        for place in range(len(self.distance)):
            mask = padded == 1 + place
            if not mask.any():
                continue
            for axis in (0, 1):
                used = np.flatnonzero(mask.any(axis=axis))
                for end, (at, beyond) in enumerate(((used[0], used[0] - 1), (used[-1], used[-1] + 1))):
                    line, outer = (mask[:, at], padded[:, beyond]) if axis == 0 else (mask[at], padded[beyond])
                    neighbours = outer[line]
                    sides[place, 2 * axis + end] = at - 1 + end
                    free = np.where(neighbours == -2, 0.0, np.where(neighbours == 0, 1.0, HIDDEN))
                    trust[place, 2 * axis + end] = free.min()
        return sides, trust


def sample(field: NDArray[np.floating[Any]], pixels: Floats) -> Floats:
    """Values (K,) of a height x width field at pixel coordinates (K, 2), bilinear between pixel centres."""
    value: Floats = ndimage.map_coordinates(field, (pixels[:, ::-1] - 0.5).T, order=1, mode="nearest")
    return value


def slope(field: NDArray[np.floating[Any]], pixels: Floats, axis: int) -> Floats:
    """Derivative (K,) of a field along x (axis 0) or y (axis 1) at pixel coordinates (K, 2), over one pixel."""
    half = np.eye(2)[axis] / 2
    return sample(field, pixels + half) - sample(field, pixels - half)


def _signed_distance(labels: Integers, label: int) -> tuple[NDArray[np.float32], Mask]:
    """Distance to the outline of a label's mask, half way between pixels inside and outside, and where it tells."""
    mask = labels == label
    if not mask.any() or mask.all():
        return np.zeros(labels.shape, dtype=np.float32), np.zeros(labels.shape, dtype=bool)
    outside, to_inside = ndimage.distance_transform_edt(~mask, return_indices=True)
    inside, to_outside = ndimage.distance_transform_edt(mask, return_indices=True)
    distance = np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float32)
    beside = ndimage.binary_dilation(labels == OTHER, iterations=2)
    telling = np.where(mask, ~beside[tuple(to_outside)], ~beside[tuple(to_inside)])
    return distance, telling


def _derivative(field: Floats, axis: int) -> Floats:
    """Central differences; zero along an axis with one value only."""
    if field.shape[axis] < 2:
        return np.zeros_like(field)
    slope: Floats = np.gradient(field, axis=axis)
    return slope
