"""What makes a picture, or samples of a field, worse: the losses of Magic123's coarse stage (arXiv 2306.17843).

Those of pictures are its fine stage's too. Each is a mean without its weight; `Weights` has those.

Axes: pictures `[..., H, W, C]`, masks and depths `[..., H, W]`, N samples of a field along rays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

LEAST_WEIGHT = 1e-5
"""Of a sample, as far as its entropy is concerned."""

BLUR, SIGMA = 9, 1.7
EDGE, EDGE_SHARE = 5, 0.1


@dataclass(frozen=True)
class Weights:
    """What each loss is multiplied with; published numbers of the coarse stage.

    rgb, mask, depth: of the known view. entropy: its full amount, see `ramp`. orient: of samples that face away.
    normal_smooth, normal_blur: of the picture of the normals, against its neighbours and against its blurred self.
    normal: of normals that are known for the known view. opacity: of how much of a picture is covered.
    """

    rgb: float = 5.0
    mask: float = 0.5
    depth: float = 0.01
    entropy: float = 1e-3
    orient: float = 1e-2
    normal_smooth: float = 0.5
    normal_blur: float = 0.5
    normal: float = 0.0
    opacity: float = 0.0

    @property
    def need_normals(self) -> bool:
        """Whether a loss of every view looks at normals."""
        return self.orient > 0 or self.normal_smooth > 0 or self.normal_blur > 0


def rgb(picture: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference over all pixels and channels, of pictures that are black where the mask is 0."""
    return functional.mse_loss(picture * mask[..., None], truth * mask[..., None])


def mask(opacity: Tensor, alpha: Tensor) -> Tensor:
    """Mean squared difference between what is covered and where the known picture is covered by more than half."""
    return functional.mse_loss(opacity, (alpha > 0.5).to(opacity))


def without_edges(alpha: Tensor) -> Tensor:
    """Which pixels `[H, W]` of a known picture are surely the object's: covered, and no neighbour is more so.

    Pixels whose alpha grows by more than 0.1 within two pixels are left out. Of a mask without soft edges all stay.
    """
    largest = functional.max_pool2d(alpha[None, None], EDGE, stride=1, padding=EDGE // 2)[0, 0]
    return ((alpha > 0.5) & ((largest - alpha).clamp(0, 1) <= EDGE_SHARE)).to(alpha)


def normalised_depth(depth: Tensor, mask: Tensor | None = None) -> Tensor:
    """Depths brought to 0 … 1: the smallest positive one is taken off, the largest divides, the rest is cut off.

    Args:
        depth: `[..., H, W]`, 0 where nothing is.
        mask: where to look for the smallest; None: everywhere. The largest is that of the whole picture.
    """
    seen = depth > 0 if mask is None else (depth > 0) & (mask > 0)
    infinite = torch.full_like(depth, math.inf)
    smallest = torch.where(seen, depth, infinite).amin()
    smallest = torch.where(smallest.isfinite(), smallest, torch.zeros_like(smallest))
    largest = depth.amax()
    divisor = torch.where(largest > 0, largest, torch.ones_like(largest))
    return ((depth - smallest) / divisor).clamp(0, 1)


def depth(picture: Tensor, nearness: Tensor, mask: Tensor) -> Tensor:
    """How little the depth of a picture goes with what a network said of it: 0 … 1, half of 1 minus the correlation.

    Args:
        picture: depth as composited, `[H, W]`. nearness: 0 … 1, the nearer the larger.
        mask: where to compare.
    """
    one = normalised_depth(picture)[mask > 0]
    other = normalised_depth(1 - nearness, mask)[mask > 0]
    return (1 - correlation(one, other)) / 2


def correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's, of two lists of numbers."""
    one, other = one - one.mean(), other - other.mean()
    return (one * other).sum() / (one.square().sum() * other.square().sum()).clamp(min=1e-20).sqrt()


def entropy(weights: Tensor, count: int | None = None) -> Tensor:
    """How undecided samples are, in bits: their weights should be 0 or 1.

    Args:
        weights: `[N]`, 0 … 1.
        count: of samples that there were, if those of weight 0 are not among the N.
    """
    clear = weights.clamp(LEAST_WEIGHT, 1 - LEAST_WEIGHT)
    bits = -(clear * clear.log2() + (1 - clear) * (1 - clear).log2())
    if count is None:
        return bits.mean()
    least = -(LEAST_WEIGHT * math.log2(LEAST_WEIGHT) + (1 - LEAST_WEIGHT) * math.log2(1 - LEAST_WEIGHT))
    return (bits.sum() + (count - len(weights)) * least) / max(count, 1)


def ramp(step: int, steps: int) -> float:
    """What the entropy's weight is multiplied with after so many steps: all of it from half of them on."""
    return min(1.0, 2 * step / steps)


def orient(weights: Tensor, normals: Tensor, directions: Tensor, count: int | None = None) -> Tensor:
    """How much samples that are seen face away from the camera.

    Args:
        weights: `[N]`; they get no gradients here: hiding a sample would be no cure.
        normals: `[N, 3]`. directions: `[N, 3]`, unit vectors away from the camera.
        count: as for `entropy`.
    """
    away = (normals * directions).sum(-1).clamp(min=0).square()
    return (weights.detach() * away).sum() / max(len(weights) if count is None else count, 1)


def normal_smooth(picture: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels `[..., H, W, 3]`, down and across."""
    return picture.diff(dim=-3).square().mean() + picture.diff(dim=-2).square().mean()


def normal_blur(picture: Tensor) -> Tensor:
    """Mean squared difference from the blurred picture `[..., H, W, 3]`; gradients go through both."""
    return functional.mse_loss(picture, blurred(picture))


def blurred(picture: Tensor) -> Tensor:
    """A picture `[..., H, W, C]` under a Gaussian of 9 by 9 pixels, mirrored at its border."""
    height, width, channels = picture.shape[-3:]
    kernel = gaussian().to(picture)
    flat = picture.reshape(-1, height, width, channels).movedim(-1, 1).reshape(-1, 1, height, width)
    padded = functional.pad(flat, [BLUR // 2] * 4, mode="reflect")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    both = functional.conv2d(rows, kernel[None, None, None, :])
    return both.reshape(-1, channels, height, width).movedim(1, -1).reshape(picture.shape)


def gaussian(size: int = BLUR, sigma: float = SIGMA) -> Tensor:
    """Its numbers along one axis, whose sum is 1: `[size]`."""
    places = torch.arange(size) - (size - 1) / 2
    numbers = torch.exp(-places.square() / (2 * sigma**2))
    return numbers / numbers.sum()


def normal(picture: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """How far normals `[H, W, 3]` are from known ones, both as colours 0 … 1: half of 1 minus the mean cosine."""
    one, other = picture[mask > 0] * 2 - 1, truth[mask > 0] * 2 - 1
    return (1 - functional.cosine_similarity(one, other, dim=-1).mean()) / 2


def opacity(alpha: Tensor) -> Tensor:
    """The mean squared opacity of a picture `[..., H, W]`."""
    return alpha.square().mean()
