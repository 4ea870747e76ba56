"""Which cells of a lattice may hold a piece of the surface, told from their eight corners alone.

A cell whose corners differ in sign does. For the others the question is whether a surface could hide between the
corners. If the field changes by at most L per unit of length, a surface point p in the cell keeps a distance of at
least |v| / L from every corner of value v. The cell is cut into eight octants; in none of them may all eight
conditions hold for the cell to be left out. Taking all corners together makes the band thin: beside a flat wall with
L known exactly, a cell is kept only when the wall is nearer than 0.22 of its edge.

L is not known, and the values of a network are not distances: they may be scaled, or flatten out away from the
surface like tanh. So the values are first turned into distances, by measuring how fast the field changes at each
value (`calibrate`), and then the largest change among neighbouring cells is taken where it exceeds that.
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
    """`[M]`: do the corner values `[M, 8]` differ in sign? Zero counts as inside."""
    outside = corners > 0
    return outside.any(1) & ~outside.all(1)


def slopes(corners: Tensor, spacing: Tensor) -> Tensor:
    """Length of the mean gradient of each cell, `[M]`, from corner values `[M, 8]` and edge lengths `[3]`."""
    cube = corners.reshape(-1, 2, 2, 2)
    squares = [((cube.select(a, 1) - cube.select(a, 0)).mean((1, 2)) / spacing[a - 1]) ** 2 for a in (1, 2, 3)]
    return torch.stack(squares).sum(0).sqrt()


def calibrate(corners: Tensor, spacing: Tensor) -> Callable[[Tensor], Tensor]:
    """A function from values to distances from the surface (both unsigned, any shape), measured on these cells.

    If the field is f(d) with d the distance, then d is the integral of dv / f'. The slope f' is the mean slope of the
    cells around each value, taken on either side for itself, and never less near the surface than farther away:
    where two walls face each other the field is flat half way between them, and this must not look like being far.
    Distances are cut off at eight cell edges, well beyond what a cell can be asked for.
    """
    slope = slopes(corners, spacing)
    reach = 8 * float(spacing.max())
    outside = (corners > 0).any(1)
    sides = (_side(corners, slope, ~outside | mixed(corners)), _side(corners, slope, outside))

    def distance(values: Tensor) -> Tensor:
        result = torch.empty_like(values)
        for positive, (top, edges, rates) in enumerate(sides):
            chosen = (values > 0) == bool(positive)
            steps = values[chosen].abs() * (BINS / top)
            index = steps.long().clamp_(max=BINS - 1)
            result[chosen] = (edges[index] + (steps - index) * (top / BINS) / rates[index]).clamp_(max=reach)
        return result

    return distance


def _side(corners: Tensor, slope: Tensor, cells: Tensor) -> tuple[float, Tensor, Tensor]:
    """Where the last bin ends; the distance at which each bin begins, `[BINS]`; the slope within it, `[BINS]`."""
    if not bool(cells.any()):
        cells = torch.ones_like(cells)
    heights, slope = corners[cells].abs().mean(1), slope[cells]
    top = max(float(heights.median()), torch.finfo(torch.float32).tiny * BINS)
    index = (heights * (BINS / top)).clamp_(max=BINS - 1).long()
    count = torch.bincount(index, minlength=BINS)
    rates = torch.bincount(index, slope.double(), minlength=BINS) / count.clamp(min=1)
    rates = rates.flip(0).cummax(0).values.flip(0)
    rates = rates.clamp(min=max(1e-3 * float(rates.max()), torch.finfo(torch.float32).tiny)).float()
    widths = (top / BINS) / rates
    return top, widths.cumsum(0) - widths, rates


def may_hold_surface(distances: Tensor, steepness: Tensor, spacing: Tensor, margin: float) -> Tensor:
    """`[M]`: can a surface lie in the cell?

    Args:
        distances: how far the surface is from each corner, `[M, 8]`, unsigned.
        steepness: by what factor the distances may change faster than distances do, `[M]`; at least 1 is used.
        spacing: edge lengths of a cell, `[3]`.
        margin: safety factor on all of it.
    """
    corner, octant = CORNERS.to(spacing.device)[None], CORNERS.to(spacing.device)[:, None]
    farthest = (torch.where(corner == octant, 0.5, 1.0) * spacing).norm(dim=2)
    nearness = distances / (margin * steepness.clamp(min=1.0))[:, None]
    result = torch.zeros(len(distances), dtype=torch.bool, device=distances.device)
    for limits in farthest:
        result |= (nearness <= limits).all(1)
    return result
