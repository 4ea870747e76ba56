"""Colours carried on beyond the borders of charts, so that filtering never reads what is not there."""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT = 6
LARGEST_RADIUS = 2 ** (SHIFT - 1) - 1


def nearest_covered(covered: Tensor, radius: int) -> Tensor:
    """For each texel the nearest covered one within a radius: exact, in two passes over rows and columns.

    Squared distances separate: the nearest in a column's rows is the best of the rows' own nearest (Felzenszwalb and
    Huttenlocher, "Distance Transforms of Sampled Functions", 2012); a small radius needs no envelope. Of equally near
    texels the upper one wins, of these the left one.

    Args:
        covered: `[H, W]` bool. radius: texels, 0 to 31.

    Returns:
        `[H, W]` int64, row * W + column; -1 where nothing covered lies within the radius.
    """
    if not 0 <= radius <= LARGEST_RADIUS:
        raise ValueError(f"Padding is 0 to {LARGEST_RADIUS} texels wide, not {radius}.")
    height, width = covered.shape
    columns = torch.arange(width, device=covered.device, dtype=torch.int32).expand(height, width)
    far = 2 * max(width, radius)
    left = torch.where(covered, columns, -far).cummax(1).values
    right = torch.where(covered, columns, width + far).flip(1).cummin(1).values.flip(1)
    column = torch.where(columns - left <= right - columns, left, right)
    away = (column - columns).abs().clamp(max=radius + 1) ** 2
    # One number per candidate: its squared distance, then where it is from, so that the least is the nearest.
    unreached = torch.iinfo(torch.int32).max
    best = torch.full_like(away, unreached)
    for step in range(-min(radius, height - 1), min(radius, height - 1) + 1):
        rows, source = slice(max(0, -step), height - max(0, step)), slice(max(0, step), height + min(0, step))
        code = ((away[source] + step * step) << SHIFT) + (step + radius)
        best[rows] = torch.minimum(best[rows], code)
    found = (best >> SHIFT) <= radius * radius
    row = torch.arange(height, device=covered.device)[:, None] + (best & (2**SHIFT - 1)) - radius
    row = torch.where(found, row, 0)
    return torch.where(found, row * width + column.long().gather(0, row), -1)


def pad(image: Tensor, covered: Tensor, radius: int) -> Tensor:
    """The image `[H, W, 3]` uint8 with its nearest covered texel wherever one lies within a radius.

    What is farther out gets the mean of all that is covered: small mip levels reach it, and are not darkened.
    """
    source = nearest_covered(covered, radius)
    flat = image.reshape(-1, 3)
    mean = flat[covered.reshape(-1)].double().mean(0).round().to(torch.uint8)
    padded = flat[source.clamp(min=0)]
    return torch.where(source[..., None] >= 0, padded, mean)
