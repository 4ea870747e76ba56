"""What is known of each place of a lattice: how far outside of the outlines it is, and what views show there.

Numbers of a place that are the same whoever looks are put together here (`known`); where each view sees each place, and
how far behind the hull's front it lies there, is kept for a network that looks at the pictures itself (`sights`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.multiview.edges import body
from models.multiview.silhouettes import Lattice, apart, hull_field, look_up
from models.multiview.views import Views

CELLS = 64
"""Cells of the network's lattice along the longest side of the box around the hull."""

FACING = 13
"""Of what is known, where the direction to the views begins: x, y, z."""

BLOCK = 8
"""All sides of the lattice are multiples of this: what the network's coarsest places are of its finest."""

CHANNELS = 21
"""Numbers that are known of each place."""

VIEWED = 240
"""Pixels along a side of the pictures that the network knows."""

REACH = 3.0
"""Cells behind the hull's surface by which a view's word counts a third as much."""

FARTHEST = 4.0
"""Cells from an outline after which it does not matter how many more."""

MANY = 5
"""Outlines that run through a sharp edge at least, in pictures of so few pixels."""

ASKED = 1.0
"""Cells outside of the hull up to which views are asked about a place."""


@dataclass(frozen=True)
class Sights:
    """What each of V views sees of the K places of a lattice that are in the hull or nearly.

    pictures: `[V, 5, S, S]` float32, colours on grey and alpha, and how much nearer than the lattice's middle the
        hull's front is, halves of the lattice's longest side.
    places: `[K]` int64, which points of the lattice.
    grid: `[V, K, 2]`, where in the pictures they are, -1 to 1, x and y.
    behind, outside: `[V, K]`, cells: how far behind the hull's front they lie, and how far outside of the outline.
    """

    pictures: Tensor
    places: Tensor
    grid: Tensor
    behind: Tensor
    outside: Tensor

    @property
    def signs(self) -> Tensor:
        """`[V, K, 4]`: what is known of a place in a view beside what the picture shows there."""
        behind = self.behind.float()
        near, far = torch.exp(-behind), torch.exp(-behind / (2 * REACH))
        return torch.stack([near, self.weight, far, self.outside.float() / FARTHEST], dim=2)

    @property
    def weight(self) -> Tensor:
        """`[V, K]`: the less the farther behind."""
        return torch.exp(-self.behind.float() / REACH)


def lattice_over(low: Tensor, high: Tensor, cells: int | None = None) -> Lattice:
    """The network's lattice over a box, `[3]` float64 its corners: evenly larger, up to whole blocks.

    cells: along the longest side; None: as many as the network knows.
    """
    spacing = float((high - low).max()) / (cells or CELLS)
    counts = (((high - low) / spacing).ceil() / BLOCK).ceil().long() * BLOCK
    origin = (low + high) / 2 - (counts - 1) * spacing / 2
    x, y, z = counts.tolist()
    return Lattice(origin.double(), spacing, (x, y, z))


def known(distances: Tensor, views: Views, lattice: Lattice) -> tuple[Tensor, Tensor, Sights]:
    """What the network is told, `[CHANNELS, X, Y, Z]`, the hull's field, `[X, Y, Z]`, in cells, and what views see.

    Args:
        distances: of `outline_distances`.
    """
    points, spacing = lattice.points(), lattice.spacing
    pictures = _looked_at(views)
    hulls = torch.cat([hull_field(distances, views.cameras, piece) for piece in torch.split(points, 2**17)])
    fronts = _fronts(views, points[hulls < hulls.amin().clamp(min=0) + spacing], spacing)
    asked = hulls < ASKED * spacing
    parts, sights = [], []
    for piece, near in zip(torch.split(points, 2**16), torch.split(asked, 2**16), strict=True):
        outside = (apart(distances, views.cameras, piece) / spacing).clamp(-FARTHEST, FARTHEST)
        ordered = outside.topk(min(8, len(views)), dim=0).values
        ranks = ordered[[min(rank, len(ordered) - 1) for rank in (0, 1, 3, 7)]] / FARTHEST
        edges = (outside.abs() < 0.5).sum(0, keepdim=True) / len(views)
        pixels, depth = views.cameras.project(piece)
        grid = pixels * (2 / views.cameras.width) - 1
        front = functional.grid_sample(
            fronts[:, None], grid[:, None], mode="nearest", padding_mode="border", align_corners=False
        )[:, 0, 0]
        behind = ((depth - front) / spacing).clamp(min=0)
        found = look_up(pictures, pixels)
        weight = torch.exp(-behind / REACH) * (found[..., 3] + 1e-3)
        total = weight.sum(0)
        share = weight / total.clamp(min=1e-6)
        mean = (share[..., None] * found).sum(0)
        spread = ((share[..., None] * (found - mean).square()).sum(0) + 1e-6).sqrt()
        towards = functional.normalize(views.cameras.positions.to(piece)[:, None] - piece, dim=2)
        facing = (share[..., None] * towards).sum(0)
        column = torch.stack([total / len(views), weight.amax(0)])
        parts.append(
            torch.cat([ranks, edges, mean[:, :3].T, mean[:, 4:].T, spread[:, :3].T, spread[:, 4:].T, facing.T, column])
        )
        sights.append((grid[:, near], behind[:, near], outside[:, near]))
    solid = points[hulls <= hulls.amin().clamp(min=0)]
    low, high = solid.amin(0), solid.amax(0)
    height = (points[:, 2] - low[2]) / (high[2] - low[2]).clamp(min=spacing) - 0.5
    tilt = facing_up(views).expand(len(points))
    spanned = body(distances, views, low.double(), high.double(), many=MANY, rounds=0)
    beyond = torch.full_like(height, -FARTHEST) if spanned is None else spanned.outside(points) / spacing
    values = torch.cat([torch.cat(parts, dim=1), height[None], tilt[None], beyond[None].clamp(-FARTHEST, FARTHEST)])
    grid, behind, outside = (torch.cat(each, dim=1) for each in zip(*sights, strict=True))
    shown = torch.cat([pictures[..., :4].movedim(3, 1), _relief(views, fronts, lattice)], dim=1)
    told = Sights(shown, asked.nonzero()[:, 0], grid, behind, outside)
    return values.reshape(-1, *lattice.shape), (hulls / spacing).reshape(lattice.shape), told


def _relief(views: Views, fronts: Tensor, lattice: Lattice) -> Tensor:
    """`[V, 1, H, W]`: how much nearer than the lattice's middle the hull's front is, halves of its longest side."""
    middle = lattice.origin + (lattice.origin.new_tensor(lattice.shape) - 1) * lattice.spacing / 2
    away = views.cameras.project(middle[None].to(fronts))[1][:, :, None]
    half = max(lattice.shape) * lattice.spacing / 2
    near = ((away - fronts) / half).clamp(-2, 2)
    return functional.interpolate(near[:, None], views.alpha.shape[1:], mode="nearest") * views.alpha[:, None]


def facing_up(views: Views) -> Tensor:
    """`[]`: the sine of how high above the object the cameras stand, in the mean."""
    return views.cameras.poses[:, 2, 2].mean().float().to(views.device)


def _looked_at(views: Views) -> Tensor:
    """`[V, H, W, 5]`: colours on grey, alpha, and how much the brightness changes from pixel to pixel."""
    pictures = views.on(0.5)
    light = pictures.mean(3)
    change = functional.max_pool2d(light[:, None], 3, 1, 1) + functional.max_pool2d(-light[:, None], 3, 1, 1)
    return torch.cat([pictures, views.alpha[..., None], change.movedim(1, 3)], dim=3)


def _fronts(views: Views, points: Tensor, spacing: float) -> Tensor:
    """`[V, S, S]`: how far from each camera the nearest of the points is, in pixels about as wide as a cell there."""
    pixels, depth = views.cameras.project(points)
    focal = float(views.cameras.intrinsics[0, 0, 0])
    side = max(8, int(0.7 * views.cameras.width * float(depth.mean()) / focal / spacing))
    found = []
    for place, far in zip(pixels * (side / views.cameras.width), depth, strict=True):
        column, row = place.long().clamp(0, side - 1).unbind(1)
        front = torch.full((side * side,), 1e3, device=points.device)
        found.append(front.scatter_reduce(0, row * side + column, far, "amin").reshape(side, side))
    return torch.stack(found)
