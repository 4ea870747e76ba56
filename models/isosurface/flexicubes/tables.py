"""The 256 cases of dual marching cubes, derived: which crossed edges of a cell share a dual vertex.

A case is the set of inside corners of a cell, bit j for corner j. On a face with two crossed edges these belong
together. On an ambiguous face (four crossed edges: the inside corners are diagonal) those at the same inside corner
do, so inside corners are kept apart and outside corners are joined. The connected groups are the dual vertices of the
cell (Nielson, "Dual Marching Cubes", 2004).

One thing is left that can make an edge of the mesh belong to four triangles: a cell with exactly one ambiguous face
and one dual vertex next to another such cell at that face. Both are then treated as the complement of their case,
which parts the tunnel between them (Wenger, "Isosurfaces", 2013, on cases C16 and C19).

The numbering within a cell decides the order of vertices and faces of a mesh. It is that of the published tables:
groups by their corners on the side, inside or outside, that has fewer (inside for four and four), then by their edges;
edges ascending. `tests/parity/instantmesh/test_flexicubes.py` compares every entry with the published tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

EDGES = ((0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4))
"""The corners at the two ends of each edge. Edges along x and z run upwards, along y downwards, in every cell."""

MOST_VERTICES, MOST_EDGES = 4, 7
"""Dual vertices of a cell, edges of a dual vertex: at most."""

FACES = tuple(
    (axis, side, tuple(corner for corner in range(8) if corner >> axis & 1 == side))
    for axis in range(3)
    for side in (0, 1)
)


@dataclass(frozen=True)
class Tables:
    """Per case, on one device.

    Attributes:
        count: number of dual vertices, `[256]`.
        edges: the edges of each dual vertex, `[256, 4, 7]`; unused places repeat its first edge.
        used: which places of `edges` are used, `[256, 4, 7]`.
        vertex: number of the dual vertex of each edge, `[256, 12]`; -1 where the surface does not cross.
        tunnel: step `[256, 3]` to the neighbour at the one ambiguous face of a cell with one dual vertex; else 0.
        ends: first and second corner of each edge, `[12, 2]`.
    """

    count: Tensor
    edges: Tensor
    used: Tensor
    vertex: Tensor
    tunnel: Tensor
    ends: Tensor


def inside(case: int) -> set[int]:
    """The inside corners of a case."""
    return {corner for corner in range(8) if case >> corner & 1}


def crossed(case: int, corners: tuple[int, ...] = tuple(range(8))) -> list[int]:
    """Edges between an inside and an outside corner, both among `corners`."""
    within = inside(case)
    return [
        edge
        for edge, ends in enumerate(EDGES)
        if set(ends) <= set(corners) and (ends[0] in within) is not (ends[1] in within)
    ]


def dual_vertices(case: int) -> list[list[int]]:
    """The edges of each dual vertex of a case, in the published order."""
    within = inside(case)
    groups = [{edge} for edge in crossed(case)]
    for _, _, corners in FACES:
        around = crossed(case, corners)
        shared = [set(around)]
        if len(around) == 4:
            shared = [{edge for edge in around if corner in EDGES[edge]} for corner in within.intersection(corners)]
        for edges in shared:
            touched = [group for group in groups if group & edges]
            groups = [group for group in groups if not group & edges] + [set().union(*touched)] * bool(touched)
    fewer = within if len(within) <= 4 else set(range(8)) - within
    return sorted((sorted(group) for group in groups), key=lambda group: (_touched(group, fewer), group))


def _touched(group: list[int], among: set[int]) -> list[int]:
    return sorted(among.intersection(corner for edge in group for corner in EDGES[edge]))


def tunnel(case: int) -> tuple[int, int, int]:
    """Step to the neighbour beyond the only ambiguous face, if the case has one dual vertex; else no step."""
    ambiguous = [(axis, side) for axis, side, corners in FACES if len(crossed(case, corners)) == 4]
    step = [0, 0, 0]
    if len(ambiguous) == 1 and len(dual_vertices(case)) == 1:
        axis, side = ambiguous[0]
        step[axis] = 2 * side - 1
    return step[0], step[1], step[2]


@cache
@torch.inference_mode(False)  # kept, so usable with gradients even if first asked for without
def tables(device: torch.device) -> Tables:
    """All cases; the same object for the same device."""
    edges = torch.zeros(256, MOST_VERTICES, MOST_EDGES, dtype=torch.int64)
    used = torch.zeros(256, MOST_VERTICES, MOST_EDGES, dtype=torch.bool)
    vertex = torch.full((256, len(EDGES)), -1, dtype=torch.int64)
    count = torch.zeros(256, dtype=torch.int64)
    for case in range(256):
        groups = dual_vertices(case)
        count[case] = len(groups)
        for number, group in enumerate(groups):
            edges[case, number] = group[0]
            edges[case, number, : len(group)] = torch.tensor(group)
            used[case, number, : len(group)] = True
            vertex[case, group] = number
    steps = torch.tensor([tunnel(case) for case in range(256)])
    every = (count, edges, used, vertex, steps, torch.tensor(EDGES))
    return Tables(*(table.to(device) for table in every))
