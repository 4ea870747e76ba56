"""Which mesh is seen at each pixel, and how far away: a z-buffer in numpy, made for small pictures.

Works on triangles in camera coordinates (x right, y down, z ahead). Inverse depth is linear in the picture
(Blinn, "Hyperbolic Interpolation", 1992), so every triangle is one plane in (x, y, 1 / z). The cost is one step per
triangle and row and one per covered pixel.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BATCH = 4_000_000
"""Pixels that are worked on at once, counted by the rectangles around triangles."""

NEAREST = 1e-3
"""Triangles with a corner nearer than this share of the picture's farthest corner are left out."""


@dataclass(frozen=True)
class Lens:
    """The intrinsics of a picture of another size than the camera's: pixels, (0, 0) the upper left corner."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def of(cls, camera: Camera, longest: int) -> Lens:
        """The camera's lens over a picture whose longer side has at most `longest` pixels; never enlarged."""
        factor = min(1.0, longest / max(camera.width, camera.height))
        width, height = max(1, round(camera.width * factor)), max(1, round(camera.height * factor))
        across, down = width / camera.width, height / camera.height
        return cls(camera.fx * across, camera.fy * down, camera.cx * across, camera.cy * down, width, height)

    def project(self, points: Floats) -> Floats:
        """Pixel coordinates (..., 2) of points (..., 3) that lie ahead."""
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        return np.stack([self.fx * x / z + self.cx, self.fy * y / z + self.cy], axis=-1)

    def unproject(self, pixels: Floats, depth: Floats) -> Floats:
        """Points (..., 3) at pixel coordinates (..., 2) and planar depth (...)."""
        x, y = (pixels[..., 0] - self.cx) / self.fx, (pixels[..., 1] - self.cy) / self.fy
        return np.stack([x * depth, y * depth, depth], axis=-1)


@dataclass(frozen=True)
class View:
    """labels: height x width, 0 where nothing is seen; depth: height x width, infinite there."""

    labels: Integers
    depth: Floats


@dataclass(frozen=True)
class Fragments:
    """Every pixel centre in every triangle. triangle: (N,) its number; pixel: (N,) row * width + column;
    nearness: (N,) 1 / depth."""

    triangle: Integers
    pixel: Integers
    nearness: Floats


def render(points: Floats, faces: Integers, labels: Integers, one_sided: NDArray[np.bool_], lens: Lens) -> View:
    """Draw triangles; the nearest one wins.

    Args:
        points: (V, 3) camera coordinates.
        faces: (F, 3) indices into `points`.
        labels: (F,) what to write where a triangle is seen, > 0.
        one_sided: (F,) True where the triangle belongs to a closed surface, so that its back need not be drawn.
        lens: the picture.
    """
    nearness = np.zeros(lens.width * lens.height)
    seen = np.zeros(lens.width * lens.height, dtype=np.int64)
    for batch in _batches(points, faces, lens):
        drawn = fragments(points, faces[batch], one_sided[batch], lens)
        np.maximum.at(nearness, drawn.pixel, drawn.nearness)
        wins = drawn.nearness == nearness[drawn.pixel]
        seen[drawn.pixel[wins]] = labels[batch][drawn.triangle[wins]]
    with np.errstate(divide="ignore"):
        depth = 1.0 / nearness
    shape = (lens.height, lens.width)
    return View(seen.reshape(shape), depth.reshape(shape))


def _batches(points: Floats, faces: Integers, lens: Lens) -> list[slice]:
    """The triangles in runs, each of which covers a bounded number of pixels: layers upon layers cost no memory."""
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.clip(np.nan_to_num(lens.project(points)), 0, (lens.width, lens.height))
    corners = flat[faces]
    covered = np.prod(corners.max(axis=1) - corners.min(axis=1) + 1, axis=1)
    batch = (np.cumsum(np.where(points[faces][..., 2].min(axis=1) > 0, covered, 0)) // BATCH).astype(np.int64)
    edges = [0, *(np.flatnonzero(np.diff(batch)) + 1).tolist(), len(faces)]
    return [slice(start, end) for start, end in itertools.pairwise(edges)]


def fragments(points: Floats, faces: Integers, one_sided: NDArray[np.bool_], lens: Lens) -> Fragments:
    """What every triangle covers, hidden or not; the arguments are those of `render`."""
    corners = points[faces]
    far = float(corners[..., 2].max(initial=0.0))
    kept = np.flatnonzero(corners[..., 2].min(axis=1) > NEAREST * far)
    corners = corners[kept]
    flat = lens.project(corners)
    one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    # Counter-clockwise seen from outside means clockwise numbers here, as y points down.
    drawn = np.where(one_sided[kept], area < 0, area != 0)
    drawn &= (flat.max(axis=1) > 0).all(axis=1) & (flat.min(axis=1) < (lens.width, lens.height)).all(axis=1)
    which, pixel = _fragments(flat[drawn], lens.width, lens.height)
    one, two, area, flat = one[drawn], two[drawn], area[drawn], flat[drawn]
    inverse = 1.0 / corners[drawn][..., 2]
    first, second = inverse[:, 1] - inverse[:, 0], inverse[:, 2] - inverse[:, 0]
    across = (first * two[:, 1] - second * one[:, 1]) / area
    down = (second * one[:, 0] - first * two[:, 0]) / area
    start = inverse[:, 0] - across * flat[:, 0, 0] - down * flat[:, 0, 1]
    row, column = np.divmod(pixel, lens.width)
    near = start[which] + across[which] * (column + 0.5) + down[which] * (row + 0.5)
    # A sliver's plane may run away between its corners' depths; it never leaves them.
    near = np.clip(near, inverse.min(axis=1)[which], inverse.max(axis=1)[which])
    return Fragments(kept[drawn][which], pixel, near)


def _fragments(triangles: Floats, width: int, height: int) -> tuple[Integers, Integers]:
    """For every pixel centre in every one of the (T, 3, 2) triangles: the triangle's number and the pixel's."""
    order = np.argsort(triangles[..., 1], axis=1)
    x = np.take_along_axis(triangles[..., 0], order, axis=1)
    y = np.take_along_axis(triangles[..., 1], order, axis=1)
    first = np.clip(np.ceil(y[:, 0] - 0.5), 0, height).astype(np.int64)
    rows = np.clip(np.floor(y[:, 2] - 0.5) + 1, 0, height).astype(np.int64) - first
    which, row = _expand(first, rows)
    level: Floats = row + np.float64(0.5)
    (x0, x1, x2), (y0, y1, y2) = x[which].T, y[which].T
    long = _crossing(x0, y0, x2, y2, level)
    upper = level < y1
    short = _crossing(
        np.where(upper, x0, x1), np.where(upper, y0, y1), np.where(upper, x1, x2), np.where(upper, y1, y2), level
    )
    left = np.clip(np.ceil(np.minimum(long, short) - 0.5), 0, width).astype(np.int64)
    right = np.clip(np.floor(np.maximum(long, short) - 0.5) + 1, 0, width).astype(np.int64)
    span, column = _expand(left, np.maximum(right - left, 0))
    return which[span], row[span] * width + column


def _expand(first: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """Runs first, first + 1, … of the given lengths, one after the other: each entry's run and its value."""
    run = np.repeat(np.arange(len(counts)), counts)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts) + first[run]


def _crossing(x0: Floats, y0: Floats, x1: Floats, y1: Floats, level: Floats) -> Floats:
    """Where edges from (x0, y0) down to (x1, y1) cross a level; a level edge counts from its first corner."""
    drop = y1 - y0
    share = np.clip((level - y0) / np.where(drop > 0, drop, 1.0), 0.0, 1.0)
    crossing: Floats = x0 + share * (x1 - x0)
    return crossing
