"""What the network is told of the picture, of its frames and of the camera.

In the order in which the published conditioners stand: stage 1's vector is [aesthetic 256 | elevation 256 | noise 256],
stage 2's [elevation 256 | noise 256]; stage 2's frames carry [depth 9 | latents 4].
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.depth.midas import predicted
from models.image_processor import CLIP_COLOURS

WIDTH = 256
"""Of each part of the vector."""

NOISE = 0.02
"""Standard deviation of what is added to the frames before they are encoded, in colours −1 … 1."""

NOISE_TOLD = float(torch.tensor(NOISE, dtype=torch.float16))
"""As the network is told of it: the published program rounds it to 16 bits, 0.0200043."""

SCORE_FRAME = (224, 384)
"""Height and width that a frame is squeezed to for the aesthetic score, whatever its aspect; the middle is cut out."""

CLIP_SIDE = 224
UNSHUFFLE = 3
"""Depth pixels along a side of a latent: each becomes a channel."""

DEPTH_SHARE = 2.6666
DEPTH_MULTIPLE = 32
LEAST_RANGE = 1e-6


def sinusoid(values: Tensor, width: int) -> Tensor:
    """Numbers [n] → [n, width]: cosines, then sines, of frequencies falling from 1 to 1/10000; 0 at an odd end."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(half, dtype=torch.float32) / half)
    angles = values.float()[:, None] * frequencies.to(values.device)
    return functional.pad(torch.cat([angles.cos(), angles.sin()], dim=1), (0, width - 2 * half))


def aesthetic(score: Tensor) -> Tensor:
    """A score [n] → [n, 256]: the score itself, then a sinusoid of a hundred times it."""
    return torch.cat([score.float()[:, None], sinusoid(100.0 * score.float(), WIDTH - 1)], dim=1)


def vector(elevation: float, score: Tensor | None = None, noise: float = NOISE_TOLD) -> Tensor:
    """What goes with the time [length], float32.

    Args:
        elevation: of the camera in whole degrees.
        score: aesthetic [1], which stage 1 is told; None in stage 2.
    """
    parts = [] if score is None else [aesthetic(score)]
    parts += [sinusoid(torch.tensor([value], dtype=torch.float32), WIDTH) for value in (elevation, noise)]
    return torch.cat([each.cpu() for each in parts], dim=1)[0]


def clip_colours(pictures: Tensor) -> Tensor:
    """Colours −1 … 1, [n, 3, h, w] → as CLIP was trained with."""
    mean, deviation = (torch.tensor(each, device=pictures.device)[:, None, None] for each in CLIP_COLOURS)
    return ((pictures + 1.0) / 2.0 - mean) / deviation


def clip_input(pictures: Tensor, side: int = CLIP_SIDE) -> Tensor:
    """Pictures −1 … 1, [n, 3, h, w] → what the picture's tower sees [n, 3, side, side].

    Blurred before they are made smaller, then bicubic from corner to corner, as kornia 0.6.9 does.
    """
    factors = [extent / side for extent in pictures.shape[-2:]]
    resized = functional.interpolate(_blurred(pictures, factors), (side, side), mode="bicubic", align_corners=True)
    return clip_colours(resized)


def score_input(pictures: Tensor, side: int = CLIP_SIDE) -> Tensor:
    """Pictures −1 … 1, [n, 3, h, w] → what the score's tower sees [n, 3, side, side], squeezed as published."""
    height, width = (round(extent * side / CLIP_SIDE) for extent in SCORE_FRAME)
    squeezed = functional.interpolate(pictures, (height, width), mode="bilinear", align_corners=False)
    left = (width - side) // 2
    return clip_colours(squeezed[..., left : left + side])


def score(pictures: Tensor, tower: Any, weight: Tensor, bias: Tensor) -> Tensor:
    """The aesthetic score [n] of pictures −1 … 1, [n, 3, h, w]. weight, bias: of the folded head."""
    seen = score_input(pictures, tower.config.image_size)
    return score_of(tower(pixel_values=_for(seen, tower)).image_embeds.float(), weight, bias)


def score_of(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same of features [n, width]."""
    return functional.normalize(features, dim=-1) @ weight.to(features.device) + bias.to(features.device)


def picture_token(pictures: Tensor, tower: Any) -> Tensor:
    """The picture's token [n, 1, width], float32, of clean pictures −1 … 1, [n, 3, h, w]."""
    seen = clip_input(pictures, tower.config.image_size)
    embedding: Tensor = tower(pixel_values=_for(seen, tower)).image_embeds[:, None].float()
    return embedding


def depth_side(extent: int) -> int:
    """Pixels that the depth network sees along a side of a frame of so many."""
    return max(int(extent / DEPTH_SHARE / DEPTH_MULTIPLE), 1) * DEPTH_MULTIPLE


def depth_input(frames: Tensor) -> Tensor:
    """Frames −1 … 1, [T, 3, H, W] → what the depth network sees: sides of about 3/8, multiples of 32."""
    size = [depth_side(extent) for extent in frames.shape[-2:]]
    return functional.interpolate(frames, size, mode="bilinear", align_corners=False)


def depth_channels(disparity: Tensor, latent_size: tuple[int, int]) -> Tensor:
    """Disparity [T, h, w], near is large → [T, 9, latent height, latent width], 0 … 1 in each frame."""
    size = [UNSHUFFLE * extent for extent in latent_size]
    seen = functional.interpolate(disparity.float()[:, None], size, mode="bilinear", align_corners=False)
    seen = seen - seen.amin(dim=(1, 2, 3), keepdim=True)
    seen = seen / seen.amax(dim=(1, 2, 3), keepdim=True).clamp(min=LEAST_RANGE)
    return functional.pixel_unshuffle(seen, UNSHUFFLE)


def depth(frames: Tensor, network: Any) -> Tensor:
    """The disparity [T, h, w], float32, of frames −1 … 1, [T, 3, H, W], one after the other."""
    return predicted(depth_input(frames), network)


def _blurred(pictures: Tensor, factors: list[float]) -> Tensor:
    """Blurred along each axis by how much smaller it will be."""
    if max(factors) <= 1.0:
        return pictures
    for axis, factor in zip((-2, -1), factors, strict=True):
        sigma = max((factor - 1.0) / 2.0, 0.001)
        length = int(max(4.0 * sigma, 3.0))
        length += 1 - length % 2
        places = torch.arange(length, dtype=pictures.dtype, device=pictures.device) - length // 2
        kernel = torch.exp(-(places**2) / (2.0 * sigma**2))
        shape = (1, 1, length, 1) if axis == -2 else (1, 1, 1, length)
        kernel = (kernel / kernel.sum()).reshape(shape).repeat(pictures.shape[1], 1, 1, 1)
        beyond = (0, 0, length // 2, length // 2) if axis == -2 else (length // 2, length // 2, 0, 0)
        padded = functional.pad(pictures, beyond, mode="reflect")
        pictures = functional.conv2d(padded, kernel, groups=pictures.shape[1])
    return pictures


def _for(tensor: Tensor, network: Any) -> Tensor:
    """Where and in the precision in which a network works."""
    parameter = next(network.parameters())
    return tensor.to(device=parameter.device, dtype=parameter.dtype)
