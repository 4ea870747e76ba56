"""Where in the box something is: remembered in cells, so that rays need not ask elsewhere.

As torch-ngp and Magic123 do: now and then cells are asked for their density at one point each, jittered; what is
remembered fades, and is what was found where that is more. The published code asks all cells each time. Here a share
of them can be asked in turn, those that are occupied already each time among them, and what is remembered of the others
fades when their turn comes: for a quarter of the questions a cell that fills is noticed three updates later at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CHUNK = 1 << 18

Density = Callable[[Tensor], Tensor]
"""Points `[N, 3]` in -1 … 1 → `[N]`."""


@dataclass(frozen=True)
class OccupancySettings:
    """How space is remembered.

    resolution: cells along each axis.
    decay: what stays of a remembered density in one update.
    threshold: a cell is occupied above this density, or above the mean of all cells where that is less.
    turns: updates in which every cell has been asked once; 1: all each time, as published.
    every: steps from one update to the next.
    """

    resolution: int = 128
    decay: float = 0.95
    threshold: float = 10.0
    turns: int = 1
    every: int = 16

    def __post_init__(self) -> None:
        if self.resolution < 2 or not 0 <= self.decay < 1 or self.turns < 1 or self.every < 1:
            raise ValueError(f"{self} is no way to remember space.")


class Occupancy(nn.Module):
    """Remembered densities.

    Attributes:
        densities: buffer `[R * R * R]`, the last axis changes fastest; -1 where a cell was never asked.
    """

    densities: Tensor

    def __init__(self, settings: OccupancySettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or OccupancySettings()
        self.register_buffer("densities", torch.full((settings.resolution**3,), -1.0))

    @property
    def threshold(self) -> Tensor:
        """The density above which a cell counts as occupied."""
        return self.densities.clamp(min=0).mean().clamp(max=self.settings.threshold)

    def occupied(self) -> Tensor:
        """Bool `[R * R * R]`."""
        return self.densities > self.threshold

    def cells(self, points: Tensor) -> Tensor:
        """The numbers `[N]` int64 of the cells that points `[N, 3]` in -1 … 1 lie in."""
        resolution = self.settings.resolution
        place = ((points + 1) * (resolution / 2)).long().clamp_(0, resolution - 1)
        return (place[:, 0] * resolution + place[:, 1]) * resolution + place[:, 2]

    def update(self, density: Density, turn: int, generator: torch.Generator) -> int:
        """Asks cells for their density. The caller sees to it that no gradients are asked for.

        Args:
            turn: how many updates there were before; in the first all cells are asked.
            generator: on the CPU, of the jitter.

        Returns:
            How many cells were asked.
        """
        settings, densities = self.settings, self.densities
        cells = torch.arange(len(densities), device=densities.device)
        jitter = torch.rand(3, len(densities), generator=generator)
        if turn and settings.turns > 1:
            # Neighbours along every axis have their turns at other times.
            place = _place(cells, settings.resolution)
            mine = place.sum(1) % settings.turns == turn % settings.turns
            asked = (mine | self.occupied()).nonzero()[:, 0]
            faded = torch.where(mine, settings.decay**settings.turns, settings.decay)[asked]
            cells, jitter = asked, jitter[:, asked.to(jitter.device)]
        else:
            faded = torch.full_like(densities, settings.decay)
        for begin in range(0, len(cells), CHUNK):
            part = cells[begin : begin + CHUNK]
            place = _place(part, settings.resolution) + jitter[:, begin : begin + CHUNK].t().to(densities.device)
            found = density(place * (2 / settings.resolution) - 1)
            densities[part] = torch.maximum(densities[part] * faded[begin : begin + CHUNK], found.to(densities))
        return len(cells)


def _place(cells: Tensor, resolution: int) -> Tensor:
    """Cells along each axis `[N, 3]`."""
    return torch.stack([cells // resolution**2, cells // resolution % resolution, cells % resolution], dim=1)
