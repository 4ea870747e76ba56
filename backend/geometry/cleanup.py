"""From the raw triangles of a learned field to a mesh to work with: no specks, no hollows, no holes, few triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fast_simplification import simplify  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.errors import Problem
from backend.geometry.closing import close_holes
from backend.geometry.manifold import is_manifold, row_numbers, separate, without_folds

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

GENTLE, ROUGH = 3.0, 7.0
"""First and last "aggressiveness" of fast-simplification: the power with which the allowed error grows from round to
round. What the gentle rounds cannot reach is tried with the next."""

SIZE = 10.0
"""Bounding box diagonal at which a mesh is decimated: the allowed error starts at an absolute 2.7e-8 of squared length,
which is then a sixty-thousandth of the diagonal."""

WORTH_WHILE = 0.95
"""Another round of the same kind is made if the last one left at most this share of the triangles."""

LARGEST_ERROR = 0.02
"""Of the diagonal: a round that moves the surface by more is undone, and the mesh stays above its budget."""

UNEVENNESS = 3e-5
"""Of the diagonal: noise that makes one edge cheaper to collapse than another on perfectly flat surfaces. Without it
they end as slivers that nothing can collapse any more; a field of 513 samples is thirty times coarser."""

CHECKED, SAMPLES = 4000, 40_000
"""Points whose distance is measured, and points on the other surface that they are measured to."""


@dataclass(frozen=True)
class Cleaned:
    """A closed mesh that faces outwards.

    vertices: (V, 3), the input's units and axes. faces: (F, 3), counter-clockwise seen from outside.
    removed_pieces: how many separate pieces were too small or lay hidden inside others.
    watertight: every edge has exactly two triangles, turned the same way.
    """

    vertices: Floats
    faces: Integers
    removed_pieces: int
    watertight: bool


def clean(
    vertices: NDArray[np.floating], faces: NDArray[np.integer], *, target_faces: int, smallest_piece: float
) -> Cleaned:
    """Clean the triangles that marching cubes gives of a learned field.

    Pieces are compared by surface area: unlike volume it counts a lamp shade or a cable as what the eye sees of them,
    and unlike triangles it does not depend on the sampling. A closed piece that is turned inside out is the wall of a
    hollow, as the surface of a field always faces out of its solid; nobody can see it, so it is removed. Holes, where
    the surface leaves the sampled box, are filled flat.

    Args:
        vertices: (V, 3), any units. faces: (F, 3), all turned the same way round.
        target_faces: triangles to decimate to, 0 for all. Some more stay where fewer would cost the shape.
        smallest_piece: a piece with less than this share of the largest piece's area is removed, 0 to 1.

    Raises:
        Problem: "geometry-failed" if not one triangle has three corners at different, finite places.
    """
    points, triangles = _tidy(np.asarray(vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64))
    if not len(triangles):
        raise Problem("geometry-failed", "The surface has no triangle with three corners.")
    piece = _pieces(points, triangles)
    area = np.bincount(piece, _areas(points, triangles))
    large = area >= smallest_piece * area.max()
    triangles, hollows = _outer_walls(points, close_holes(points, triangles[large[piece]]))
    points, triangles = separate(points, triangles)
    if 0 < target_faces < len(triangles):
        points, triangles = _decimate(points, triangles, target_faces)
    return Cleaned(points, triangles, int(np.count_nonzero(~large)) + hollows, is_manifold(triangles))


def _tidy(points: Floats, faces: Integers) -> tuple[Floats, Integers]:
    """Equal vertices made one; triangles with a broken corner, without three corners or back to back left out."""
    faces = faces[np.isfinite(points)[faces].all(axis=(1, 2))]
    number = row_numbers(*(points + 0.0).T)  # -0.0 and 0.0 are one place
    merged = np.empty((int(number.max(initial=-1)) + 1, 3))
    merged[number] = points
    return merged, without_folds(number[faces])


def _pieces(points: Floats, faces: Integers) -> Integers:
    """(F,) the number of the connected piece that each triangle belongs to, counted from 0 without a gap."""
    rows, columns = faces[:, :2].reshape(-1), faces[:, 1:].reshape(-1)
    links = sparse.coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(len(points), len(points)))
    _, of_vertex = connected_components(links, directed=False)
    _, piece = np.unique(of_vertex[faces[:, 0]], return_inverse=True)
    return piece.astype(np.int64)


def _outer_walls(points: Floats, faces: Integers) -> tuple[Integers, int]:
    """The pieces of a closed surface that are no walls of hollows, facing outwards, and how many are."""
    piece = _pieces(points, faces)
    corners = points[faces] - points[faces[0, 0]]
    area = np.bincount(piece, _areas(points, faces))
    volume = np.bincount(piece, np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])))
    largest = int(area.argmax())
    if volume[largest] < 0:
        faces, volume = faces[:, ::-1], -volume
    return faces[volume[piece] >= 0], int(np.count_nonzero(volume < 0))


def _decimate(points: Floats, faces: Integers, target: int) -> tuple[Floats, Integers]:
    """Collapse edges, the cheapest first (Garland and Heckbert, 1997), until the target or the largest error is met."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, scale = (low + high) / 2, SIZE / max(float(np.linalg.norm(high - low)), 1e-300)
    original = (points - middle) * scale
    noise = np.random.default_rng(0).normal(0.0, UNEVENNESS * SIZE, points.shape)
    best, best_faces = original + noise, faces
    for aggressiveness in np.arange(GENTLE, ROUGH + 1):
        before = np.inf
        while target < len(best_faces) < WORTH_WHILE * before:
            before = len(best_faces)
            vertices, fewer = simplify(best, best_faces.astype(np.int32), target_count=target, agg=aggressiveness)
            fewer = without_folds(fewer.astype(np.int64))
            if not len(fewer) or _deviation(original, faces, vertices, fewer) > LARGEST_ERROR * SIZE:
                return best / scale + middle, best_faces
            best, best_faces = separate(vertices, fewer)
    return best / scale + middle, best_faces


def _deviation(points: Floats, faces: Integers, others: Floats, other_faces: Integers) -> float:
    """About the Hausdorff distance of two surfaces: the farthest any vertex of one is from the other."""
    there, _ = cKDTree(_spread(others, other_faces)).query(_some(points, CHECKED))
    back, _ = cKDTree(_spread(points, faces)).query(_some(others[other_faces].mean(axis=1), CHECKED))
    return float(max(there.max(), back.max()))


def _some(rows: Floats, most: int) -> Floats:
    return rows[:: max(1, len(rows) // most)]


def _spread(points: Floats, faces: Integers) -> Floats:
    """(SAMPLES, 3) points spread evenly over a surface, always the same ones."""
    ends = np.cumsum(_areas(points, faces))
    which = np.searchsorted(ends, (np.arange(SAMPLES) + 0.5) / SAMPLES * ends[-1]).clip(max=len(faces) - 1)
    # The R2 sequence (Roberts, 2018), folded into the triangle.
    across, down = (np.arange(SAMPLES)[:, None] * (0.7548776662466927, 0.5698402909980532) % 1.0).T
    folded = across + down > 1
    across, down = np.where(folded, 1 - across, across), np.where(folded, 1 - down, down)
    corner, one, two = (points[faces[which, number]] for number in range(3))
    spread: Floats = corner + across[:, None] * (one - corner) + down[:, None] * (two - corner)
    return spread


def _areas(points: Floats, faces: Integers) -> Floats:
    one, two, three = (points[faces[:, corner]] for corner in range(3))
    areas: Floats = 0.5 * np.linalg.norm(np.cross(two - one, three - one), axis=1)
    return areas
