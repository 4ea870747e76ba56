"""Surfaces that touch themselves, taken apart: afterwards every edge has two triangles and every vertex one fan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from backend.geometry.closing import directed_edges

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

STEP = 0.01
"""How far the copies of a vertex are moved apart, as a share of the way to the middle of its own triangles: files
that merge vertices by position must not join again what was taken apart."""


def without_folds(faces: Integers) -> Integers:
    """The triangles (F, 3) without those that have a corner twice and without pairs that lie back to back.

    Neither bounds any volume, and leaving them out opens no hole.
    """
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    order = np.argsort(faces, axis=1)
    turned = np.take_along_axis(faces, order, axis=1)
    even = (np.diff(order, axis=1) % 3 == 1).all(axis=1)
    size = int(faces.max(initial=0)) + 1
    number = row_numbers(turned[:, 0] * size + turned[:, 1], turned[:, 2])
    # Of those with the same corners as many stay as one side has more than the other.
    surplus = np.bincount(number, weights=np.where(even, 1.0, -1.0))[number]
    rank = _rank(number * 2 + even)
    kept: Integers = faces[(np.where(even, surplus, -surplus) > rank)]
    return kept


def separate(vertices: Floats, faces: Integers) -> tuple[Floats, Integers]:
    """Double vertices until the surface is a manifold; its shape stays.

    Where more than two triangles share an edge, the two that have solid between them stay together. A vertex whose
    triangles form several fans becomes one vertex per fan. Two edges that still join the same two vertices, around a
    hole that has closed to a line, are told apart by cutting one in half. Unused vertices are dropped.

    Args:
        vertices: (V, 3). faces: (F, 3), counter-clockwise seen from outside.
    """
    while True:
        here, there = _neighbours(vertices, faces)
        vertices, faces = _one_vertex_per_fan(vertices, faces, here, there)
        edges = directed_edges(faces)[here]
        double = _rank(edges.min(axis=1) * len(vertices) + edges.max(axis=1)) > 0
        if not double.any():
            return vertices, faces
        vertices, faces = _halve(vertices, faces, here[double], there[double])


def _one_vertex_per_fan(vertices: Floats, faces: Integers, here: Integers, there: Integers) -> tuple[Floats, Integers]:
    """The vertices that result if triangles are joined along pairs of edges (of `directed_edges`), and nowhere else."""
    count = len(faces)
    # Edge k * F + f runs from corner k to corner k + 1 of triangle f. Its neighbour walks it the other way round.
    rows = np.concatenate([here, _next_corner(here, count)])
    columns = np.concatenate([_next_corner(there, count), there])
    links = sparse.coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(3 * count, 3 * count))
    fans, fan = connected_components(links, directed=False)
    old = np.empty(fans, dtype=np.int64)
    old[fan] = faces.T.reshape(-1)
    separated = fan.astype(np.int64).reshape(3, count).T
    moved = vertices[old].astype(np.float64)
    copies = np.bincount(old, minlength=len(vertices))[old] > 1
    if copies.any():
        touching = copies[separated].any(axis=1)
        corners = separated[touching].reshape(-1)
        middles = np.repeat(vertices[faces[touching]].mean(axis=1), 3, axis=0)
        share = np.maximum(np.bincount(corners, minlength=fans), 1)
        middle = np.stack([np.bincount(corners, middles[:, axis], fans) / share for axis in range(3)], axis=1)
        moved[copies] += STEP * (middle - moved)[copies]
    return moved, separated


def _halve(vertices: Floats, faces: Integers, here: Integers, there: Integers) -> tuple[Floats, Integers]:
    """Cut edges, given as they run in each of their two triangles, and the triangles with them; of edges that share
    a triangle only the first."""
    taken: set[int] = set()
    chosen = []
    for place, pair in enumerate((np.stack([here, there], axis=1) % len(faces)).tolist()):
        if taken.isdisjoint(pair):
            taken.update(pair)
            chosen.append(place)
    edges = np.concatenate([here[chosen], there[chosen]])
    corner, which = np.divmod(edges, len(faces))
    start, end, opposite = (faces[which, (corner + step) % 3] for step in range(3))
    count = len(edges) // 2
    middles = vertices[np.stack([start, end], axis=1)[:count]].mean(axis=1)
    aside = (vertices[opposite[:count]] + vertices[opposite[count:]]) / 2
    new = np.tile(np.arange(count), 2) + len(vertices)
    halves = [np.stack([start, new, opposite], axis=1), np.stack([new, end, opposite], axis=1)]
    whole = np.delete(faces, which, axis=0)
    return np.concatenate([vertices, middles + STEP * (aside - middles)]), np.concatenate([whole, *halves])


def is_manifold(faces: Integers) -> bool:
    """Whether every edge has exactly two triangles, which walk it in opposite directions."""
    edges = directed_edges(faces)
    size = int(faces.max(initial=0)) + 1
    there, back = np.sort(edges[:, 0] * size + edges[:, 1]), np.sort(edges[:, 1] * size + edges[:, 0])
    return bool((there == back).all() and (np.diff(there) > 0).all())


def _neighbours(vertices: Floats, faces: Integers) -> tuple[Integers, Integers]:
    """Pairs of edges (of `directed_edges`) that belong together: one runs up the vertex numbers, one down."""
    edges = directed_edges(faces)
    size = int(faces.max(initial=0)) + 1
    up = edges[:, 0] < edges[:, 1]
    key = edges.min(axis=1) * size + edges.max(axis=1)
    order = np.lexsort((up, key))
    sorted_key = key[order]
    starts = np.flatnonzero(np.diff(sorted_key, prepend=-1))
    sizes = np.diff(starts, append=len(order))
    first = starts[sizes == 2]
    plain = up[order[first]] != up[order[first + 1]]
    pairs = [np.stack([order[first + 1], order[first]], axis=1)[plain]]
    for start, many in zip(starts[sizes > 2].tolist(), sizes[sizes > 2].tolist(), strict=True):
        pairs.append(_around(vertices, faces, edges, order[start : start + many], up))
    joined = np.concatenate(pairs)
    return joined[:, 0], joined[:, 1]


def _around(vertices: Floats, faces: Integers, edges: Integers, bundle: Integers, up: Mask) -> Integers:
    """Pairs among the edges of one bundle: each that runs up, and the next one down on the solid's side of it."""
    low, high = np.sort(edges[bundle[0]])
    axis = vertices[high] - vertices[low]
    opposite = faces[bundle % len(faces), (bundle // len(faces) + 2) % 3]
    away = vertices[opposite] - vertices[low]
    axes = np.linalg.svd(np.vstack([axis, np.zeros((2, 3))]))[2][1:]
    if np.dot(np.cross(axes[0], axes[1]), axis) < 0:
        axes = axes[::-1]
    angle = np.arctan2(away @ axes[1], away @ axes[0])
    pairs = []
    free = list(np.flatnonzero(~up[bundle]))
    for one in np.flatnonzero(up[bundle]):
        if free:
            # A triangle that walks the edge upwards has its outside at growing angles, its solid at falling ones.
            other = min(free, key=lambda candidate: (angle[one] - angle[candidate]) % (2 * np.pi))
            free.remove(other)
            pairs.append((bundle[one], bundle[other]))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _next_corner(edges: Integers, count: int) -> Integers:
    """For each edge (of `directed_edges`) the number of its end as a corner: k * F + f."""
    return (edges + count) % (3 * count)


def row_numbers(*columns: NDArray[Any]) -> Integers:
    """Equal rows of equally long columns get equal numbers, counted from 0."""
    order = np.lexsort(columns)
    fresh = np.zeros(len(order), dtype=np.int64)
    for column in columns:
        fresh[1:] |= column[order][1:] != column[order][:-1]
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.cumsum(fresh)
    return numbers


def _rank(values: Integers) -> Integers:
    """How many equal values stand before each."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values)) - np.repeat(starts, np.diff(starts, append=len(values)))
    return rank
