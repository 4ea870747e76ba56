"""A cube cut into tetrahedra, of which only those that a surface passes are ever written down.

The lattice is body-centred: the corners of N³ cells and their middles. Two cells that share a side make four
tetrahedra of its corners and both middles, all of one shape, so no direction is preferred and no triangle much longer
than others; the cells along the border make pyramids with it, two tetrahedra each. Every tetrahedron has a positive
determinant. Published grids of a "resolution" have as many (32: 30136, 64: 192492, 128: 1524684) within an eighth.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

CHUNK = 1 << 18
"""Listed tetrahedra looked at at once."""

CELLS = 0.4
"""Cells along an axis for each step of a published grid's resolution."""

SMALLEST, LARGEST = 2, 256


class Tetrahedra(Protocol):
    """[-1, 1]³ cut into tetrahedra."""

    @property
    def vertices(self) -> int:
        """How many vertices there are."""
        ...

    @property
    def resolution(self) -> float:
        """How fine they are, in the numbers of published grids."""
        ...

    def points(self, index: Tensor) -> Tensor:
        """Coordinates `[N, 3]` float32 of vertices `[N]` int64."""
        ...

    def crossed(self, inside: Tensor) -> Tensor:
        """The tetrahedra `[T, 4]` int64, with positive determinants, of which some corners are `inside` `[V]`."""
        ...


@dataclass(frozen=True)
class TetrahedralGrid:
    """[-1, 1]³ in 12 cells³ tetrahedra; (cells + 1)³ corners come first among the vertices, then cells³ middles, both
    with x slowest.

    Args:
        cells: along each axis, 2 to 256.

    Raises:
        ValueError: out of range.
    """

    cells: int

    def __post_init__(self) -> None:
        if not SMALLEST <= self.cells <= LARGEST:
            raise ValueError(f"A grid has {SMALLEST} to {LARGEST} cells along each axis, not {self.cells}.")

    @classmethod
    def of_resolution(cls, resolution: int) -> TetrahedralGrid:
        """The grid that has about as many tetrahedra as the published one of a resolution (32, 64, 128, 256)."""
        return cls(round(CELLS * resolution))

    @property
    def resolution(self) -> float:
        """That of a published grid as fine as this one."""
        return self.cells / CELLS

    @property
    def spacing(self) -> float:
        """Edge length of a cell. The edges of tetrahedra are as long, or 0.87 times that."""
        return 2 / self.cells

    @property
    def corners(self) -> int:
        """How many vertices are corners of cells."""
        return (self.cells + 1) ** 3

    @property
    def vertices(self) -> int:
        """How many vertices there are."""
        return self.corners + self.cells**3

    def points(self, index: Tensor) -> Tensor:
        """Coordinates `[N, 3]` float32 of vertices `[N]` int64."""
        middle = index >= self.corners
        side = torch.where(middle, self.cells, self.cells + 1)
        place = index - torch.where(middle, self.corners, 0)
        row, z = place.div(side, rounding_mode="floor"), place % side
        x, y = row.div(side, rounding_mode="floor"), row % side
        halves = 2 * torch.stack([x, y, z], dim=1) + middle.long()[:, None]
        return halves.float() / self.cells - 1

    def crossed(self, inside: Tensor) -> Tensor:
        """The tetrahedra `[T, 4]` int64 of which some corners are inside and some are not.

        Memory grows with the vertices by a few bytes each, and with the surface.

        Args:
            inside: `[V]` bool.
        """
        found = [tetrahedra for tetrahedra in self._sides(inside) if len(tetrahedra)]
        return torch.cat(found) if found else torch.empty(0, 4, dtype=torch.int64, device=inside.device)

    def pieces(self, chosen: Tensor) -> Tensor:
        """Which piece each vertex belongs to, `[V]` int64 from 1 on, of those that edges join; 0 where not `chosen`."""
        n = self.cells
        vertices = np.zeros((2 * n + 1,) * 3, dtype=bool)  # half the lattice's spacing: a middle is between corners
        vertices[::2, ::2, ::2] = chosen[: self.corners].cpu().numpy().reshape(n + 1, n + 1, n + 1)
        vertices[1::2, 1::2, 1::2] = chosen[self.corners :].cpu().numpy().reshape(n, n, n)
        joined = vertices.copy()
        for axis in range(3):  # what lies between two neighbours along an axis
            before, after = np.moveaxis(vertices, axis, 0)[:-2], np.moveaxis(vertices, axis, 0)[2:]
            np.moveaxis(joined, axis, 0)[1:-1] |= before & after
        neighbours = ndimage.generate_binary_structure(3, 1)
        neighbours[::2, ::2, ::2] = True
        piece, _ = ndimage.label(joined, neighbours)
        parts = [piece[::2, ::2, ::2].reshape(-1), piece[1::2, 1::2, 1::2].reshape(-1)]
        return torch.from_numpy(np.concatenate(parts).astype(np.int64)).to(chosen.device)

    def border(self, device: torch.device | str = "cpu") -> Tensor:
        """Which vertices `[V]` lie on the walls of the cube."""
        side = self.cells + 1
        walls = torch.ones(side, side, side, dtype=torch.bool, device=device)
        walls[1:-1, 1:-1, 1:-1] = False
        middles = torch.zeros(self.vertices - self.corners, dtype=torch.bool, device=device)
        return torch.cat([walls.reshape(-1), middles])

    def enclosed(self, inside: Tensor) -> Tensor:
        """`inside` `[V]` bool, and with it all vertices from which no way leads to the border of the cube."""
        piece = self.pieces(~inside)
        reached = torch.zeros(int(piece.max()) + 1, dtype=torch.bool, device=inside.device)
        reached[piece[self.border(inside.device)]] = True
        reached[0] = False
        return ~reached[piece]

    def _sides(self, inside: Tensor) -> Iterator[Tensor]:
        """The crossed tetrahedra of the cells' sides, axis by axis: between cells, then along both borders."""
        n = self.cells
        corner, middle = inside[: self.corners].reshape(n + 1, n + 1, n + 1), inside[self.corners :].reshape(n, n, n)
        for axis in range(3):
            # The side's corners, all planes of them, counter-clockwise seen from where the axis leads to.
            across, up = (axis + 1) % 3, (axis + 2) % 3
            around = ((0, 0), (1, 0), (1, 1), (0, 1))
            square = [corner.narrow(across, a, n).narrow(up, b, n) for a, b in around]
            within = [each.narrow(axis, 1, n - 1) for each in square]
            between = _mixed([middle.narrow(axis, 0, n - 1), middle.narrow(axis, 1, n - 1), *within])
            cell = between.nonzero()
            onward = cell + torch.eye(3, dtype=torch.int64, device=cell.device)[axis]
            ring = self._ring(onward, across, up)
            ends = [self._middle(cell), self._middle(onward)]
            yield from (_kept(torch.stack([*ends, ring[i], ring[(i + 1) % 4]], 1), inside) for i in range(4))
            for plane, turned in ((0, True), (n, False)):
                layer = min(plane, n - 1)
                mixed = _mixed([middle.narrow(axis, layer, 1), *(each.narrow(axis, plane, 1) for each in square)])
                cell = mixed.nonzero()
                cell[:, axis] = layer
                side = cell.clone()
                side[:, axis] = plane
                ring, apex = self._ring(side, across, up), self._middle(cell)
                for one, two in ((1, 2), (2, 3)):
                    one, two = (two, one) if turned else (one, two)
                    yield _kept(torch.stack([apex, ring[0], ring[one], ring[two]], 1), inside)

    def _ring(self, lowest: Tensor, across: int, up: int) -> list[Tensor]:
        """The numbers of a square's corners, from that of the lowest at lattice places `[N, 3]`."""
        side = self.cells + 1
        stride = (side * side, side, 1)
        first = (lowest * torch.tensor(stride, device=lowest.device)).sum(1)
        return [first, first + stride[across], first + stride[across] + stride[up], first + stride[up]]

    def _middle(self, cell: Tensor) -> Tensor:
        n = self.cells
        return self.corners + (cell * torch.tensor([n * n, n, 1], device=cell.device)).sum(1)


class ListedTetrahedra:
    """Tetrahedra that somebody else has cut, all of them written down.

    Args:
        places: `[V, 3]` float32.
        tetrahedra: `[T, 4]` integers, turned either way.
        resolution: see `Tetrahedra`.

    Raises:
        ValueError: a tetrahedron names a vertex that is not there, or there is none.
    """

    def __init__(self, places: Tensor, tetrahedra: Tensor, resolution: float) -> None:
        if places.ndim != 2 or places.shape[1] != 3 or tetrahedra.ndim != 2 or tetrahedra.shape[1] != 4:
            raise ValueError(f"{list(places.shape)} and {list(tetrahedra.shape)} are no vertices and tetrahedra.")
        if not len(tetrahedra) or not 0 <= int(tetrahedra.min()) <= int(tetrahedra.max()) < len(places):
            raise ValueError(f"There are no tetrahedra, or one names a vertex that is not among the {len(places)}.")
        self._places, self.resolution = places, resolution
        self._tetrahedra = tetrahedra.to(torch.int32)
        for piece in torch.split(self._tetrahedra, CHUNK):
            corner = places[piece.long()].double()
            away = (torch.linalg.det(corner[:, 1:] - corner[:, :1]) < 0)[:, None]
            piece[:, 2:] = torch.where(away, piece[:, 2:].flip(1), piece[:, 2:])

    @property
    def vertices(self) -> int:
        """How many vertices there are."""
        return len(self._places)

    def points(self, index: Tensor) -> Tensor:
        """Coordinates `[N, 3]` of vertices `[N]`, where the vertices are kept."""
        return self._places[index.to(self._places.device)].to(index.device)

    def crossed(self, inside: Tensor) -> Tensor:
        """Those of which some corners are inside and some are not; looked for in pieces."""
        here = inside.to(self._tetrahedra.device)
        found = [_kept(piece.long(), here) for piece in torch.split(self._tetrahedra, CHUNK)]
        return torch.cat(found).to(inside.device)


def _mixed(parts: list[Tensor]) -> Tensor:
    """Where some of them are true and some are not."""
    count = torch.zeros_like(parts[0], dtype=torch.int8)
    for part in parts:
        count += part
    return (count > 0) & (count < len(parts))


def _kept(tetrahedra: Tensor, inside: Tensor) -> Tensor:
    corners = inside[tetrahedra]
    return tetrahedra[corners.any(1) & ~corners.all(1)]


EDGES = tuple(itertools.combinations(range(4), 2))
"""The edges of a tetrahedron, by its corners."""

DIAGONALS = (((0, 2), (1, 3)), ((0, 3), (1, 2)), ((0, 1), (2, 3)))
"""Along the first of these that joins opposite corners of it, a square is cut into two triangles."""


def _triangles(case: int) -> list[tuple[int, int, int]]:
    """The triangles, by their edges, of a tetrahedron whose corner k is inside if bit k is set; they face outwards."""
    inside = [corner for corner in range(4) if case >> corner & 1]
    outside = [corner for corner in range(4) if not case >> corner & 1]
    if not inside or not outside:
        return []
    cut = [edge for edge in EDGES if (edge[0] in inside) != (edge[1] in inside)]
    if len(cut) == 3:
        return [_outward(cut, inside, outside)]
    ends = next(pair for pair in DIAGONALS if pair[0] in cut and pair[1] in cut)
    return [_outward([*ends, other], inside, outside) for other in cut if other not in ends]


def _outward(edges: list[tuple[int, int]], inside: list[int], outside: list[int]) -> tuple[int, int, int]:
    """Three edges, in the order in which a triangle of their middles looks from the inside corners to the others."""
    place = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    one, two, three = (place[list(edge)].mean(0) for edge in edges)
    normal = torch.linalg.cross(two - one, three - one)
    numbers = [EDGES.index(edge) for edge in edges]
    if float(normal @ (place[outside].mean(0) - place[inside].mean(0))) < 0:
        numbers[1], numbers[2] = numbers[2], numbers[1]
    return numbers[0], numbers[1], numbers[2]


TRIANGLES = tuple(_triangles(case) for case in range(16))


@dataclass(frozen=True)
class Crossings:
    """Which edges of tetrahedra a surface passes, and the triangles between these places.

    Attributes:
        ends: `[E, 2]` int64, vertices of the grid, the lower number first; in their order.
        faces: `[F, 3]` int64, indices into `ends`; first those of tetrahedra with one triangle, then of those with two.
    """

    ends: Tensor
    faces: Tensor

    def places(self, points: Tensor, signed: Tensor) -> Tensor:
        """Where the edges are passed, `[E, 3]`, with gradients to both.

        Args:
            points: `[E, 2, 3]`, the places of the ends. signed: `[E, 2]`, their values, linear in between.
        """
        one, two = signed[:, 0], signed[:, 1]
        share = one / (one - two)
        return torch.lerp(points[:, 0], points[:, 1], share[:, None])


def crossings(tetrahedra: Tensor, inside: Tensor, *, reference: bool = False) -> Crossings:
    """Marching tetrahedra (Doi and Koide, "An efficient method of triangulating equi-valued surfaces", 1991): what the
    surface looks like as far as signs tell; it is closed wherever it does not leave the grid.

    Args:
        tetrahedra: `[T, 4]` int64 with positive determinants; those that are not crossed are left out.
        inside: `[V]` bool, the corners.
        reference: turn the triangles inwards, as Magic123's published code does.
    """
    corners = inside[tetrahedra]
    case = (corners.long() << torch.arange(4, device=inside.device)).sum(1)
    count = torch.tensor([len(each) for each in TRIANGLES], device=inside.device)[case]
    table = torch.zeros(16, 2, 3, dtype=torch.int64)
    for number, triangles in enumerate(TRIANGLES):
        for which, triangle in enumerate(triangles):
            table[number, which] = torch.tensor(triangle)
    table = table.to(inside.device)
    single, double = (count == 1).nonzero()[:, 0], (count == 2).nonzero()[:, 0]
    owner = torch.cat([single, double.repeat_interleave(2)])
    edges = torch.cat([table[case[single], 0], table[case[double]].reshape(-1, 3)])
    pairs = torch.tensor(EDGES, device=inside.device)[edges]  # [F, 3, 2] corners of the owner
    ends = tetrahedra[owner][:, None].expand(-1, 3, -1).gather(2, pairs)
    low, high = ends.amin(2), ends.amax(2)
    key, faces = (low * len(inside) + high).unique(return_inverse=True)  # type: ignore[no-untyped-call]
    faces = faces.reshape(-1, 3)
    ends = torch.stack([key.div(len(inside), rounding_mode="floor"), key % len(inside)], dim=1)
    return Crossings(ends, faces.flip(1) if reference else faces)
