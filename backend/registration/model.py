"""The meshes of a scene as the fit sees them: one common, normalised frame, and no more triangles than are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.scene import Mesh

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Surface = tuple[Floats, Integers]
"""Points (V, 3) and faces (F, 3)."""

FINEST, COARSEST = 160, 20
"""Cells along a mesh's longest side, when it has to be simplified."""

SAMPLES = 192
"""Surface points per mesh for the coarse search."""

LAYERS, TANGLED, FEWEST = 16, 8, 64
"""A mesh is a tangle from so many areas of the box around it, or from so many times the triangles that are wanted; of
the fewest none is left out."""

JOINED = 2**20
"""Vertices closer than the longest side divided by that are one."""

DIRECTIONS = 64
"""Directions in which a mesh's outermost vertices are kept for the coarse search."""


@dataclass(frozen=True)
class Model:
    """N meshes in one frame: z up, the middle of all of them at the origin, `radius` of the given frame as unit.

    ids: (N,) instance ids, ascending.
    points, faces: all meshes after one another; owner: (F,) place in `ids` of each face's mesh.
    one_sided: (F,) True on closed surfaces.
    samples: (N, SAMPLES, 3) points spread evenly over each surface.
    extremes: (N, DIRECTIONS, 3) each mesh's outermost vertices.
    low, high: (N, 3) corners of each mesh's bounding box along the axes.
    centre, radius: point = centre + radius * normalised point, in the given frame.
    """

    ids: Integers
    points: Floats
    faces: Integers
    owner: Integers
    one_sided: NDArray[np.bool_]
    samples: Floats
    extremes: Floats
    low: Floats
    high: Floats
    centre: Floats
    radius: float

    @classmethod
    def of(cls, surfaces: Mapping[int, Surface], most_faces: int, seed: int) -> Model:
        """Join surfaces, see `tidy`, each with about `most_faces` triangles at most."""
        ids = np.array(sorted(surfaces), dtype=np.int64)
        parts = [surfaces[int(number)] for number in ids]
        low = np.array([points.min(axis=0) for points, _ in parts])
        high = np.array([points.max(axis=0) for points, _ in parts])
        centre = (low.min(axis=0) + high.max(axis=0)) / 2
        radius = float(np.linalg.norm(high.max(axis=0) - low.min(axis=0)) / 2)
        chance = np.random.default_rng(seed)
        samples = np.array([_spread(points, faces, chance) for points, faces in parts])
        extremes = np.array([_outermost(points) for points, _ in parts])
        simple = [_simplify(part, most_faces) for part in parts]
        starts = np.cumsum([0] + [len(points) for points, _ in simple])
        return cls(
            ids=ids,
            points=(np.concatenate([points for points, _ in simple]) - centre) / radius,
            faces=np.concatenate([faces + start for (_, faces), start in zip(simple, starts, strict=False)]),
            owner=np.repeat(np.arange(len(ids)), [len(faces) for _, faces in simple]),
            one_sided=np.concatenate([np.full(len(faces), _is_closed(faces)) for _, faces in simple]),
            samples=(samples - centre) / radius,
            extremes=(extremes - centre) / radius,
            low=(low - centre) / radius,
            high=(high - centre) / radius,
            centre=centre,
            radius=radius,
        )


def tidy(mesh: Mesh, most_faces: int) -> Surface:
    """A mesh, made ready to be fitted: simplified, turned outwards, its texture seams joined so that they are no
    holes. It must have a face of some area."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    points = np.asarray(mesh.vertices, dtype=np.float64)[used]
    joined, place = _clustered(points, JOINED)
    return _simplify((joined, _outward(joined, place[faces.reshape(-1, 3)])), most_faces)


def _clustered(points: Floats, cells: int) -> tuple[Floats, Integers]:
    """The mean of the points of each occupied cell of a grid with `cells` along the longest side, and each point's
    place among these."""
    low = points.min(axis=0)
    size = max(float((points.max(axis=0) - low).max()), np.finfo(np.float64).tiny) / cells
    grid = np.round((points - low) / size).astype(np.int64)
    key = (grid[:, 0] * (cells + 1) + grid[:, 1]) * (cells + 1) + grid[:, 2]
    _, place = np.unique(key, return_inverse=True)
    count = np.bincount(place)
    return np.stack([np.bincount(place, points[:, axis]) / count for axis in range(3)], axis=1), place


def _spread(points: Floats, faces: Integers, chance: np.random.Generator) -> Floats:
    """(SAMPLES, 3) points on the surface, stratified by area."""
    corners = points[faces]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.cumsum(np.linalg.norm(np.cross(one, two), axis=1))
    at = (np.arange(SAMPLES) + chance.random(SAMPLES)) / SAMPLES * area[-1]
    face = np.minimum(np.searchsorted(area, at), len(faces) - 1)
    a, b = chance.random((2, SAMPLES))
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    spread: Floats = corners[face, 0] + a[:, None] * one[face] + b[:, None] * two[face]
    return spread


def _outermost(points: Floats) -> Floats:
    """(DIRECTIONS, 3): the vertex farthest out in each direction of a Fibonacci sphere."""
    step = np.arange(DIRECTIONS) + 0.5
    height = 1 - 2 * step / DIRECTIONS
    turn = step * np.pi * (3 - np.sqrt(5))
    level = np.sqrt(1 - height**2)
    directions = np.stack([level * np.cos(turn), level * np.sin(turn), height], axis=1)
    outermost: Floats = points[np.argmax(points @ directions.T, axis=0)]
    return outermost


def _simplify(surface: Surface, most_faces: int) -> Surface:
    """Vertex clustering (Rossignac & Borrel 1993) on the finest grid that gives few enough faces."""
    points, faces = surface
    cells = FINEST
    simple = surface
    while len(simple[1]) > most_faces and cells >= COARSEST:
        middle, cluster = _clustered(points, cells)
        kept = cluster[faces]
        whole = (kept[:, 0] != kept[:, 1]) & (kept[:, 1] != kept[:, 2]) & (kept[:, 2] != kept[:, 0])
        simple = middle, kept[whole]
        # A surface has about as many faces as the square of its cells.
        cells = int(cells * min(0.9, np.sqrt(most_faces / max(len(simple[1]), 1))))
    return _thinned(simple if len(simple[1]) else surface, most_faces)


def _thinned(surface: Surface, most_faces: int) -> Surface:
    """An even choice of the triangles of a tangle, which no grid makes simpler: a few times `most_faces`, and no more
    area than a few layers of the box around it have."""
    points, faces = surface
    corners = points[faces]
    doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    one, two, three = np.ptp(corners.reshape(-1, 3), axis=0)
    most_area = LAYERS * 2 * (one * two + two * three + three * one)
    share = min(1.0, TANGLED * most_faces / len(faces), most_area / max(doubled / 2, np.finfo(np.float64).tiny))
    if share == 1.0 or len(faces) <= FEWEST:
        return surface
    chosen = np.linspace(0, len(faces) - 1, max(FEWEST, int(share * len(faces)))).astype(np.int64)
    return points, faces[np.unique(chosen)]


def _outward(points: Floats, faces: Integers) -> Integers:
    """The faces, turned round where they enclose a negative volume."""
    corners = points[faces] - points.mean(axis=0)
    volume = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
    return faces if volume >= 0 else faces[:, ::-1]


def _is_closed(faces: Integers) -> bool:
    """Whether every edge is run through as often in one direction as in the other."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    forward = np.where(start < end, 1, -1)
    edge = np.minimum(start, end) * (faces.max() + 1) + np.maximum(start, end)
    _, place = np.unique(edge, return_inverse=True)
    return not np.bincount(place.reshape(-1), forward).any()
