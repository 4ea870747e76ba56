"""Which cells the surface passes, where dual vertices are needed, and how they are joined: integers only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.isosurface.flexicubes.grid import corner_offsets, strides, unravel
from models.isosurface.flexicubes.tables import tables

INSIDE = 255
"""The case of a cell with all corners inside."""


@dataclass(frozen=True)
class SurfaceCells:
    """The cells with corners on both sides, S of them, in the order of the grid.

    Attributes:
        index: flat index among the cells, `[S]` int64, ascending.
        case: bit j is set where corner j is inside, `[S]` int64; where two neighbours would leave a tunnel between them
            that is not a manifold, the complement.
        shape: grid vertices along x, y, z.
    """

    index: Tensor
    case: Tensor
    shape: tuple[int, int, int]

    @property
    def lowest(self) -> Tensor:
        """Flat index `[S]` of the grid vertex at corner 0."""
        x, y, z = unravel(self.index, _cells(self.shape)).unbind(1)
        along_x, along_y, _ = strides(self.shape)
        return x * along_x + y * along_y + z


@dataclass(frozen=True)
class Topology:
    """V dual vertices, and the quads between them.

    Attributes:
        cell: row in `SurfaceCells` of each dual vertex, `[V]`.
        edge: its edges in the numbering of the cell, `[V, 7]`; unused places repeat the first.
        used: which of these places are used, `[V, 7]`.
        ends: grid vertices at the first and second end of each edge, `[V, 7, 2]`.
        quads: dual vertices around crossed edges that lie in four cells, `[Q, 4]`, facing outwards.
    """

    cell: Tensor
    edge: Tensor
    used: Tensor
    ends: Tensor
    quads: Tensor


def _cells(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    return shape[0] - 1, shape[1] - 1, shape[2] - 1


def raw_cases(sdf: Tensor) -> Tensor:
    """The case of every cell, `[X, Y, Z]` uint8, from values at the vertices `[X + 1, Y + 1, Z + 1]`."""
    inside = (sdf < 0).to(torch.uint8)
    x, y, z = _cells((sdf.shape[0], sdf.shape[1], sdf.shape[2]))
    cases = torch.zeros(x, y, z, dtype=torch.uint8, device=sdf.device)
    for bit, (i, j, k) in enumerate(corner_offsets(torch.device("cpu")).tolist()):
        cases |= inside[i : i + x, j : j + y, k : k + z] << bit
    return cases


def surface_cells(sdf: Tensor) -> SurfaceCells:
    """The cells that the surface passes; `sdf` is `[X + 1, Y + 1, Z + 1]`, negative inside."""
    cases = raw_cases(sdf)
    shape = _cells((sdf.shape[0], sdf.shape[1], sdf.shape[2]))
    every = cases.reshape(-1)
    index = ((every != 0) & (every != INSIDE)).nonzero()[:, 0]
    case = every[index].long()
    step = tables(sdf.device).tunnel
    flagged = step[case].any(1).nonzero()[:, 0]
    neighbour = unravel(index[flagged], shape) + step[case[flagged]]
    size = torch.tensor(shape, device=sdf.device)
    within = ((neighbour >= 0) & (neighbour < size)).all(1)
    flagged, neighbour = flagged[within], neighbour[within]
    beyond = cases[neighbour[:, 0], neighbour[:, 1], neighbour[:, 2]].long()
    switched = flagged[step[beyond].any(1)]
    case[switched] = INSIDE - case[switched]
    return SurfaceCells(index, case, (sdf.shape[0], sdf.shape[1], sdf.shape[2]))


def connect(cells: SurfaceCells, sdf: Tensor) -> Topology:
    """Dual vertices and quads of the cells of `sdf`.

    Dual vertices are numbered by cells with one of them, then those with two, and so on. Quads are ordered by the grid
    edges they surround (first end, then second end), those with an outside first end before the others.
    """
    known = tables(cells.index.device)
    along = torch.tensor(strides(cells.shape), device=cells.index.device)
    end_offsets = (corner_offsets(cells.index.device) * along).sum(1)[known.ends]
    lowest = cells.lowest

    count = known.count[cells.case]
    order = torch.argsort(count, stable=True)
    begin = count[order].cumsum(0) - count[order]
    cell = order.repeat_interleave(count[order])
    number = torch.arange(len(cell), device=cell.device) - begin.repeat_interleave(count[order])
    edge = known.edges[cells.case[cell], number]
    ends = lowest[cell, None, None] + end_offsets[edge]

    first = torch.empty_like(begin)
    first[order] = begin
    within = known.vertex[cells.case]
    row, crossed = (within >= 0).nonzero(as_tuple=True)
    vertex = first[row] + within[row, crossed]
    # From one first end edges run downwards along y, upwards along z, upwards along x: in this order of second ends.
    _, rank = torch.unique(end_offsets[:, 1] - end_offsets[:, 0], return_inverse=True)
    key, order = (3 * (lowest[row] + end_offsets[crossed, 0]) + rank[crossed]).sort(stable=True)
    # An edge lies in at most four cells, so the same key three places further on means that all four are there.
    begin = (key[3:] == key[:-3]).nonzero()[:, 0]
    quads = vertex[order][begin[:, None] + torch.arange(4, device=key.device)]
    outside = sdf.reshape(-1)[key[begin].div(3, rounding_mode="floor")] >= 0
    quads = torch.cat([quads[outside][:, [0, 1, 3, 2]], quads[~outside][:, [2, 3, 1, 0]]])
    return Topology(cell, edge, known.used[cells.case[cell], number], ends, quads)
