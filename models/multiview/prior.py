"""What the true surface is likely to be inside of a visual hull, by a small network that has seen furniture.

The hull of an orbit is never too small, and what it has too much is much alike: a roof on every top, a bulge before
every broad wall, hollows that are filled. On a coarse lattice the network is told how far each place lies outside of
the outlines and how well the colours of the views agree there, and says how much farther from the surface it really
is. That is a smooth number which is added to the hull of any finer lattice, and never negative: nothing is put where
an outline forbids it, and where it is nought the hull is kept in all its sharpness.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.loading import load_module
from models.multiview.silhouettes import Lattice, apart, hull_field, look_up, outline_distances
from models.multiview.views import Views

CELLS = 64
"""Cells of the network's lattice along the longest side of the box around the hull."""

FACING = 13
"""Of what is known, where the direction to the views begins: x, y, z."""

BLOCK = 8
"""All sides of the lattice are multiples of this: what the network's coarsest places are of its finest."""

SLIGHT = 0.1
"""Cells: nothing is taken away where the network would take less than this, and all that it would from four times as
much on."""

DEEP, AROUND = 1.0, 2
"""Cells: a part of the hull is thick if it is so deep somewhere, and so far around there; thin parts are the hull's."""

CHANNELS = 20
"""Numbers that are known of each place."""

FEWEST = 12
"""Views. The network has seen none but orbits of sixteen; of a few views the hull looks otherwise."""

SIDE = 160
"""Pixels along a side of the pictures that the network knows."""

REACH = 3.0
"""Cells behind the hull's surface by which a view's word counts a third as much."""

FARTHEST = 4.0
"""Cells from an outline after which it does not matter how many more."""


def lattice_over(low: Tensor, high: Tensor, cells: int | None = None) -> Lattice:
    """The network's lattice over a box, `[3]` float64 its corners: evenly larger, up to whole blocks.

    cells: along the longest side; None: as many as the network knows.
    """
    spacing = float((high - low).max()) / (cells or CELLS)
    counts = (((high - low) / spacing).ceil() / BLOCK).ceil().long() * BLOCK
    origin = (low + high) / 2 - (counts - 1) * spacing / 2
    x, y, z = counts.tolist()
    return Lattice(origin.double(), spacing, (x, y, z))


def known(distances: Tensor, views: Views, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """What the network is told, `[CHANNELS, X, Y, Z]`, and the hull's field, `[X, Y, Z]`, in cells.

    Args:
        distances: of `outline_distances`.
    """
    points, spacing = lattice.points(), lattice.spacing
    pictures = _looked_at(views)
    parts = []
    hulls = torch.cat([hull_field(distances, views.cameras, piece) for piece in torch.split(points, 2**17)])
    fronts = _fronts(views, points[hulls < hulls.amin().clamp(min=0) + spacing], spacing)
    for piece in torch.split(points, 2**16):
        outside = apart(distances, views.cameras, piece) / spacing
        ordered = outside.topk(min(8, len(views)), dim=0).values
        ranks = ordered[[min(rank, len(ordered) - 1) for rank in (0, 1, 3, 7)]].clamp(-FARTHEST, FARTHEST) / FARTHEST
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
    solid = points[hulls <= hulls.amin().clamp(min=0)]
    low, high = solid.amin(0), solid.amax(0)
    height = (points[:, 2] - low[2]) / (high[2] - low[2]).clamp(min=spacing) - 0.5
    tilt = facing_up(views).expand(len(points))
    values = torch.cat([torch.cat(parts, dim=1), height[None], tilt[None]])
    return values.reshape(-1, *lattice.shape), (hulls / spacing).reshape(lattice.shape)


def small(views: Views, side: int = SIDE) -> Views:
    """The views in as many pixels as the network knows; smaller ones stay."""
    cameras = views.cameras
    if max(cameras.width, cameras.height) <= side:
        return views
    share = side / max(cameras.width, cameras.height)
    size = max(1, round(cameras.height * share)), max(1, round(cameras.width * share))
    both = torch.cat([views.pictures * views.alpha[..., None], views.alpha[..., None]], dim=3).movedim(3, 1)
    both = functional.interpolate(both, size, mode="area").movedim(1, 3)
    pictures = both[..., :3] / both[..., 3:].clamp(min=1e-3)
    return Views(pictures.clamp(0, 1), both[..., 3].clamp(0, 1), cameras.scaled(size[1], size[0]))


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


def excess(prior: Prior, views: Views, low: Tensor, high: Tensor, points: Tensor) -> Tensor:
    """`[P]` float32: how much farther outside than the visual hull says points `[P, 3]` are, units of the world.

    Args:
        low, high: corners of the box around the hull, of `object_box`.
    """
    views = small(views)
    lattice = lattice_over(low, high)
    values, hull = known(outline_distances(views.alpha), views, lattice)
    found = prior(values[None])
    # The network's answer is never quite nought; where it is little, what the outlines say is right.
    found = found * ((found - SLIGHT) / (3 * SLIGHT)).clamp(0, 1) * thick(hull) * lattice.spacing
    return torch.cat([lattice.sample(found, piece)[:, 0] for piece in torch.split(points, 2**20)])


def thick(hull: Tensor) -> Tensor:
    """`[X, Y, Z]`: 1 where a hull, cells, is thicker than the lattice can tell, or near there; 0 in its thin parts."""
    deep = (hull < -DEEP).to(hull)
    return functional.max_pool3d(deep[None, None], 2 * AROUND + 1, 1, AROUND)[0, 0]


class Prior(nn.Module):
    """A U-Net of three levels on a lattice; its finest has few channels, since it has most places."""

    def __init__(self, fine: int = 8, widths: tuple[int, int, int] = (32, 64, 96)) -> None:
        super().__init__()
        first, second, third = widths
        self.coarsest = third
        self.enter = nn.Sequential(nn.Conv3d(CHANNELS, fine, 3, padding=1), nn.SiLU())
        self.down = nn.ModuleList(
            [nn.Conv3d(fine, first, 2, 2), nn.Conv3d(first, second, 2, 2), nn.Conv3d(second, third, 2, 2)]
        )
        self.inner = nn.ModuleList([Block(first), Block(second), nn.Sequential(Block(third), Block(third))])
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(wide, narrow, 2, 2) for wide, narrow in ((third, second), (second, first), (first, fine))
        )
        self.outer = nn.ModuleList([Block(second), Block(first)])
        self.leave = nn.Sequential(nn.Conv3d(2 * fine, fine, 3, padding=1), nn.SiLU(), nn.Conv3d(fine, 1, 3, padding=1))
        last = self.leave[-1]
        assert isinstance(last, nn.Conv3d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, -1.0)

    def forward(self, values: Tensor) -> Tensor:
        """`[B, X, Y, Z]`, cells by which each place is farther outside than the hull says; sides whole blocks."""
        fine = self.enter(values)
        kept, x = [], fine
        for down, inner in zip(self.down, self.inner, strict=True):
            x = down(x)
            # In 16 bit the gradients of convolutions of PyTorch 2.13 over few places are at times not finite.
            with torch.autocast(x.device.type, enabled=x.shape[1] != self.coarsest):
                x = inner(x.float() if x.shape[1] == self.coarsest else x)
            kept.append(x)
        for up, outer, skip in zip(self.up[:2], self.outer, kept[1::-1], strict=True):
            x = outer(up(x) + skip)
        x = self.leave(torch.cat([self.up[2](x), fine], dim=1))
        return functional.softplus(x[:, 0] * 2) / 2


def read_prior(folder: Path, device: torch.device | str = "cpu") -> Prior:
    """The network with the weights of `model.safetensors` in a folder, as `python -m training.surface` writes them.

    Raises:
        CheckpointMissing, CheckpointDamaged, CheckpointForeign: see `models/loading.py`.
    """
    with torch.device("meta"):
        prior = Prior()
    return load_module(prior, folder, "model", device, torch.float32)


class Block(nn.Module):
    """Two convolutions that add to what comes in, which is normalised first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, width), nn.Conv3d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv3d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        found: Tensor = x + self.inner(x)
        return found
