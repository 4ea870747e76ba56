"""From a picture to its inverse depth, as MiDaS prepares and reads it: what is near has a larger number.

Pictures are [n, 3, H, W] of 0 to 1, with their own background, rows downwards; inverse depth is relative: any factor
and any shift of it mean the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 512
"""Pixels along a side for which the network was made."""

MULTIPLE = 32
"""Of which each side of what it sees is a multiple."""

GREY = 0.5
"""Mean and deviation of each colour, as it was trained."""

LEAST_RANGE = 1e-6


def seen_size(height: int, width: int, side: int = SIDE) -> tuple[int, int]:
    """Height and width of what the network sees of a picture.

    Of the two factors that would bring a side to `side` the one that is nearer to 1 is taken for both (MiDaS's
    "minimal"), and each side is rounded to a multiple of 32.
    """
    along_height, along_width = side / height, side / width
    factor = along_width if abs(1 - along_width) < abs(1 - along_height) else along_height
    tall, wide = (max(round(factor * extent / MULTIPLE), 1) * MULTIPLE for extent in (height, width))
    return tall, wide


def seen(pictures: Tensor, side: int = SIDE) -> Tensor:
    """Pictures → what the network sees of them [n, 3, h, w], cubic, about -1 to 1."""
    size = seen_size(pictures.shape[-2], pictures.shape[-1], side)
    resized = functional.interpolate(pictures, size, mode="bicubic", align_corners=False)
    return (resized - GREY) / GREY


def predicted(seen: Tensor, network: Any) -> Tensor:
    """What a depth network says of what it sees [n, 3, h, w], one after the other: [n, h, w], float32."""
    weight = next(network.parameters())
    frames = seen.to(device=weight.device, dtype=weight.dtype)
    return torch.cat([network(pixel_values=frame[None]).predicted_depth.float() for frame in frames])


def inverse_depth(pictures: Tensor, network: Any, side: int = SIDE) -> Tensor:
    """The inverse depth of pictures, [n, H, W], float32."""
    found = predicted(seen(pictures, side), network)
    size = pictures.shape[-2:]
    return functional.interpolate(found[:, None], size, mode="bicubic", align_corners=False)[:, 0]


def within(inverse: Tensor, cover: Tensor) -> Tensor:
    """Inverse depth [H, W] of an object alone: 0 where it is farthest, 1 where it is nearest, 0 where it is not.

    cover: [H, W], how much of each pixel the object covers; where it is above 0, the object is.
    """
    there = cover > 0
    if not there.any():
        return torch.zeros_like(inverse)
    low, high = inverse[there].min(), inverse[there].max()
    return torch.where(there, (inverse - low) / (high - low).clamp(min=LEAST_RANGE), 0.0)
