"""Views that disagree as generated ones do: bent by some pixels, lighter or darker, one of them of something else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.multiview.views import Views
from models.optimisation.chance import generator

BEND, NODES = 3.0, 5
"""Pixels that a picture of 512 is bent by at most, and how many places along a side it is bent at."""

EXPOSURE = 0.1
WRONG_TURN = 4
"""The wrong view shows what is seen so many views further on."""


def disturbed(views: Views, seed: int) -> tuple[Views, int]:
    """The same cameras with other pictures, and which view is the wrong one.

    Every view is bent by a field of its own, whose longest vector is `BEND` pixels, and its colours are multiplied by a
    number of its own between 0.9 and 1.1.
    """
    chance = generator(seed, "disturbed")
    count, height, width = views.alpha.shape
    wrong = int(torch.randint(1, count, (1,), generator=chance))  # the first is the picture that was given
    order = torch.arange(count)
    order[wrong] = (wrong + WRONG_TURN) % count
    both = torch.cat([views.pictures * views.alpha[..., None], views.alpha[..., None]], dim=3)[order]
    field = torch.randn(count, 2, NODES, NODES, generator=chance)
    field = functional.interpolate(field, (height, width), mode="bicubic", align_corners=True)
    longest = field.norm(dim=1).amax((1, 2))[:, None, None, None]
    bent = _moved(both, field / longest * (BEND * width / 512))
    gain = 1 + EXPOSURE * (2 * torch.rand(count, 1, 1, 1, generator=chance) - 1)
    alpha = bent[..., 3].clamp(0, 1)
    pictures = bent[..., :3] / alpha[..., None].clamp(min=1e-3)
    return Views((pictures * gain).clamp(0, 1), alpha, views.cameras), wrong


def _moved(pictures: Tensor, field: Tensor) -> Tensor:
    """`[V, H, W, C]`: each pixel taken from where `[V, 2, H, W]`, pixels along x and y, points to."""
    height, width = pictures.shape[1:3]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    place = torch.stack([x, y], dim=2) + field.movedim(1, 3)
    unit = place * (2 / torch.tensor([width, height])) - 1
    moved = functional.grid_sample(pictures.movedim(3, 1), unit, mode="bilinear", align_corners=False)
    return moved.movedim(1, 3)
