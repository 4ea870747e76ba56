"""Which cells of a lattice may hold a piece of the surface, told from their eight corners alone.

A cell whose corners differ in sign does. For the others the question is whether a surface could hide between the
corners. If the field changes by at most L per unit of length, a surface point p in the cell keeps a distance of at
least |v| / L from every corner of value v. The cell is cut into eight octants; in none of them may all eight
conditions hold for the cell to be left out. Taking all corners together makes the band thin: beside a flat wall along
the axes, with L known exactly, no cell is kept but the one that the wall passes.

L is not known and differs by direction, and the values of a network are not distances: they may be scaled, or flatten
out away from the surface like tanh. So the values are first turned into distances, by measuring how fast the field
changes at each value (`calibrate`), and then the largest change among neighbouring cells is taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

BINS = 32
CORNERS = torch.tensor(list(itertools.product((0, 1), repeat=3)))
"""The eight corners of a cell, `[8, 3]`, x slowest; also its eight octants."""


def mixed(corners: Tensor) -> Tensor:
    """`[M]`: do the corner values `[8, M]` differ in sign? Zero counts as inside."""
    outside = corners > 0
    return outside.any(0) & ~outside.all(0)


def slope(corners: Tensor, spacing: Tensor) -> Tensor:
    """Length of the mean gradient of each cell, `[M]`, from corner values `[8, M]` and edge lengths `[3]`."""
    means = torch.stack([difference.mean(0) for difference in _differences(corners)])
    length: Tensor = torch.linalg.vector_norm(means / spacing[:, None], dim=0)
    return length


def slopes_along_axes(corners: Tensor, spacing: Tensor) -> Tensor:
    """Steepest of the four edges of each cell along each axis, `[3, M]`; arguments as for `slope`."""
    steepest = [difference.abs().amax(0) for difference in _differences(corners)]
    return torch.stack(steepest) / spacing[:, None]


def _differences(corners: Tensor) -> list[Tensor]:
    """Upper minus lower corner over the four edges along each axis: three times `[4, M]`."""
    cube = corners.reshape(2, 2, 2, -1)
    return [(cube.select(axis, 1) - cube.select(axis, 0)).reshape(4, -1) for axis in range(3)]


def calibrate(corners: Tensor, spacing: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from values to signed distances from the surface (any shape), measured on cells `[8, M]`.

    If the field is f(d) with d the distance, then d is the integral of dv / f'. The slope f' is the mean slope of the
    cells around each value, taken on either side for itself, and never less near the surface than farther away:
    where two walls face each other the field is flat half way between them, and this must not look like being far.
    Distances are cut off at eight cell edges, well beyond what a cell can be asked for.
    """
    rate = slope(corners, spacing)
    reach = 8 * float(spacing.max())
    outside = (corners > 0).any(0)
    inner, outer = _side(corners, rate, ~outside | mixed(corners)), _side(corners, rate, outside)
    widths, begins, rates = (torch.cat(pair) for pair in zip(inner, outer, strict=True))

    def distance(values: Tensor) -> Tensor:
        positive = values > 0
        side = positive.long() * BINS
        steps = values.abs() / widths[side]
        index = steps.clamp(max=BINS - 1).long()
        side += index
        result = (begins[side] + (steps - index) * widths[side] / rates[side]).clamp_(max=reach)
        return torch.where(positive, result, -result)

    return distance


def _side(corners: Tensor, rate: Tensor, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bins of unsigned values: how wide they are, at which distance they begin, the slope within; `[BINS]` each."""
    if not bool(cells.any()):
        cells = torch.ones_like(cells)
    tiny = torch.finfo(torch.float32).tiny * BINS
    heights = corners[:, cells].abs().mean(0)
    width = heights.median().clamp(min=tiny) / BINS
    index = (heights / width).clamp_(max=BINS - 1).long()
    count = torch.bincount(index, minlength=BINS)
    rates = torch.bincount(index, rate[cells].double(), minlength=BINS) / count.clamp(min=1)
    rates = rates.flip(0).cummax(0).values.flip(0).float()
    rates = rates.clamp(min=(1e-3 * rates.max()).clamp(min=tiny))
    return width.expand(BINS), (width / rates).cumsum(0) - width / rates, rates


def may_hold_surface(
    distances: Tensor, steepness: Tensor, along_axes: Tensor, spacing: Tensor, margin: float
) -> Tensor:
    """`[M]`: can a surface lie in the cell?

    Two limits are known to how much the distance changes between a corner and a point at offset (x, y, z):
    `steepness` times the length of the offset, and a |x| + b |y| + c |z| with the slopes along the axes. The second
    is exact beside a flat wall, also in cells much longer than high; the first is the better one around corners.

    Args:
        distances: how far the surface is from each corner, `[8, M]`; the sign does not matter.
        steepness: slope of the distances in the neighbourhood, `[M]`; at least 1 is used, which is what it should be.
        along_axes: slopes of the distances along the axes in the neighbourhood, `[3, M]`; scaled to length 1 at least.
        spacing: edge lengths of a cell, `[3]`.
        margin: safety factor on all of it.
    """
    tiny = torch.finfo(torch.float32).tiny
    length = along_axes.norm(dim=0)
    along_axes = torch.where(length > tiny, along_axes / length.clamp(min=tiny, max=1.0), 1.0)
    steepness = steepness.clamp(min=1.0)
    corners = CORNERS.to(spacing.device)
    limits = []
    for apart in corners:  # along each axis: does the octant lie on the corner's side, or on the other one?
        farthest = torch.where(apart == 1, 1.0, 0.5) * spacing
        limits.append(margin * torch.minimum(steepness * farthest.norm(), (farthest[:, None] * along_axes).sum(0)))
    allowed, unsigned = torch.stack(limits), distances.abs()
    result = torch.zeros(distances.shape[1], dtype=torch.bool, device=distances.device)
    for octant in range(8):
        result |= (unsigned <= allowed[[octant ^ corner for corner in range(8)]]).all(0)
    return result
