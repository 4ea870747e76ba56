"""A mask as a flat triangle mesh: fine along the outline, coarse inside.

Marching squares on a quadtree. A cell of any size either lies wholly inside, or is crossed by the outline once and so
simply that its chord may stand for it; other cells are cut in four. Neighbours differ by one halving at most, and a
cell takes the corner of smaller neighbours on its side into its own polygon, so there are no T-junctions. Triangles
fan out from a corner inside the mask, never from the outline: no edge joins two outline vertices through the inside,
which is what lets a front and a back sheet share the outline and stay a manifold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from backend.geometry.outline import Outline, trace

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

JOINED = np.ones((3, 3), dtype=bool)
"""Pixels that touch at a corner belong together; the background then joins along edges only."""

FINEST = 4
"""A small mask is magnified at most so many times."""

DOUBLINGS = 3
"""The largest cell inside is so many doublings wider than the cells on the outline."""

CHORD = 0.4
"""Pixels. How far the outline may leave the chord that stands for it in a cell wider than one pixel."""

RELAXATIONS = 6

SMALLEST_AREA = 0.02
"""Square pixels. A triangle that smoothing makes smaller, or turns over, is taken back towards the lattice."""


@dataclass(frozen=True)
class PlanarMesh:
    """A flat mesh with the topology of a mask: one sheet per component, a hole where the mask has one.

    vertices: (V, 2) pixel coordinates x, y; the centre of the first pixel is (0.5, 0.5).
    faces: (F, 3); positive area when y points down, so clockwise to a viewer of the picture.
    boundary: (V,) True on the outline.
    """

    vertices: Floats
    faces: Integers
    boundary: Mask


def clean_mask(mask: Mask, speck: int) -> Mask:
    """The mask without separate parts of fewer than `speck` pixels (its largest part stays), its pinholes filled.

    A pinhole is a hole of fewer than speck/4 pixels: label maps are full of single wrong pixels, and each would
    become a funnel through the prop.
    """
    parts, count = ndimage.label(mask, JOINED)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = sizes >= max(speck, 1)
    keep[sizes.argmax()] = True
    keep[0] = False
    kept: Mask = keep[parts]
    holes, count = ndimage.label(~np.pad(kept, 1))
    small = np.bincount(holes.ravel(), minlength=count + 1) < speck / 4
    small[0] = small[holes[0, 0]] = False
    kept |= small[holes][1:-1, 1:-1]
    return kept


def mesh_mask(mask: Mask, detail: int = 256, speck: int = 32) -> PlanarMesh:
    """Triangulate a mask.

    Args:
        mask: HxW bool with at least one True pixel.
        detail: finest cells along the longer side of the mask's bounding box. Where the outline is too intricate
            for such cells they are made finer, down to one pixel; small masks get cells below a pixel.
        speck: see `clean_mask`.

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    if len(rows) == 0:
        raise ValueError("the mask is empty")
    crop = clean_mask(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], speck)
    longer = max(crop.shape)
    magnify = int(np.clip(detail / longer, 1, FINEST))
    plain = max(round(np.log2(longer / detail)), 0)
    coarsest = 1 << (plain + DOUBLINGS)
    node_rows, node_columns = (side * magnify + 2 for side in crop.shape)
    inside = np.zeros(
        (-(-node_rows // coarsest) * coarsest + 1, -(-node_columns // coarsest) * coarsest + 1), dtype=bool
    )
    inside[1 : node_rows - 1, 1 : node_columns - 1] = crop.repeat(magnify, axis=0).repeat(magnify, axis=1)
    outline = trace(inside, magnify)
    mesh = _relax(*_triangulate(outline, _leaves(outline, plain)))
    return replace(mesh, vertices=(mesh.vertices - 0.5) / magnify + (columns[0], rows[0]))


@dataclass(frozen=True)
class _Leaves:
    """Leaf cells of one size.

    corner: (n, 2) upper left node as row, column.
    width: in nodes.
    finer: (n, 4) whether the neighbour above, right, below, left is cut finer.
    """

    corner: Integers
    width: int
    finer: Mask


def _leaves(outline: Outline, outline_level: int) -> list[_Leaves]:
    """The quadtree's leaves, finest first, without cells that lie wholly outside."""
    nodes = outline.inside
    corners = nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]
    full, empty = np.logical_and.reduce(corners), ~np.logical_or.reduce(corners)
    whole = [np.ones_like(full)]  # per level: cells that are not cut (those wholly outside never are)
    empties = [empty]
    for level in range(1, outline_level + DOUBLINGS + 1):
        full, empty, quarters = _blocks(full), _blocks(empty), _blocks(whole[-1])
        uncut = full | _simple(outline, 1 << level) if level <= outline_level else full
        # A cell may be this wide if no neighbour has a cell less than half as wide.
        gentle = ndimage.minimum_filter(quarters, size=3, mode="constant", cval=True)
        whole.append((uncut & gentle) | empty)
        empties.append(empty)
    leaves = []
    for level, cells in enumerate(whole):
        top = level == len(whole) - 1
        covered = np.zeros_like(cells) if top else whole[level + 1].repeat(2, axis=0).repeat(2, axis=1)
        row, column = np.nonzero(cells & ~covered & ~empties[level])
        cut = ~np.pad(cells, 1, constant_values=True)
        finer = [cut[row, column + 1], cut[row + 1, column + 2], cut[row + 2, column + 1], cut[row + 1, column]]
        leaves.append(_Leaves(np.stack([row, column], axis=1) << level, 1 << level, np.stack(finer, axis=1)))
    return leaves


def _blocks(cells: Mask) -> Mask:
    """True where all four cells of a 2x2 block are."""
    pairs = cells[::2] & cells[1::2]
    result: Mask = pairs[:, ::2] & pairs[:, 1::2]
    return result


def _simple(outline: Outline, width: int) -> Mask:
    """Cells of `width` nodes that the outline crosses once: in by one side and out by another, never twice through
    any row or column of nodes (so no island, hole or diagonal contact hides inside), and close to its chord."""
    across, down, steady = outline.sides(width)
    ends = np.sort([across[:-1], across[1:], down[:, :-1], down[:, 1:]], axis=0)
    simple: Mask = steady & (ends[1] < 0) & (ends[2] >= 0)
    inner = np.nonzero((outline.halfway % width != 0).all(axis=1))[0]
    column, row = (outline.halfway[inner] // width).astype(np.int64).T
    start, end = outline.points[ends[2:, row, column]]
    chord, point = end - start, outline.points[inner] - start
    distance = np.abs(chord[:, 0] * point[:, 1] - chord[:, 1] * point[:, 0])
    far = distance > CHORD * np.linalg.norm(chord, axis=1)
    simple[row[far], column[far]] = False
    return simple


def _triangulate(outline: Outline, leaves: list[_Leaves]) -> tuple[PlanarMesh, Floats]:
    """The leaves' triangles on the lattice, in node units, and where smoothing wants the outline vertices to be."""
    nodes, columns = outline.inside.size, outline.inside.shape[1]
    rings = np.concatenate([_rings(outline, cells) for cells in leaves])
    used = np.unique(rings[rings >= 0])
    boundary = used >= nodes
    places = np.stack([used % columns, used // columns], axis=1).astype(np.float64)
    places[boundary] = outline.halfway[used[boundary] - nodes]
    rings = np.where(rings >= 0, np.searchsorted(used, rings), -1)
    return PlanarMesh(places, _fans(rings, places, boundary), boundary), outline.points[used[boundary] - nodes]


def _rings(outline: Outline, leaves: _Leaves) -> Integers:
    """The polygon of the inside in each leaf, (n, 16): node numbers (row major), crossing numbers after them, -1 in
    the places that are not taken. From the upper left to the upper right corner and so on: corner, crossing in the
    first half of the side, middle, crossing in the second half."""
    inside, width = outline.inside, leaves.width
    count = inside.size
    row, column = leaves.corner.T
    across, down, _ = outline.sides(width)
    i, j = row // width, column // width
    side_numbers = [across[i, j], down[i, j + 1], across[i + 1, j], down[i, j]]
    steps = [(0, 0), (0, width), (width, width), (width, 0)]
    ring = np.full((len(row), 16), -1, dtype=np.int64)
    for side, (number, start, end) in enumerate(zip(side_numbers, steps, steps[1:] + steps[:1], strict=True)):
        corner = (row + start[0], column + start[1])
        ring[:, 4 * side] = np.where(inside[corner], corner[0] * inside.shape[1] + corner[1], -1)
        crossed = number >= 0
        halfway = outline.halfway[number] - np.stack([corner[1], corner[0]], axis=1)
        late = np.abs(halfway).sum(axis=1) > width / 2
        ring[:, 4 * side + 1] = np.where(crossed & ~late, count + number, -1)
        ring[:, 4 * side + 3] = np.where(crossed & late, count + number, -1)
        if width > 1:
            middle = (row + (start[0] + end[0]) // 2, column + (start[1] + end[1]) // 2)
            used = leaves.finer[:, side] & inside[middle]
            ring[:, 4 * side + 2] = np.where(used, middle[0] * inside.shape[1] + middle[1], -1)
    # Every other cell starts at another corner, so the diagonals of plain squares alternate.
    odd = (i + j) % 2 == 1
    ring[odd] = np.roll(ring[odd], -4, axis=1)
    return ring


def _fans(rings: Integers, places: Floats, boundary: Mask) -> Integers:
    """Cut each polygon into triangles round that corner inside the mask which gives the best worst triangle."""
    taken = np.count_nonzero(rings >= 0, axis=1)
    rings = np.take_along_axis(rings, np.argsort(rings < 0, axis=1, kind="stable"), axis=1)
    faces = []
    for corners in range(3, int(taken.max()) + 1):
        polygon = rings[taken == corners, :corners]
        best = np.full(len(polygon), -np.inf)
        apex = np.zeros(len(polygon), dtype=np.int64)
        for first in range(corners):
            fan = np.roll(polygon, -first, axis=1)
            at = places[fan]
            arm, side = at[:, 1:] - at[:, :1], np.diff(at[:, 1:], axis=1)
            area = arm[:, :-1, 0] * side[..., 1] - arm[:, :-1, 1] * side[..., 0]
            size = (arm[:, :-1] ** 2).sum(axis=2) + (arm[:, 1:] ** 2).sum(axis=2) + (side**2).sum(axis=2)
            quality = np.where(boundary[fan[:, 0]], -np.inf, (area / size).min(axis=1))
            apex[quality > best + 1e-9] = first
            best = np.maximum(best, quality)
        fan = np.take_along_axis(polygon, (apex[:, None] + np.arange(corners)) % corners, axis=1)
        faces += [fan[:, [0, second, second + 1]] for second in range(1, corners - 1)]
    return np.concatenate(faces)


def _relax(mesh: PlanarMesh, outline: Floats) -> PlanarMesh:
    """Move the outline to its smoothed place and let the inside follow; where that would turn a triangle over or
    squeeze it to nothing, go only part of the way.

    Args:
        mesh: on the lattice.
        outline: the smoothed places of the outline vertices, in their order.
    """
    faces, count = mesh.faces, len(mesh.vertices)
    ends = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    joined = sparse.csr_array((np.ones(len(ends)), ends.T), shape=(count, count))
    joined = ((joined + joined.T) > 0).astype(np.float64)
    target = mesh.vertices.copy()
    target[mesh.boundary] = outline
    inner = ~mesh.boundary
    average = joined[np.nonzero(inner)[0]]
    degree = average.sum(axis=1)[:, None]
    for _ in range(RELAXATIONS):
        target[inner] = average @ target / degree
    way = target - mesh.vertices
    share = np.ones((count, 1))
    for attempt in range(count + 8):
        vertices = mesh.vertices + share * way
        squeezed = triangle_areas(vertices, faces) < SMALLEST_AREA
        if not squeezed.any():
            break
        touched = np.unique(faces[squeezed])
        share[touched] = share[touched] / 2 if attempt < 5 else 0.0
    return replace(mesh, vertices=vertices)


def triangle_areas(vertices: Floats, faces: Integers) -> Floats:
    """(F,) signed areas; positive when the corners go from x to y the short way."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    result: Floats = 0.5 * ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))
    return result
