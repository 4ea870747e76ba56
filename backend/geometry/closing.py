"""Holes in a triangle mesh: found as the edges that nothing answers, and filled flat.

Every edge of a closed surface is walked once in each direction. What is left over after all pairs have cancelled is
the surface's border; it always falls apart into closed rings, however wildly the triangles meet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def open_edges(faces: Integers) -> Integers:
    """(E, 2) directed edges of the border, as the triangles (F, 3) walk them; none for a closed surface.

    An edge that is walked more often one way than the other is there as often as its answer is missing.
    """
    edges = directed_edges(faces)
    size = int(faces.max(initial=0)) + 1
    forward = edges[:, 0] < edges[:, 1]
    key, number = np.unique(edges.min(axis=1) * size + edges.max(axis=1), return_inverse=True)
    surplus = np.bincount(number, weights=np.where(forward, 1.0, -1.0), minlength=len(key)).astype(np.int64)
    left = np.repeat(np.arange(len(key)), np.abs(surplus))
    low, high = np.divmod(key[left], size)
    ahead = surplus[left] > 0
    return np.stack([np.where(ahead, low, high), np.where(ahead, high, low)], axis=1)


def directed_edges(faces: Integers) -> Integers:
    """(3 F, 2): first every triangle's edge from corner 0 to 1, then from 1 to 2, then from 2 to 0."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def close_holes(vertices: Floats, faces: Integers) -> Integers:
    """The triangles (F, 3) and those that fill every hole; no vertex is added.

    A hole is filled by cutting off ears (Meisters, "Polygons have ears", 1975) of its outline, seen along its mean
    normal: exact for the flat holes where a surface leaves the box it was sampled in.
    """
    caps = [_fill(vertices, ring) for ring in _rings(open_edges(faces))]
    return np.concatenate([faces, *caps])


def _rings(edges: Integers) -> list[Integers]:
    """Directed edges as closed walks without a vertex visited twice."""
    following: dict[int, list[int]] = {}
    for start, end in edges.tolist():
        following.setdefault(start, []).append(end)
    rings = []
    for first in list(following):
        path, place = [first], {first: 0}
        while following[path[-1]]:
            vertex = following[path[-1]].pop()
            if vertex in place:
                begin = place[vertex]
                rings.append(np.array(path[begin:], dtype=np.int64))
                for passed in path[begin + 1 :]:
                    del place[passed]
                del path[begin + 1 :]
            else:
                place[vertex] = len(path)
                path.append(vertex)
    return rings


def _fill(vertices: Floats, ring: Integers) -> Integers:
    """Triangles that answer every edge of a ring of n vertices: n - 2 of them."""
    ring = ring[::-1]
    points = vertices[ring] - vertices[ring].mean(axis=0)
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0)  # Newell
    axes = np.linalg.svd(np.vstack([normal, np.zeros((2, 3))]))[2][1:]
    flat = points @ axes.T
    if np.dot(np.cross(axes[0], axes[1]), normal) < 0:
        flat = flat[:, ::-1]
    left = list(range(len(ring)))
    cut: list[tuple[int, int, int]] = []
    at = 0
    while len(left) > 3:
        # Going on behind the last ear instead of from the start keeps the triangles from becoming one fan.
        turns = [(at + step) % len(left) for step in range(len(left))]
        ear = next((turn for turn in turns if _is_ear(flat, left, turn)), turns[0])
        cut.append((left[ear - 1], left[ear], left[(ear + 1) % len(left)]))
        del left[ear]
        at = ear
    cut.append((left[0], left[1], left[2]))
    return ring[np.array(cut, dtype=np.int64)]


def _is_ear(flat: Floats, left: list[int], turn: int) -> bool:
    """Whether the triangle at a corner lies inside the outline and holds no other corner of it."""
    before, here, after = left[turn - 1], left[turn], left[(turn + 1) % len(left)]
    triangle = flat[[before, here, after]]
    if _side(triangle[0], triangle[1], triangle[2]) <= 0:
        return False
    others = flat[[index for index in left if index not in (before, here, after)]]
    inside = np.ones(len(others), dtype=bool)
    for corner in range(3):
        inside &= _side(triangle[corner], triangle[(corner + 1) % 3], others) >= 0
    return not inside.any()


def _side(start: Floats, end: Floats, points: Floats) -> Floats:
    """Twice the area of start, end, point: positive to the left of the line."""
    along, to = end - start, points - start
    side: Floats = along[0] * to[..., 1] - along[1] * to[..., 0]
    return side
