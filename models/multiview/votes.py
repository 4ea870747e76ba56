"""What each view says of the places that it may see: a small network looks at the pictures, another asks it of places.

A picture tells more than its colours where a place falls into it: whether that is a top or a side, an edge or a seat.
So a convolutional network gives every pixel some numbers, and what they say of a place depends on how far behind the
hull's front it lies there. The views' words are averaged, as in IBRNet (Wang et al. 2021) and PixelNeRF (Yu et al.
2021), each as much as it can know.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.multiview.known import Sights

APART = 3
"""Pixels of a picture along a side that the network's finest places stand for."""

SIGNS = 4
"""Numbers of `Sights.signs`."""


class Votes(nn.Module):
    """Numbers of places from what V views see of them.

    width: of the network that looks, at a half of the pictures' side; twice as much at a quarter and an eighth.
    told: numbers of a pixel. heard: numbers of a place; their spread over the views comes to them.
    """

    def __init__(self, width: int = 24, told: int = 16, heard: int = 12) -> None:
        super().__init__()
        self.heard = heard
        self.channels = 2 * heard
        self.enter = nn.Conv2d(APART**2 * 5, width, 3, padding=1)
        self.fine = Flat(width)
        self.down = nn.ModuleList([nn.Conv2d(width, 2 * width, 2, 2), nn.Conv2d(2 * width, 2 * width, 2, 2)])
        self.inner = nn.ModuleList([Flat(2 * width), nn.Sequential(Flat(2 * width), Flat(2 * width, 2))])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(2 * width, 2 * width, 2, 2), nn.ConvTranspose2d(2 * width, width, 2, 2)]
        )
        self.leave = nn.Sequential(nn.SiLU(), nn.Conv2d(width, told, 3, padding=1))
        self.ask = nn.Sequential(nn.Linear(told + SIGNS, 24), nn.SiLU(), nn.Linear(24, heard + 1))

    def forward(self, sights: Sights) -> Tensor:
        """`[channels, K]`."""
        fine = self.fine(self.enter(functional.pixel_unshuffle(_whole(sights.pictures.float()), APART)))
        half = self.inner[0](self.down[0](fine))
        quarter = self.inner[1](self.down[1](half))
        pixels = self.leave(fine + self.up[1](half + self.up[0](quarter)))
        said = []
        for grid, signs, weight in zip(
            torch.split(sights.grid, 2**15, 1), torch.split(sights.signs, 2**15, 1),
            torch.split(sights.weight, 2**15, 1), strict=True,
        ):  # fmt: skip
            shown = functional.grid_sample(
                pixels.float(), grid[:, None].float(), mode="bilinear", padding_mode="border", align_corners=False
            )[:, :, 0].transpose(1, 2)
            words = self.ask(torch.cat([shown, signs], dim=2)).float()
            share = (weight * torch.sigmoid(words[..., 0]) + 1e-4)[..., None]
            share = share / share.sum(0)
            mean = (share * words[..., 1:]).sum(0)
            spread = ((share * (words[..., 1:] - mean).square()).sum(0) + 1e-4).sqrt()
            said.append(torch.cat([mean, spread], dim=1).T)
        return torch.cat(said, dim=1)


def _whole(pictures: Tensor) -> Tensor:
    """Pictures `[V, C, H, W]` with as many pixels more as the network's coarsest places want."""
    block = 4 * APART
    size = [-(-side // block) * block for side in pictures.shape[2:]]
    if size == list(pictures.shape[2:]):
        return pictures
    return functional.interpolate(pictures, size, mode="bilinear", align_corners=False)


class Flat(nn.Module):
    """Two convolutions of a picture that add to what comes in, which is normalised first."""

    def __init__(self, width: int, apart: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.GroupNorm(8, width), nn.Conv2d(width, width, 3, padding=apart, dilation=apart), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        found: Tensor = x + self.inner(x)
        return found
