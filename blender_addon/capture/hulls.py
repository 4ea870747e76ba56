"""Convex outlines in the picture, in pixels: what an object that lies within some points can cover at most."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def hull(points: Points) -> Points:
    """(M, 2) corners of the convex hull of (N, 2) points in pixels, to within a pixel, in one sense of rotation."""
    ordered = _outermost(points)
    rim: list[Any] = []
    for way in (ordered, ordered[::-1]):  # Andrew's monotone chain, lower half and upper half
        first = len(rim)
        for point in way:
            while len(rim) > first + 1 and _turn(rim[-2], rim[-1], point) <= 0:
                rim.pop()
            rim.append(point)
        rim.pop()
    return np.array(rim if rim else ordered[:1])


def _outermost(points: Points) -> Points:
    """Of each column of pixels the highest and the lowest point, and the outermost of all; sorted, each once."""
    columns = np.unique(np.floor(points[:, 0]), return_inverse=True)[1].ravel()
    by_row = np.lexsort((points[:, 1], columns))
    change = np.flatnonzero(np.diff(columns[by_row]))
    edges = [np.r_[0, change + 1], np.r_[change, len(by_row) - 1]]
    chosen = np.r_[by_row[edges[0]], by_row[edges[1]], points[:, 0].argmin(), points[:, 0].argmax()]
    kept: Points = np.unique(points[chosen], axis=0)
    return kept


def _turn(a: Any, b: Any, c: Any) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _sides(corners: Points) -> tuple[Points, Points]:
    """(M, 2) outward unit normals of a hull's sides and (M,) how far along them the hull reaches."""
    along = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([along[:, 1], -along[:, 0]], axis=1)
    lengths = np.linalg.norm(normals, axis=1)
    kept = lengths > 1e-9
    if kept.sum() < 3:  # a point or a line: its rectangle
        normals, kept, lengths = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), np.ones(4, bool), np.ones(4)
    normals = normals[kept] / lengths[kept, None]
    return normals, (corners @ normals.T).max(axis=0)


def covered(corners: Points, shape: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    """(H, W) mask of the pixels whose middle is within a hull that is wider by a margin (pixels; below 0: narrower)."""
    mask = np.zeros(shape, bool)
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, shape[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), 0, shape[::-1]).astype(int)
    x, y = np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5
    part = np.ones((len(y), len(x)), bool)
    for normal, reach in zip(*_sides(corners), strict=True):
        part &= x[None] * normal[0] + y[:, None] * normal[1] <= reach + margin
    mask[low[1] : high[1], low[0] : high[0]] = part
    return mask


def apart(one: Points, other: Points, margin: float) -> bool:
    """Whether two hulls are at least a margin (pixels) away from each other, by a line between them that is parallel
    to one of their sides."""
    for first, second in ((one, other), (other, one)):
        normals, reach = _sides(first)
        if ((second @ normals.T).min(axis=0) >= reach + margin).any():
            return True
    return False
