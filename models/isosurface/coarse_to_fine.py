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

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import max_pool3d

from models.isosurface.band import CORNERS, calibrate, may_hold_surface, mixed, slope, slopes_along_axes
from models.isosurface.sampling import Bounds, EmptySurface, Field, Progress, Report, Sampler, lattice
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
        resolution: lattice points along each axis, 2 to 513. Multiples of a power of two plus one (129, 257, 385, 513)
            are best: the coarse lattice has every 2nd, 4th or 8th point. Where that does not come out even it goes on
            beyond the last point, where the field is taken to be as it is on the wall.
        coarse: fewest lattice points along each axis of the first, complete evaluation.
        margin: safety factor on how fast the field may change; larger keeps more cells.
        chunk: points handed to the field at once.
        device: where points are made and the grid is kept; None for the CPU.
        progress: is told the fraction done; an exception from it ends the work.

    Returns:
        The grid, with missing values filled in with the right sign. A field without a surface gives a grid of one
        sign; the extraction then raises `EmptySurface`.

    Raises:
        ValueError: resolution, coarse, margin or chunk out of range.
        FieldError: the field gave too few values or values that are not finite.
    """
    sampler = Sampler(field, bounds, resolution, chunk, device)
    meter = Progress(progress)
    grid, _ = _descend(sampler, meter, coarse, margin, locate=False)
    meter.finish()
    return grid


def locate(
    field: Field,
    bounds: Bounds,
    resolution: int = 129,
    *,
    pad: float = 0.05,
    coarse: int = COARSE,
    margin: float = MARGIN,
    chunk: int = CHUNK,
    device: torch.device | None = None,
    progress: Report | None = None,
) -> tuple[Bounds, int]:
    """A box that holds the surface, for a second look at a finer scale, and the number of queries it took.

    It holds every cell of this lattice in which a surface may hide, seen or not, and keeps a distance of `pad` from
    every point that is inside. It may reach beyond `bounds`, by `pad` at most.

    Args:
        pad: in the units of the field. The other arguments are those of `decode`.

    Raises:
        EmptySurface: the surface is nowhere.
        ValueError, FieldError: as for `decode`.
    """
    sampler = Sampler(field, bounds, resolution, chunk, device)
    meter = Progress(progress)
    grid, cells = _descend(sampler, meter, coarse, margin, locate=True)
    meter.finish()
    inside = grid.inside()
    if not len(cells):
        raise EmptySurface(inside=inside is not None)
    low, high = _place(grid, cells.amin(0)), _place(grid, (cells.amax(0) + 1).clamp(max=resolution - 1))
    if inside is not None:
        low = np.minimum(low, _place(grid, inside[0]) - pad)
        high = np.maximum(high, _place(grid, inside[1]) + pad)
    return Bounds.of(low.tolist(), high.tolist()), sampler.queries


def _place(grid: SparseGrid, index: Tensor) -> npt.NDArray[np.float64]:
    place: npt.NDArray[np.float64] = index.cpu().numpy() * grid.spacing + np.asarray(grid.bounds.minimum)
    return place


def _descend(
    sampler: Sampler, meter: Progress, coarse: int, margin: float, *, locate: bool
) -> tuple[SparseGrid, Tensor]:
    """The filled grid and, if asked to locate, the finest cells `[M, 3]` that hold the surface or may hold it."""
    resolution = sampler.resolution
    if not RESOLUTIONS[0] <= resolution <= RESOLUTIONS[1]:
        raise ValueError(f"The resolution must be {RESOLUTIONS[0]} to {RESOLUTIONS[1]}, not {resolution}.")
    if coarse < 2:
        raise ValueError(f"The coarse lattice needs 2 points along each axis, not {coarse}.")
    if not margin >= 1:
        raise ValueError(f"The margin is a safety factor of at least 1, not {margin}.")
    stride = coarse_stride(resolution, coarse)
    ends = _stage_ends(resolution, stride)

    meter.stage(ends[0])
    count = math.ceil((resolution - 1) / stride) + 1
    values = sampler(lattice(count, stride, sampler.device), meter).reshape(count, count, count)
    grid = SparseGrid(sampler.bounds, resolution, values, stride)
    spacing = torch.from_numpy(grid.spacing).to(sampler.device, torch.float32)
    chosen = _cells_of_lattice(values, spacing * stride, margin)
    cut_before: Tensor | None = None
    for end in ends[1:]:
        meter.stage(end)
        keep = locate or stride > 2
        cut_before, cells, around = _cut(grid, sampler, meter, chosen, stride, cut_before, keep=keep)
        stride //= 2
        if keep:
            chosen = _children(cells, around, spacing * stride, margin)
    grid.close()
    grid.queries = sampler.queries
    return grid, chosen


def coarse_stride(resolution: int, coarse: int) -> int:
    """The largest power of two of which at least `coarse - 1` steps are needed to cross the lattice; 1 at least."""
    cells, stride = resolution - 1, 1
    while math.ceil(cells / (2 * stride)) >= coarse - 1 and cells > 1:
        stride *= 2
    return stride


def _stage_ends(resolution: int, stride: int) -> list[float]:
    """Fractions of the work at which the stages end, guessed from a surface twelve times as large as a box side."""
    sizes = [float((math.ceil((resolution - 1) / stride) + 1) ** 3)]
    while stride > 1:
        stride //= 2
        sizes.append(12.0 * ((resolution - 1) // stride) ** 2)
    total = sum(sizes)
    return [sum(sizes[: i + 1]) / total for i in range(len(sizes))]


def _cells_of_lattice(values: Tensor, spacing: Tensor, margin: float) -> Tensor:
    """Cells `[M, 3]` of the complete lattice that hold the surface or may hold it."""
    count = len(values) - 1
    distances = calibrate(_corners(values[..., None]).reshape(8, -1), spacing)(values)
    corners = _corners(distances[..., None]).reshape(8, -1)
    rates = torch.cat([slope(corners, spacing)[None], slopes_along_axes(corners, spacing)])
    rates = max_pool3d(rates.reshape(4, count, count, count), 3, stride=1, padding=1).reshape(4, -1)
    chosen = mixed(corners) | may_hold_surface(corners, rates[0], rates[1:], spacing, margin)
    return chosen.reshape(count, count, count).nonzero()


def _children(cells: Tensor, values: Tensor, spacing: Tensor, margin: float) -> Tensor:
    """Among the eight children of each cell, those `[K, 3]` that hold the surface or may hold it.

    Args:
        cells: `[M, 3]`.
        values: at the children's corners, `[3, 3, 3, M]`.
        spacing: edge lengths of a child.
    """
    if not len(cells):
        return cells
    distances = calibrate(_corners(values).reshape(8, -1), spacing)(values)
    corners = _corners(distances).reshape(8, -1)
    # Each child has siblings on one side along every axis: their slope shows what a flat child between walls hides.
    rates = torch.cat([slope(corners, spacing)[None], slopes_along_axes(corners, spacing)])
    rates = rates.reshape(4, 8, -1).amax(1).repeat(1, 8)
    chosen = mixed(corners) | may_hold_surface(corners, rates[0], rates[1:], spacing, margin)
    return (cells * 2 + CORNERS.to(cells.device)[:, None]).reshape(-1, 3)[chosen]


def _corners(values: Tensor) -> Tensor:
    """Corner values `[8, A, A, A, M]` of all cells of M lattices `[A + 1, A + 1, A + 1, M]`."""
    count = len(values) - 1
    return torch.stack([values[x : x + count, y : y + count, z : z + count] for x, y, z in CORNERS.tolist()])


def _cut(
    grid: SparseGrid,
    sampler: Sampler,
    meter: Progress,
    chosen: Tensor,
    stride: int,
    cut_before: Tensor | None,
    *,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cuts the chosen cells of `stride` in eight, and every cell that the surface leads to from there.

    Args:
        chosen: cells `[K, 3]`.
        cut_before: which cells of twice the stride were cut; None at the coarsest level.
        keep: whether somebody asks for the second and third result; they are empty otherwise.

    Returns:
        Which cells of `stride` were cut, `[c, c, c]`; the same as a list `[M, 3]`; the values at the corners of
        their children, `[3, 3, 3, M]`.
    """
    count, half = grid.cells // stride, stride // 2
    cut = torch.zeros((count, count, count), dtype=torch.bool, device=chosen.device)
    cells, around = [chosen[:0]], [torch.empty((3, 3, 3, 0), device=chosen.device)]
    while len(chosen):
        cut[chosen.unbind(1)] = True
        grid.make_room(chosen, stride)
        parts = torch.split(chosen, CELLS_AT_ONCE)
        slots = [_slots_of_children(grid, part, half) for part in parts]
        _evaluate(grid, sampler, meter, slots)
        following = []
        for part, places in zip(parts, slots, strict=True):
            values = grid.values.view(-1)[places]
            following.append(_behind_crossed_faces(part, values, cut))
            if keep:
                cells.append(part)
                around.append(values)
        if cut_before is not None:
            following.append(_torn_open(grid, stride, cut, cut_before))
        chosen = torch.unique(torch.cat(following), dim=0)
    return cut, torch.cat(cells), torch.cat(around, dim=3)


def _slots_of_children(grid: SparseGrid, cells: Tensor, half: int) -> Tensor:
    """Slots `[3, 3, 3, M]` of the points of stride `half` in cells `[M, 3]` of twice that."""
    steps = torch.arange(3, device=cells.device)
    return grid.slots((cells.T[:, None] * 2 + steps[:, None]) * half)


def _evaluate(grid: SparseGrid, sampler: Sampler, meter: Progress, slots: list[Tensor]) -> None:
    """Asks the field for every value in these slots that is not known yet, each once."""
    values = grid.values.view(-1)
    wanted = torch.zeros(len(values), dtype=torch.bool, device=values.device)
    for part in slots:
        wanted[part] = True
    missing = (wanted & values.isnan()).nonzero().squeeze(1)
    if len(missing):
        values[missing] = sampler(grid.points(missing), meter)


def _behind_crossed_faces(cells: Tensor, values: Tensor, cut: Tensor) -> Tensor:
    """Uncut cells `[K, 3]` that share a face with one of `cells` `[M, 3]` on which the sign changes.

    Args:
        values: `[3, 3, 3, M]`.
    """
    outside = values > 0
    found = []
    for axis in range(3):
        for step, side in ((-1, 0), (1, 2)):
            face = outside.select(axis, side).reshape(9, -1)
            neighbours = cells[face.any(0) & ~face.all(0)]
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
    corners = grid.filled(torch.stack([cells, cells + 1]).permute(2, 0, 1) * stride, stride)
    return cells[mixed(corners.reshape(8, -1))]
