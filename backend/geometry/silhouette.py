"""Which pixels a mesh covers, seen through a camera, and how well two masks agree.

A pixel is covered when its centre lies in the projection of a triangle, edges included. Each triangle is cut
into one span per pixel row it crosses; all spans go into one difference image whose running sum along x counts
the layers over each pixel. That costs one step per triangle and row, however wide the triangle is.

No cracks: an edge crosses a row at one x, computed from the upper end to the lower end, so both triangles that
share the edge find the same number and, edges being included, every pixel centre belongs to at least one of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera

NEAR = 1e-4
"""Metres. What is nearer to the camera plane, or behind it, is cut away."""

GRID = 2.0**20
"""Corners and edges are rounded to 1/GRID pixel: what is unprojected from a pixel comes back to that very pixel."""

SPANS_AT_ONCE = 2**19
"""Bounds the memory, about 100 MB."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def silhouette(vertices: Floats, faces: Integers, camera: Camera) -> Mask:
    """The pixels a mesh covers.

    Triangles seen from behind count like those seen from the front. A triangle that crosses the camera plane is
    cut at `NEAR`; one behind it, one without area in the picture, or one with a non-finite corner covers nothing.

    Args:
        vertices: (V, 3), world, metres.
        faces: (F, 3), indices into `vertices`.
        camera: whose picture it is.

    Returns:
        height x width, True where covered.
    """
    vertices = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(faces, dtype=np.int64).reshape(-1, 3)
    faces = faces[np.isfinite(vertices[faces]).all(axis=(1, 2))]
    pixels, depth = camera.project(vertices)
    ahead = (depth >= NEAR)[faces].sum(axis=1)
    cut, _ = camera.project(_cut_at_near(vertices, depth, faces[(ahead > 0) & (ahead < 3)]))
    triangles = np.concatenate([pixels[faces[ahead == 3]], cut])
    return _cover(np.round(triangles * GRID) / GRID, camera.width, camera.height)


def mask_iou(first: Mask, second: Mask) -> float:
    """Intersection over union of two masks of one shape, 0 to 1; 1 when both are empty."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 1.0


def _cut_at_near(vertices: Floats, depth: Floats, faces: Integers) -> Floats:
    """(T, 3, 3) world triangles: the parts, at least `NEAR` away, of triangles that cross that plane."""
    ahead = depth[faces] >= NEAR
    # Turn every triangle until the corner that is alone on its side of the plane comes first.
    alone = np.where(ahead.sum(axis=1) == 1, ahead.argmax(axis=1), ahead.argmin(axis=1))
    faces = np.take_along_axis(faces, (alone[:, None] + np.arange(3)) % 3, axis=1)
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    distance = depth[faces]

    def crossing(corner: int) -> Floats:
        share = (distance[:, 0] - NEAR) / (distance[:, 0] - distance[:, corner])
        point: Floats = first + share[:, None] * (vertices[faces[:, corner]] - first)
        return point

    towards_second, towards_third = crossing(1), crossing(2)
    tip = distance[:, 0] >= NEAR
    return np.concatenate(
        [
            np.stack([first, towards_second, towards_third], axis=1)[tip],
            np.stack([towards_second, second, third], axis=1)[~tip],
            np.stack([towards_second, third, towards_third], axis=1)[~tip],
        ]
    )


def _cover(triangles: Floats, width: int, height: int) -> Mask:
    """height x width, True where a pixel centre lies in one of the (T, 3, 2) triangles in pixel coordinates."""
    one, two = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    triangles = triangles[one[:, 0] * two[:, 1] != one[:, 1] * two[:, 0]]
    order = np.argsort(triangles[:, :, 1], axis=1)
    x = np.take_along_axis(triangles[:, :, 0], order, axis=1)
    y = np.take_along_axis(triangles[:, :, 1], order, axis=1)
    seen = (y[:, 2] > 0) & (y[:, 0] < height) & (x.max(axis=1) > 0) & (x.min(axis=1) < width)
    x, y = x[seen], y[seen]
    covered = np.zeros((height, width), dtype=bool)
    if not len(x):
        return covered

    # All further work is done in the window that the triangles touch.
    left, top = (int(max(np.floor(values.min()), 0)) for values in (x, y))
    right, bottom = (int(min(np.ceil(values.max()), limit)) for values, limit in ((x, width), (y, height)))
    width, height = right - left, bottom - top
    x, y = x - left, y - top
    first = np.clip(np.ceil(y[:, 0] - 0.5), 0, height).astype(np.int64)
    rows = np.clip(np.floor(y[:, 2] - 0.5) + 1, 0, height).astype(np.int64) - first
    layers = np.zeros(height * (width + 1), dtype=np.int64)
    ends = np.cumsum(rows)
    begin = 0
    while begin < len(rows):
        stop = max(begin + 1, int(np.searchsorted(ends, ends[begin] - rows[begin] + SPANS_AT_ONCE, side="right")))
        part = slice(begin, stop)
        _add_spans(layers, x[part], y[part], first[part], rows[part], width)
        begin = stop
    covered[top:bottom, left:right] = np.cumsum(layers.reshape(height, width + 1), axis=1)[:, :width] > 0
    return covered


def _add_spans(layers: Integers, x: Floats, y: Floats, first: Integers, rows: Integers, width: int) -> None:
    """Add +1 where each triangle's span begins in each of its rows and -1 behind its end.

    `x`, `y` (T, 3) hold the corners from top to bottom; `first`, `rows` (T,) the rows that a triangle crosses.
    """
    which = np.repeat(np.arange(len(rows)), rows)
    row = np.arange(len(which)) - np.repeat(np.cumsum(rows) - rows, rows) + first[which]
    level: Floats = row.astype(np.float64) + 0.5
    (x0, x1, x2), (y0, y1, y2) = x[which].T, y[which].T
    # The long edge runs from top to bottom; the other side turns at the middle corner.
    long = _crossing(x0, y0, x2, y2, level)
    upper = (level <= y1) & (y0 < y1)
    short = _crossing(
        np.where(upper, x0, x1), np.where(upper, y0, y1), np.where(upper, x1, x2), np.where(upper, y1, y2), level
    )
    left = np.clip(np.ceil(np.minimum(long, short) - 0.5), 0, width).astype(np.int64)
    right = np.clip(np.floor(np.maximum(long, short) - 0.5) + 1, 0, width).astype(np.int64)
    filled = left < right
    base = row[filled] * (width + 1)
    layers += np.bincount(base + left[filled], minlength=len(layers))
    layers -= np.bincount(base + right[filled], minlength=len(layers))


def _crossing(x0: Floats, y0: Floats, x1: Floats, y1: Floats, level: Floats) -> Floats:
    """Where edges from (x0, y0) down to (x1, y1) cross a level; exactly the corner's x at a corner."""
    share = (level - y0) / (y1 - y0)
    crossing: Floats = np.round((x0 * (1 - share) + x1 * share) * GRID) / GRID
    return crossing
