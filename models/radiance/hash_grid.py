"""Features of points from grids of growing resolution, the fine ones in hashed tables (Müller et al. 2022, arXiv
2201.05989), laid out as torch-ngp and Magic123 (arXiv 2306.17843) store them, so that published tables load unchanged.

A level has R³ corners, cell centres of the unit cube (`align_corners` off): a point at x in 0 … 1 lies at
clamp(x R - 0.5, 0, R - 1), between a corner and its upper neighbour, which is the corner itself at the wall. The
fraction f counts as f² (3 - 2 f). Corner (i, j, k) of a level that has room for all of its corners is entry
i + j R + k R²; of any other, entry (i xor 2654435761 j xor 805459861 k) in 32-bit arithmetic, modulo the level's size.

The corners are gone through one after the other, for all points of a chunk: what lies in memory at any time is a few
numbers a point. Of a point its coordinates are remembered for the backward pass, and not the 8 corners of each level.
On a CPU both passes are four times as fast as with all corners at once, and the backward pass ten to twenty times as
fast as that of torch's `embedding_bag`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

PRIMES = (1, 2654435761, 805459861)
WRAP = 0xFFFFFFFF
FEATURES = 2
"""Of each entry, as published; to torch an entry is one complex number, which is fetched in one piece."""

CHUNKS = {"cpu": 1 << 15}
CHUNK = 1 << 20
"""Points at once: a CPU's caches want few of them, any other device many."""


@dataclass(frozen=True)
class GridSettings:
    """How the tables are laid out.

    levels: how many grids.
    base, finest: corners along each axis of the first and the last level.
    log2_entries: a level has 2 to this power entries at most; where it has more corners it is hashed.
    """

    levels: int = 16
    base: int = 16
    finest: int = 2048
    log2_entries: int = 19

    def __post_init__(self) -> None:
        if self.levels < 1 or not 2 <= self.base <= self.finest or self.log2_entries < 3:
            raise ValueError(f"{self} is no grid: it needs a level, 8 entries, and 2 <= base <= finest.")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Corners along each axis, level by level."""
        growth = math.log2(self.finest / self.base) / max(self.levels - 1, 1)
        # Rounded before it is rounded up: the last level is `finest`, not one more for the last bit of a power.
        return tuple(math.ceil(round(2 ** (level * growth) * self.base, 6)) for level in range(self.levels))

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each level begins in the table, and at last where the table ends."""
        sizes = [min(1 << self.log2_entries, math.ceil(each**3 / 8) * 8) for each in self.resolutions]
        return tuple(sum(sizes[:level]) for level in range(self.levels + 1))


class Level(NamedTuple):
    """Corners along each axis, the first entry in the table, and the one behind the last."""

    resolution: int
    begin: int
    end: int

    @property
    def dense(self) -> bool:
        """Whether each corner has an entry of its own."""
        return self.resolution**3 <= self.end - self.begin


class HashGrid(nn.Module):
    """Points → features.

    Attributes:
        table: parameter `[offsets[-1], 2]`.
        active: how many levels count, from the coarsest; the features of the others are 0 and cost nothing. It is no
            part of the state: who trains coarse to fine sets it in every step.
    """

    def __init__(self, settings: GridSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or GridSettings()
        self.levels = tuple(map(Level, settings.resolutions, settings.offsets, settings.offsets[1:]))
        self.active = settings.levels
        self.table = nn.Parameter(torch.empty(settings.offsets[-1], FEATURES).uniform_(-1e-4, 1e-4))

    @property
    def width(self) -> int:
        """Numbers of each point."""
        return self.settings.levels * FEATURES

    def forward(self, points: Tensor) -> Tensor:
        """Points `[N, 3]` in 0 … 1 → `[N, levels * 2]`, float32.

        Points outside get zeros. There are gradients to the table, and to the points where they ask for them.
        """
        features = self.looked_up(points)
        return functional.pad(features, (0, self.width - features.shape[1]))

    def looked_up(self, points: Tensor) -> Tensor:
        """As `forward`, of the active levels only: `[N, active * 2]`."""
        found: Tensor = _LookUp.apply(self.table, points, self.levels[: self.active])  # type: ignore[no-untyped-call]
        return found


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, points: Tensor, levels: tuple[Level, ...]) -> Tensor:
        ctx.save_for_backward(table, points)
        ctx.levels = levels
        source = torch.view_as_complex(table.float())
        found = torch.empty(len(points), len(levels), dtype=torch.complex64, device=points.device)
        for begin, axes in _chunks(points):
            window = slice(begin, begin + len(axes[0].inside))
            for number, level in enumerate(levels):
                part, total = source[level.begin : level.end], None
                for corner in _corners(axes, level):
                    value = part.index_select(0, corner.entry) * corner.weight
                    total = value if total is None else total.add_(value)
                assert total is not None
                found[window, number] = total
        return torch.view_as_real(found).flatten(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        table, points = ctx.saved_tensors
        to_table, to_points = ctx.needs_input_grad[:2]
        source = torch.view_as_complex(table.float())
        planes = table.new_zeros(FEATURES, len(table), dtype=torch.float32) if to_table else None
        moved = torch.zeros(3, len(points), device=points.device) if to_points else None
        for begin, axes in _chunks(points):
            window = slice(begin, begin + len(axes[0].inside))
            given = gradients[0][window].float().t().contiguous()
            for number, level in enumerate(ctx.levels):
                of_level = given[number * FEATURES : (number + 1) * FEATURES]
                for corner in _corners(axes, level):
                    if planes is not None:
                        for plane, channel in zip(planes, of_level, strict=True):
                            plane[level.begin : level.end].scatter_add_(0, corner.entry, channel * corner.weight)
                    if moved is not None:
                        value = source[level.begin : level.end].index_select(0, corner.entry)
                        by_weight = value.real * of_level[0] + value.imag * of_level[1]
                        for axis, slope in enumerate(corner.slopes(axes, level)):
                            moved[axis, window] += by_weight * slope
        return (
            planes.t().contiguous().to(table) if planes is not None else None,
            moved.t().to(points) if moved is not None else None,
            None,
        )


class _Axis(NamedTuple):
    """One coordinate `[N]` of a chunk of points, and whether the point is in the unit cube, as 0 or 1."""

    coordinate: Tensor
    inside: Tensor

    def at(self, level: Level) -> tuple[Tensor, Tensor]:
        """The lower corner and the fraction beyond it, `[N]` float32 each."""
        place = (self.coordinate * level.resolution - 0.5).clamp_(0, level.resolution - 1)
        low = place.floor()
        return low, place - low

    def slope(self, level: Level) -> Tensor:
        """How fast the upper corner's share grows with the coordinate: `[N]`."""
        place = self.coordinate * level.resolution - 0.5
        _, fraction = self.at(level)
        free = (place > 0) & (place < level.resolution - 1)
        return 6 * fraction * (1 - fraction) * level.resolution * free * self.inside


class _Corner(NamedTuple):
    """One of a cell's eight corners for N points.

    entry: `[N]` int64, of the level's part of the table. weight: `[N]`.
    shares: of which the weight is the product, axis by axis. upper: whether it is the upper one, axis by axis.
    """

    entry: Tensor
    weight: Tensor
    shares: tuple[Tensor, Tensor, Tensor]
    upper: tuple[int, int, int]

    def slopes(self, axes: tuple[_Axis, ...], level: Level) -> list[Tensor]:
        """How fast the weight grows with each coordinate, `[N]` each."""
        found = []
        for axis in range(3):
            one, other = (self.shares[each] for each in range(3) if each != axis)
            slope = axes[axis].slope(level)
            found.append((slope if self.upper[axis] else -slope) * one * other)
        return found


def _chunks(points: Tensor) -> Iterator[tuple[int, tuple[_Axis, ...]]]:
    """Where each chunk begins, and its axes."""
    size = CHUNKS.get(points.device.type, CHUNK)
    for begin in range(0, len(points), size):
        part = points[begin : begin + size].float()
        inside = ((part >= 0) & (part <= 1)).all(1).float()
        yield begin, tuple(_Axis(each, inside) for each in part.t().contiguous())


def _corners(axes: tuple[_Axis, ...], level: Level) -> Iterator[_Corner]:
    """The eight corners of the cells that points lie in; the weights of points outside are 0."""
    terms, shares = [], []
    for axis, each in enumerate(axes):
        low, fraction = each.at(level)
        factor = level.resolution**axis if level.dense else PRIMES[axis]
        lower = low.long()
        both = lower * factor, (lower + 1).clamp_(max=level.resolution - 1) * factor
        terms.append(both if level.dense else tuple(term & WRAP for term in both))
        upper = fraction * fraction * (3 - 2 * fraction)
        shares.append((1 - upper, upper))
    size = level.end - level.begin
    for k in range(2):
        share_z = shares[2][k] * axes[2].inside
        for j in range(2):
            share_zy = share_z * shares[1][j]
            term_zy = terms[2][k] + terms[1][j] if level.dense else terms[2][k] ^ terms[1][j]
            for i in range(2):
                entry = term_zy + terms[0][i] if level.dense else (term_zy ^ terms[0][i]) % size
                yield _Corner(entry, share_zy * shares[0][i], (shares[0][i], shares[1][j], shares[2][k]), (i, j, k))
