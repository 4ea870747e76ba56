"""What the true surface is likely to be inside of a visual hull, by a small network that has seen furniture.

The hull of an orbit is never too small, and what it has too much is much alike: a roof on every top, a bulge before
every broad wall, hollows that are filled. On a coarse lattice the network is told how far each place lies outside of
the outlines and what the views show there, and says how far from the surface it is. Of that and of the hull's distance,
on any finer lattice, the larger counts: nothing is put where an outline forbids it, and where the hull is right it is
kept in all its sharpness.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.loading import load_module
from models.multiview.known import CHANNELS, VIEWED, Sights, known, lattice_over
from models.multiview.silhouettes import outline_distances
from models.multiview.views import Views
from models.multiview.votes import Votes

CLIPPED = 3.5
"""Cells: distances of the network beyond are all one."""

DEEP, AROUND = 1.0, 2
"""Cells: a part of the hull is thick if it is so deep somewhere, and so far around there; thin parts are the hull's."""

AIR = 1.0
"""Cells outside of the surface: from there on the network is believed about thin parts of the hull too."""

FEWEST = 12
"""Views. The network has seen none but orbits of sixteen; of a few views the hull looks otherwise."""


def likely(prior: Prior, views: Views, low: Tensor, high: Tensor, points: Tensor) -> Tensor:
    """`[P]` float32: how far outside of the surface points `[P, 3]` likely are, negative inside, units of the world.

    No more than `CLIPPED` cells either way; and that far inside in thin parts of the hull, which are left as they are,
    but for what is air beyond doubt.

    Args:
        low, high: corners of the box around the hull, of `object_box`.
    """
    views = views.at_most(VIEWED)
    lattice = lattice_over(low, high)
    values, hull, sights = known(outline_distances(views.alpha), views, lattice)
    found = prior(values, sights).clamp(-CLIPPED, CLIPPED)
    found = torch.where((thick(hull) > 0) | (found > AIR), found, -CLIPPED) * lattice.spacing
    return torch.cat([lattice.sample(found[None], piece)[:, 0] for piece in torch.split(points, 2**20)])


def thick(hull: Tensor) -> Tensor:
    """`[X, Y, Z]`: 1 where a hull, cells, is thicker than the lattice can tell, or near there; 0 in its thin parts."""
    deep = (hull < -DEEP).to(hull)
    return functional.max_pool3d(deep[None, None], 2 * AROUND + 1, 1, AROUND)[0, 0]


class Prior(nn.Module):
    """What views say of places, on a lattice, and a U-Net of three levels; its finest has few channels, since it has
    most places.

    middle, spread: `[CHANNELS]` of what is known of the places of hulls, which is brought to a common measure by them.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, fine: int = 16, widths: tuple[int, int, int] = (32, 64, 96), votes: Votes | None = None) -> None:
        super().__init__()
        first, second, third = widths
        self.coarsest = third
        self.votes = votes or Votes()
        self.register_buffer("middle", torch.zeros(CHANNELS))
        self.register_buffer("spread", torch.ones(CHANNELS))
        self.enter = nn.Sequential(
            nn.Conv3d(CHANNELS + self.votes.channels, fine, 1), nn.SiLU(),
            nn.Conv3d(fine, fine, 3, padding=1), nn.SiLU(),
        )  # fmt: skip
        self.straight = nn.Conv3d(CHANNELS + self.votes.channels, first, 2, 2)
        self.down = nn.ModuleList(
            [nn.Conv3d(fine, first, 2, 2), nn.Conv3d(first, second, 2, 2), nn.Conv3d(second, third, 2, 2)]
        )
        self.inner = nn.ModuleList([Block(first), Block(second), nn.Sequential(Block(third), Block(third))])
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(wide, narrow, 2, 2) for wide, narrow in ((third, second), (second, first), (first, fine))
        )
        self.outer = nn.ModuleList([Block(second), Block(first)])
        self.leave = nn.Sequential(
            nn.Conv3d(fine, fine, 3, padding=1), nn.SiLU(),
            nn.Conv3d(fine, fine, 3, padding=1), nn.SiLU(),
            nn.Conv3d(fine, 1, 3, padding=1),
        )  # fmt: skip
        last = self.leave[-1]
        assert isinstance(last, nn.Conv3d) and last.bias is not None
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, -1.0)

    def forward(self, values: Tensor, sights: Sights) -> Tensor:
        """`[X, Y, Z]`, distances from the surface, cells; beyond `CLIPPED` they mean no more than that. Sides are whole
        blocks.

        Args:
            values: `[CHANNELS, X, Y, Z]`; both as `known` tells them.
        """
        values = ((values.movedim(0, 3) - self.middle) / self.spread).movedim(3, 0)
        said = values.new_zeros(self.votes.channels, values[0].numel())
        said = said.index_copy(1, sights.places, self.votes(sights).to(values))
        told = torch.cat([values, said.reshape(-1, *values.shape[1:])])[None]
        fine = self.enter(told)
        kept: list[Tensor] = []
        x = fine
        for down, inner in zip(self.down, self.inner, strict=True):
            x = down(x) if kept else down(x) + self.straight(told)
            # In 16 bit the gradients of convolutions of PyTorch 2.13 over few places are at times not finite.
            with torch.autocast(x.device.type, enabled=x.shape[1] != self.coarsest):
                x = inner(x.float() if x.shape[1] == self.coarsest else x)
            kept.append(x)
        for up, outer, skip in zip(self.up[:2], self.outer, kept[1::-1], strict=True):
            x = outer(up(x) + skip)
        x = self.leave(self.up[2](x) + fine)
        found: Tensor = x[0, 0].float()
        return found


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
