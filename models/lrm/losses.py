"""What the training of single-view models makes small: rendered pictures beside true ones, and roughness of planes.

As OpenLRM trains (LRM, Hong et al. 2023, arXiv 2311.04400, section 3.4): squared differences of pixels, a perceptual
distance (LPIPS, Zhang et al. 2018, arXiv 1801.03924) and the total variation of the planes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import mse_loss

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""Two sets of pictures [P, 3, H, W], −1 … 1 → P distances, of any shape; the forward pass of LPIPS is one."""


@dataclass(frozen=True)
class LossWeights:
    """What each loss is multiplied with before they are added."""

    pixel: float = 1.0
    perceptual: float = 1.0
    variation: float = 5e-4


OPENLRM = LossWeights()
MIRA = LossWeights(perceptual=2.0, variation=0.0)


class Losses(NamedTuple):
    """Means over objects, views, channels and pixels, one number each; None for what was not asked for."""

    pixel: Tensor
    perceptual: Tensor | None
    variation: Tensor | None

    def total(self, weights: LossWeights) -> Tensor:
        """Their weighted sum."""
        sum_of_all = weights.pixel * self.pixel
        if self.perceptual is not None:
            sum_of_all = sum_of_all + weights.perceptual * self.perceptual
        if self.variation is not None:
            sum_of_all = sum_of_all + weights.variation * self.variation
        return sum_of_all


def losses(
    rendered: Tensor, truth: Tensor, planes: Tensor | None = None, perceptual: Perceptual | None = None
) -> Losses:
    """The losses of a training step.

    Args:
        rendered, truth: M views of each of N objects, [N, M, 3, H, W], 0 … 1.
        planes: [N, 3, C, R, R], for the variation.
        perceptual: is given both sets in −1 … 1, as its network was trained; MIRA's published code gives it 0 … 1.

    Raises:
        ValueError: the two sets have other shapes.
    """
    if rendered.shape != truth.shape or rendered.dim() != 5:
        raise ValueError(f"Rendered and true views are [N, M, 3, H, W], not {[*rendered.shape]} and {[*truth.shape]}.")
    distance = None
    if perceptual is not None:
        one, other = (each.flatten(0, 1) * 2 - 1 for each in (rendered, truth))
        distance = perceptual(one, other).mean()
    return Losses(mse_loss(rendered, truth), distance, None if planes is None else variation(planes))


def variation(planes: Tensor) -> Tensor:
    """Mean squared difference of neighbours along the width of planes [..., R, R], plus that along their height."""
    across, down = planes.diff(dim=-1), planes.diff(dim=-2)
    return across.square().mean() + down.square().mean()
