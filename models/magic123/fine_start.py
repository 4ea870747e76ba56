"""Where the fine stage begins: a lattice of tetrahedra around the surface of a density field, or a published one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.isosurface.sampling import EmptySurface
from models.isosurface.tetrahedra import Tetrahedra, TetrahedralGrid, crossings
from models.magic123.published import THRESHOLD, PublishedSurface

LOCATE = 64
"""Resolution of the lattice that tells how large the object is."""

AROUND = 0.1
"""Room between the object and the lattice's border, at least, in the world's unit."""

CHUNK = 1 << 17
"""Points that a field is asked for at once while nothing is learned."""

BORDER = 1e-3
"""Vertices along the border of the lattice are outside by at least so much, or the surface would be open there."""

CRUMB = 0.01
"""Pieces that have no more than this share of the vertices of the largest are left out."""

FAINTEST = 1e-12


@dataclass(frozen=True)
class Start:
    """Where the stage begins.

    Attributes:
        tetrahedra: the lattice.
        signed: `[V]`, above 0 inside; 1 is what it changes by along one edge of the lattice, as near as can be told.
        deform: `[V, 3]`.
        scale: `[3]`, what the lattice's vertices are multiplied by.
        reach: `[3]`, how far a vertex moves at most along each axis.
    """

    tetrahedra: Tetrahedra
    signed: Tensor
    deform: Tensor
    scale: Tensor
    reach: Tensor

    @classmethod
    def blank(cls, tetrahedra: Tetrahedra, device: torch.device | str = "cpu") -> Start:
        """For a stage whose state is read from a file."""
        count = tetrahedra.vertices
        signed, deform = torch.zeros(count, device=device), torch.zeros(count, 3, device=device)
        return cls(tetrahedra, signed, deform, torch.ones(3, device=device), torch.ones(3, device=device))

    @classmethod
    def published(cls, surface: PublishedSurface, tetrahedra: Tetrahedra) -> Start:
        """Where somebody's fine stage of the published program has ended."""
        reach = torch.full((3,), 1 / tetrahedra.resolution)
        return cls(tetrahedra, surface.signed, surface.deform, surface.scale, reach)


@torch.no_grad()
def begin(
    density: Callable[[Tensor], Tensor],
    resolution: int,
    mean_density: float | None = None,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> Start:
    """The surface of a density field: where the density is `THRESHOLD`, or the mean where that is less.

    The lattice is scaled to the object, axis by axis. Crumbs that float around are left out, and what is enclosed is
    filled: nobody sees it. Signed distances are
    logarithms of the density's ratio to the threshold, measured in edges of the lattice and cut off at one: between
    two vertices the surface is then where the field has it, and not half way.

    Args:
        density: points `[N, 3]` -> `[N]`.
        resolution: see `FineSettings`.
        mean_density: of the coarse stage's lattice; None: unknown.
        progress: is told the fraction done.

    Raises:
        EmptySurface: the density is below the threshold everywhere, or above it.
    """
    threshold = min(mean_density, THRESHOLD) if mean_density else THRESHOLD
    look, grid = TetrahedralGrid.of_resolution(LOCATE), TetrahedralGrid.of_resolution(resolution)
    total = look.vertices + grid.vertices

    def asked(of: TetrahedralGrid, scale: Tensor, done: int) -> Tensor:
        found = torch.empty(of.vertices, device=device)
        for first in range(0, of.vertices, CHUNK):
            index = torch.arange(first, min(first + CHUNK, of.vertices), device=device)
            found[index] = density(of.points(index) * scale).to(found)
            if progress is not None:
                progress((done + first + len(index)) / total)
        return found

    one = torch.ones(3, device=device)
    there = _without_crumbs(look, asked(look, one, 0) > threshold).nonzero()[:, 0]
    if not len(there):
        raise EmptySurface(inside=False)
    scale = (look.points(there).abs().amax(0) + AROUND).clamp(max=1.0)
    found = asked(grid, scale, look.vertices)
    ratio = (found.clamp(min=FAINTEST) / threshold).log().nan_to_num(nan=-1.0)
    border = grid.border(device)
    ratio = torch.where(border, ratio.clamp(max=-BORDER), ratio)
    inside = grid.enclosed(_without_crumbs(grid, ratio > 0))
    if not bool(inside.any()):
        raise EmptySurface(inside=False)
    signed = (ratio / _edge_change(grid, ratio, inside)).clamp(-1, 1)
    signed = torch.where(inside & (signed <= 0), 1.0, signed)  # enclosed
    signed = torch.where(~inside & (signed > 0), -1.0, signed)  # crumbs
    return Start(grid, signed, torch.zeros(len(signed), 3, device=device), scale, scale / grid.resolution)


def _without_crumbs(grid: TetrahedralGrid, dense: Tensor) -> Tensor:
    """`dense` `[V]` bool without small pieces, see `CRUMB`."""
    piece = grid.pieces(dense)
    count = piece.bincount(minlength=2)
    count[0] = 0
    return dense & (count >= CRUMB * count.max())[piece]


def _edge_change(grid: TetrahedralGrid, values: Tensor, inside: Tensor) -> Tensor:
    """The median change of values along the edges of the lattice that the surface passes."""
    ends = crossings(grid.crossed(inside), inside).ends
    change = (values[ends[:, 0]] - values[ends[:, 1]]).abs()
    return change.median().clamp(min=FAINTEST)


def border_of(tetrahedra: Tetrahedra, device: torch.device | str) -> Tensor:
    """Which vertices `[V]` lie on the walls of the lattice's cube."""
    found = torch.empty(tetrahedra.vertices, dtype=torch.bool, device=device)
    for first in range(0, len(found), CHUNK):
        index = torch.arange(first, min(first + CHUNK, len(found)), device=device)
        found[index] = tetrahedra.points(index).abs().amax(1) >= 1
    return found
