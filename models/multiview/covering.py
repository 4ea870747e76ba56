"""A surface from which too much was taken swells until it covers the outlines again.

Every ray of a pixel that is all the object's has to meet something. Where one does not, the field gives way at the
place on it that was nearest to being inside; and its surroundings give way with it, so that the surface comes out in
one piece and as smooth as it was, as far as the visual hull lets it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.multiview.silhouettes import Lattice
from models.multiview.views import Views

WIDER, WHOLE = 1.4, 0.5
"""Cells that a ray is wide where it is asked whether it meets something, and the alpha from which on it has to."""

BAND, DEEP = 0.5, 0.25
"""Cells: how much farther outside than the nearest place on a ray others are that count as it, and how deep inside it
comes to be."""

ROUNDS = 8
"""How often the surface swells. What no ray of its surroundings asks for too is put back alone, at last."""

REACH, BLUR, TIMES = 1, 2, 2
"""Cells: how far what gives way takes others along, and over how many more that runs out, twice."""


def covering(distance: Tensor, hull: Tensor, views: Views, lattice: Lattice) -> Tensor:
    """`[P]`: a field whose surface covers the outlines as far as the visual hull does, and nowhere leaves that.

    Args:
        distance, hull: `[P]`, fields at the points of a lattice; the first is nowhere below the second.
    """
    inside = (hull < 0).nonzero()[:, 0]
    rays = Rays.of(views, lattice.points()[inside], lattice.spacing)
    for _ in range(ROUNDS):
        rays, on_them = rays.bare(distance[inside])  # what is met stays met
        inside = inside[on_them]
        if not len(inside):
            return distance
        lack = rays.lack(distance[inside], lattice.spacing)
        asked = torch.zeros_like(distance).index_copy(0, inside, lack)
        distance = torch.maximum(hull, distance - _spread(asked.reshape(lattice.shape)).flatten())
    found = distance[inside]
    return distance.index_copy(0, inside, found - rays.lack(found, lattice.spacing))


@dataclass(frozen=True)
class Rays:
    """Which ray of each view each place is on, as wide as `WIDER` cells of the lattice.

    number: `[V, P]` int64. asked: `[V, R]` bool, whether the ray has to meet something.
    """

    number: Tensor
    asked: Tensor

    @classmethod
    def of(cls, views: Views, places: Tensor, spacing: float) -> Rays:
        """Of places `[P, 3]`."""
        pixels, depth = views.cameras.project(places)
        focal, width, height = float(views.cameras.intrinsics[0, 0, 0]), views.cameras.width, views.cameras.height
        share = min(1.0, float(depth.mean()) / (focal * spacing * WIDER))
        rows, columns = max(8, round(height * share)), max(8, round(width * share))
        asked = functional.adaptive_avg_pool2d(views.alpha, (rows, columns)).flatten(1) > WHOLE
        column, row = (pixels * pixels.new_tensor([columns / width, rows / height])).long().unbind(-1)
        return cls(row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1), asked)

    def bare(self, found: Tensor) -> tuple[Rays, Tensor]:
        """Those that have to meet something in a field `[P]` and do not; and `[P]` bool, the places that are on any."""
        asked = torch.stack([self._bare(view, found)[0] for view in range(len(self.number))])
        there = asked.gather(1, self.number).any(0)
        return Rays(self.number[:, there], asked), there

    def lack(self, found: Tensor, spacing: float) -> Tensor:
        """`[P]`: by how much a field `[P]` has to sink for every ray to meet something; 0 where it need not."""
        lack = torch.zeros_like(found)
        for view, ray in enumerate(self.number):
            bare, least = self._bare(view, found)
            here = bare[ray] & (found <= least[ray] + BAND * spacing)
            lack = torch.where(here, torch.maximum(lack, found + DEEP * spacing), lack)
        return lack

    def _bare(self, view: int, found: Tensor) -> tuple[Tensor, Tensor]:
        """`[R]` each: whether a ray meets nothing and has to, and the least that there is on it."""
        asked = self.asked[view]
        least = torch.full(asked.shape, torch.inf, device=found.device)
        least = least.scatter_reduce(0, self.number[view], found, "amin")
        return asked & (least > 0), least


def _spread(amount: Tensor) -> Tensor:
    """`[X, Y, Z]`, 0 or more: each place's own, and less and less around it."""
    wide = functional.max_pool3d(amount[None, None], 2 * REACH + 1, 1, REACH)
    for axis in (0, 1, 2) * TIMES:
        width, padding = [1, 1, 1], [0, 0, 0]
        width[axis], padding[axis] = 2 * BLUR + 1, BLUR
        wide = functional.avg_pool3d(wide, width, 1, padding)
    return wide[0, 0]
