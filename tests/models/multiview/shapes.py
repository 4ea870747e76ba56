"""Views of shapes from formulas, drawn by `models/rendering`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.multiview import Cameras, Views
from models.rendering import ColourField, preview

Vector = tuple[float, float, float]
CORNERS = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
SIDES = torch.tensor(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip

CHAIR: Sequence[tuple[Vector, Vector]] = (
    ((0.0, 0.0, 0.0), (0.2, 0.2, 0.02)),
    ((0.0, 0.18, 0.25), (0.2, 0.02, 0.25)),
    *(((x, y, -0.25), (0.02, 0.02, 0.25)) for x in (-0.18, 0.18) for y in (-0.18, 0.18)),
)
"""Middles and half sides of boxes: a seat, a back, four legs."""

BOX: Sequence[tuple[Vector, Vector]] = (((0.0, 0.0, 0.0), (0.3, 0.2, 0.15)),)


def mesh_of(boxes: Sequence[tuple[Vector, Vector]]) -> tuple[Tensor, Tensor]:
    vertices = [CORNERS * torch.tensor(half) + torch.tensor(middle) for middle, half in boxes]
    return torch.cat(vertices), torch.cat([SIDES + 8 * number for number in range(len(boxes))])


def distance_to(boxes: Sequence[tuple[Vector, Vector]], points: Tensor) -> Tensor:
    """`[P]`: signed distances from the boxes' union, exact outside."""
    found = []
    for middle, half in boxes:
        beyond = (points - torch.tensor(middle)).abs() - torch.tensor(half)
        found.append(beyond.clamp(min=0).norm(dim=1) + beyond.amax(1).clamp(max=0))
    return torch.stack(found).amin(0)


def stripes(points: Tensor) -> Tensor:
    """Colours that change within a tenth."""
    return 0.5 + 0.4 * torch.sin(points * 40)


def shot(vertices: Tensor, faces: Tensor, cameras: Cameras, colour: ColourField = stripes) -> Views:
    drawn = [
        preview(vertices, faces, cameras.camera(index), colour, width=cameras.width, samples=2, background=0.0)
        for index in range(len(cameras))
    ]
    alpha = torch.stack([each.mask for each in drawn]).clamp(0, 1)
    pictures = torch.stack([each.colour for each in drawn]) / alpha[..., None].clamp(min=1e-3)
    return Views(pictures.clamp(0, 1), alpha, cameras)
