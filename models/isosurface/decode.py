"""Coarse-to-fine evaluation of a field: the surface at full resolution for a fraction of the queries.

The coarse lattice is evaluated everywhere. Cells that hold the surface, or may hold it (`band`), are cut into eight,
the new points evaluated, the question asked again. Then the surface is followed: wherever a face between a cell that
was cut and one that was not turns out to be crossed, the other one is cut as well, until no crossed face is left. So
the surface is never torn: of each of its connected pieces either all or nothing is there, and what is there has the
triangles of the dense evaluation.

What is guaranteed, and what is not:

* Every piece of the dense surface that touches a cell which was cut down to the lattice is there completely. That
  holds for any field.
* Every piece is there if the field changes nowhere faster, per unit of distance, than `margin` times what was
  measured in the neighbourhood. Distances, scaled distances and smoothly flattened ones pass, thin plates and poles
  included.
* A piece smaller than a coarse cell, in a region where the coarse lattice sees a constant value (an occupancy field,
  or tanh of a distance with a width far below the coarse cell) leaves no trace at the points looked at and is lost,
  unless it is connected to a piece that is seen. Only a finer coarse lattice helps; `coarse=resolution` is dense.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool3d

from models.isosurface.band import CORNERS, calibrate, may_hold_surface, mixed, slopes
from models.isosurface.sampling import Bounds, Field, Progress, Report, Sampler, lattice
from models.isosurface.sparse import SparseGrid

COARSE = 65
MARGIN = 1.25
CHUNK = 50_000
RESOLUTIONS = (2, 513)
CELLS_AT_ONCE = 1 << 15


def decode(
    field: Field,
    bounds: Bounds,
    resolution: int = 257,
    *,
    coarse: int = COARSE,
    margin: float = MARGIN,
    chunk: int = CHUNK,
    device: torch.device | None = None,
    progress: Report | None = None,
) -> SparseGrid:
    """Values of a field near its zero set, on the lattice that a dense evaluation would use.

    Args:
        field: points `[P, 3]` -> values, negative or zero inside.
        bounds: the box to look at.
        resolution: lattice points along each axis, 2 to 513. A power of two plus one (129, 257, 513) is best: the
            coarse lattice is found by halving `resolution - 1`, and an even split that is not there is not used.
        coarse: fewest lattice points along each axis of the first, complete evaluation.
        margin: safety factor on how fast the field may change; larger keeps more cells.
        chunk: points handed to the field at once.
        device: where points are made and the grid is kept; None for the CPU.
        progress: is told the fraction done; an exception from it ends the work.

    Returns:
        The grid, with missing values filled in with the right sign. A field without a surface gives a grid without
        blocks; the extraction then raises `EmptySurface`.

    Raises:
        ValueError: resolution, coarse, margin or chunk out of range.
        FieldError: the field gave too few values or values that are not finite.
    """
    if not RESOLUTIONS[0] <= resolution <= RESOLUTIONS[1]:
        raise ValueError(f"The resolution must be {RESOLUTIONS[0]} to {RESOLUTIONS[1]}, not {resolution}.")
    if coarse < 2:
        raise ValueError(f"The coarse lattice needs 2 points along each axis, not {coarse}.")
    if not margin >= 1:
        raise ValueError(f"The margin is a safety factor of at least 1, not {margin}.")
    sampler = Sampler(field, bounds, resolution, chunk, device)
    meter = Progress(progress)
    stride = coarse_stride(resolution, coarse)
    ends = _stage_ends(resolution, stride)

    meter.stage(ends[0])
    count = (resolution - 1) // stride + 1
    values = sampler(lattice(count, stride, sampler.device), meter).reshape(count, count, count)
    grid = SparseGrid(bounds, resolution, values, stride)
    spacing = torch.from_numpy(grid.spacing).to(sampler.device, torch.float32)
    chosen = _cells_of_lattice(values, spacing * stride, margin)
    cut_before: Tensor | None = None
    for end in ends[1:]:
        meter.stage(end)
        cut_before = _cut(grid, sampler, meter, chosen, stride, cut_before)
        stride //= 2
        if stride > 1:
            chosen = _cells_of_blocks(grid, cut_before, spacing * stride, stride, margin)
    grid.close()
    grid.queries = sampler.queries
    meter.finish()
    return grid


def coarse_stride(resolution: int, coarse: int) -> int:
    """The largest power of two that divides `resolution - 1` into at least `coarse - 1` parts; 1 if there is none."""
    cells, stride = resolution - 1, 1
    while cells % (2 * stride) == 0 and cells // (2 * stride) >= coarse - 1:
        stride *= 2
    return stride


def _stage_ends(resolution: int, stride: int) -> list[float]:
    """Fractions of the work at which the stages end, guessed from a surface twelve times as large as a box side."""
    sizes = [float(((resolution - 1) // stride + 1) ** 3)]
    while stride > 1:
        stride //= 2
        sizes.append(12.0 * ((resolution - 1) // stride) ** 2)
    total = sum(sizes)
    return [sum(sizes[: i + 1]) / total for i in range(len(sizes))]


def _cells_of_lattice(values: Tensor, spacing: Tensor, margin: float) -> Tensor:
    """Cells `[M, 3]` of the complete lattice that hold the surface or may hold it."""
    count = len(values) - 1
    shifted = [values[x : x + count, y : y + count, z : z + count] for x, y, z in CORNERS.tolist()]
    corners = torch.stack(shifted, dim=-1).reshape(-1, 8)
    distances = calibrate(corners, spacing)(corners)
    slope = slopes(torch.where(corners > 0, distances, -distances), spacing).reshape(1, count, count, count)
    steepness = max_pool3d(slope, 3, stride=1, padding=1).reshape(-1)
    chosen = mixed(corners) | may_hold_surface(distances, steepness, spacing, margin)
    return chosen.reshape(count, count, count).nonzero()


def _cells_of_blocks(grid: SparseGrid, cut: Tensor, spacing: Tensor, stride: int, margin: float) -> Tensor:
    """Among the cells of `stride` into which cells were cut, those `[M, 3]` that hold the surface or may hold it.

    Args:
        cut: which cells of twice the stride were cut, `[c, c, c]`.
        spacing: edge lengths of a cell of `stride`.
    """
    parents = cut.nonzero()
    if not len(parents):
        return parents
    corners = torch.cat([_corners_of_children(grid, part, stride) for part in parents.split(CELLS_AT_ONCE)])
    distances = calibrate(corners, spacing)(corners)
    slope = slopes(torch.where(corners > 0, distances, -distances), spacing)
    # Each child has siblings on one side along every axis: their slope shows what a flat child between walls hides.
    steepness = slope.reshape(-1, 8).max(1).values.repeat_interleave(8)
    chosen = mixed(corners) | may_hold_surface(distances, steepness, spacing, margin)
    octants = CORNERS.to(parents.device)
    return (parents[:, None] * 2 + octants).reshape(-1, 3)[chosen]


def _corners_of_children(grid: SparseGrid, parents: Tensor, stride: int) -> Tensor:
    """Corner values `[8 M, 8]` of the eight children of `stride` of each of M cells `[M, 3]`."""
    values = _lattice_of_children(grid, parents, stride)
    children = [values[:, x : x + 2, y : y + 2, z : z + 2] for x, y, z in CORNERS.tolist()]
    return torch.stack([child.reshape(-1, 8) for child in children], dim=1).reshape(-1, 8)


def _lattice_of_children(grid: SparseGrid, parents: Tensor, stride: int) -> Tensor:
    """Values `[M, 3, 3, 3]` at the points of `stride` in cells `[M, 3]` of twice the stride."""
    slots = grid.slots(_points_of_children(parents, stride))
    return grid.values.view(-1)[slots].reshape(-1, 3, 3, 3)


def _points_of_children(parents: Tensor, stride: int) -> Tensor:
    return ((parents[:, None] * 2 + lattice(3, device=parents.device)) * stride).reshape(-1, 3)


def _cut(
    grid: SparseGrid, sampler: Sampler, meter: Progress, chosen: Tensor, stride: int, cut_before: Tensor | None
) -> Tensor:
    """Cuts the chosen cells `[M, 3]` of `stride` and every cell that the surface leads to from there.

    Returns which cells of `stride` were cut, `[c, c, c]`.
    """
    count, half = (grid.resolution - 1) // stride, stride // 2
    cut = torch.zeros((count, count, count), dtype=torch.bool, device=chosen.device)
    while len(chosen):
        cut[chosen.unbind(1)] = True
        _evaluate(grid, sampler, meter, chosen, half)
        crossed = [_behind_crossed_faces(grid, part, half, cut) for part in chosen.split(CELLS_AT_ONCE)]
        if cut_before is not None:
            crossed.append(_torn_open(grid, stride, cut, cut_before))
        chosen = torch.unique(torch.cat(crossed), dim=0)
    return cut


def _evaluate(grid: SparseGrid, sampler: Sampler, meter: Progress, cells: Tensor, half: int) -> None:
    """Asks the field for every point of stride `half` in these cells that is not known yet, each once."""
    parts = cells.split(CELLS_AT_ONCE)
    for part in parts:
        grid.make_room(_points_of_children(part, half))
    values = grid.values.view(-1)
    wanted = torch.zeros(len(values), dtype=torch.bool, device=values.device)
    for part in parts:
        wanted[grid.slots(_points_of_children(part, half))] = True
    slots = (wanted & values.isnan()).nonzero().squeeze(1)
    if len(slots):
        values[slots] = sampler(grid.points(slots), meter)


def _behind_crossed_faces(grid: SparseGrid, cells: Tensor, half: int, cut: Tensor) -> Tensor:
    """Uncut cells `[K, 3]` that share a face with one of `cells` on which the sign changes."""
    outside = _lattice_of_children(grid, cells, half) > 0
    found = []
    for axis in range(3):
        for step, side in ((-1, 0), (1, 2)):
            face = outside.select(axis + 1, side).reshape(-1, 9)
            neighbours = cells[face.any(1) & ~face.all(1)].clone()
            neighbours[:, axis] += step
            neighbours = neighbours[(neighbours[:, axis] >= 0) & (neighbours[:, axis] < len(cut))]
            found.append(neighbours[~cut[neighbours.unbind(1)]])
    return torch.cat(found)


def _torn_open(grid: SparseGrid, stride: int, cut: Tensor, cut_before: Tensor) -> Tensor:
    """Uncut cells `[K, 3]` beside cut ones whose corners, where missing filled in from afar, differ in sign.

    Following the surface leads into cells whose parents were left out. Should it show there that a parent's
    uniform corners were misleading, the filled-in signs disagree with the evaluated ones; the surface runs between.
    """
    beside = cut.clone()
    for axis in range(3):
        last, grown = beside.shape[axis] - 1, beside.clone()
        grown.narrow(axis, 0, last).logical_or_(beside.narrow(axis, 1, last))
        grown.narrow(axis, 1, last).logical_or_(beside.narrow(axis, 0, last))
        beside = grown
    for axis in range(3):
        cut_before = cut_before.repeat_interleave(2, dim=axis)
    cells = (beside & ~cut & ~cut_before).nonzero()
    corners = ((cells[:, None] + CORNERS.to(cells.device)) * stride).reshape(-1, 3)
    return cells[mixed(grid.filled(corners, stride).reshape(-1, 8))]
