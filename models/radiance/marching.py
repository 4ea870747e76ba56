"""Samples along rays where something is, and never more of them than a cap.

Samples lie at equal steps from where a ray enters the box, moved on by a share of a step; those in cells that are not
occupied are left out. A field that fogs up fills its cells, and with them memory, without a bound: the published code
ends there on a card of 40 GB. Here samples are counted before anything is remembered of them, and if there are more
than the cap, steps are made 2, 3, … times as wide until there are not. Every ray keeps its pixel; a foggy field, of
which fine steps say no more than wide ones, is what pays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

LOOKED_AT = 1 << 20
"""Places along rays that are looked up at once, whether anything is there or not."""

DIAGONAL = 2 * math.sqrt(3)


@dataclass(frozen=True)
class MarchSettings:
    """How samples are placed.

    steps: along the diagonal of the box. near: where rays begin at the earliest.
    cap: samples of all rays together. It must be no less than there are rays.
    """

    steps: int = 1024
    near: float = 0.2
    cap: int = 1 << 21

    def __post_init__(self) -> None:
        if self.steps < 1 or self.near < 0 or self.cap < 1:
            raise ValueError(f"{self} is no way to place samples.")


@dataclass(frozen=True)
class Samples:
    """M samples of R rays, ray by ray, from near to far.

    ray: `[M]` int64. depth: `[M]`, along the ray, in lengths of its direction. points: `[M, 3]` in the box.
    length: of a step. widened: how many times as wide as asked for it had to be made; 1: as asked for.
    rays: R.
    """

    ray: Tensor
    depth: Tensor
    points: Tensor
    length: float
    widened: int
    rays: int

    def __len__(self) -> int:
        return len(self.ray)

    def only(self, kept: Tensor) -> Samples:
        """Some of them: `kept` is bool `[M]` or their numbers, in order."""
        return Samples(self.ray[kept], self.depth[kept], self.points[kept], self.length, self.widened, self.rays)


def march(
    origins: Tensor,
    directions: Tensor,
    occupied: Tensor,
    settings: MarchSettings,
    jitter: Tensor | None = None,
) -> Samples:
    """Places samples.

    Args:
        origins, directions: `[R, 3]`, of any length.
        occupied: bool `[S, S, S]`, the cells of the box from -1 to 1.
        jitter: `[R]` in 0 … 1, the share of a step that a ray's samples are moved on by; None: none.

    Raises:
        ValueError: there are more rays than samples may be.
    """
    if len(origins) > settings.cap:
        raise ValueError(f"A cap of {settings.cap} samples is too low for {len(origins)} rays: allow one for each.")
    widened = 1
    while True:
        length = DIAGONAL / settings.steps * widened
        found, count = [], 0
        for ray, depth, points in _candidates(origins, directions, occupied, settings.near, length, jitter):
            count += len(ray)
            if count <= settings.cap:
                found.append((ray, depth, points))
            else:
                found.clear()  # only counted from here on
        if count <= settings.cap:
            break
        widened = max(widened + 1, math.floor(widened * count / settings.cap))
    ray, depth, points = (
        (torch.cat(each) for each in zip(*found, strict=True))
        if found
        else (torch.zeros(0, dtype=torch.long, device=origins.device), origins.new_zeros(0), origins.new_zeros(0, 3))
    )
    return Samples(ray, depth, points, length, widened, len(origins))


def _candidates(
    origins: Tensor, directions: Tensor, occupied: Tensor, near: float, length: float, jitter: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rays, depths and points of samples in occupied cells, for some rays after the others."""
    box = _box(occupied)
    if box is None:
        return
    enter, _ = _limits(origins, directions, origins.new_tensor([[-1.0] * 3, [1.0] * 3]))
    first = enter.clamp(min=near)  # where the lattice of a ray begins, whatever is occupied
    if jitter is not None:
        first = first + jitter * length
    # What lies before and behind all that is occupied need not even be looked up.
    low, high = _limits(origins, directions, box)
    begin = ((low - first) / length).ceil().clamp(min=0)
    counts = (((high - first) / length).floor() - begin + 1).clamp(min=0).long()
    begin = begin.long()
    ends = counts.cumsum(0)
    start, total = 0, int(ends[-1]) if len(ends) else 0
    while start < len(counts):
        done = int(ends[start - 1]) if start else 0
        stop = len(counts)
        if total - done > LOOKED_AT:
            stop = max(int(torch.searchsorted(ends, done + LOOKED_AT, right=True)), start + 1)
        some = counts[start:stop]
        ray = torch.repeat_interleave(torch.arange(start, stop, device=some.device), some)
        number = torch.arange(len(ray), device=some.device) - (ends[start:stop] - some - done)[ray - start]
        depth = first[ray] + (begin[ray] + number) * length
        points = (origins[ray] + depth[:, None] * directions[ray]).clamp_(-1, 1)  # off the walls by rounding at most
        size = len(occupied)
        cell = ((points + 1) * (size / 2)).long().clamp_(max=size - 1)
        hit = occupied.reshape(-1)[(cell[:, 0] * size + cell[:, 1]) * size + cell[:, 2]]
        yield ray[hit], depth[hit], points[hit]
        start = stop


def _box(occupied: Tensor) -> Tensor | None:
    """Lower and upper corner `[2, 3]` of the occupied cells in -1 … 1; None where there is none."""
    limits = []
    for axis in range(3):
        others = tuple(each for each in range(3) if each != axis)
        taken = occupied.any(dim=others[1]).any(dim=others[0]).nonzero()[:, 0]
        if not len(taken):
            return None
        limits.append(torch.stack([taken[0], taken[-1] + 1]))
    return torch.stack(limits, dim=1) * (2 / len(occupied)) - 1


def _limits(origins: Tensor, directions: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave a box `[2, 3]`, `[R]` each; they enter behind where they leave if they miss it."""
    walls = (box[:, None] - origins) / directions  # [2, R, 3]
    # 0 / 0: the ray runs within a wall and never leaves the slab.
    low = walls.amin(0).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).amax(1)
    high = walls.amax(0).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).amin(1)
    return low.clamp(min=0), high
