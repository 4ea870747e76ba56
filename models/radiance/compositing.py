"""From samples along rays to pixels: how much of each sample is seen, and sums of what they hold.

Max, "Optical models for direct volume rendering" (1995), as NeRF discretises it: a sample of density s over a length d
hides 1 - exp(-s d) of what is behind it. As in torch-ngp nothing is looked at any more once less than a ten thousandth
of a ray is left.

Samples are packed: those of all rays one after the other, each with the number of its ray.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STOP = 1e-4
OPAQUE = 50.0
"""An optical thickness beyond which a sample hides everything, to the last bit of a float32."""


@dataclass(frozen=True)
class Composite:
    """How much is seen of M samples of R rays.

    weights: `[M]`, the share of its ray that each sample has; 0 behind the stop.
    """

    ray: Tensor
    weights: Tensor
    rays: int

    @property
    def alpha(self) -> Tensor:
        """`[R]`, how much of each ray is covered."""
        return self.sum(torch.ones_like(self.weights)[:, None])[:, 0]

    def sum(self, values: Tensor, weights: Tensor | None = None) -> Tensor:
        """`[R, C]`: the values `[M, C]` of samples, weighted and added up ray by ray.

        Args:
            weights: others than the samples' own, `[M]`.
        """
        each = values * (self.weights if weights is None else weights)[:, None]
        return each.new_zeros(self.rays, values.shape[1]).index_add(0, self.ray, each)


def composite(density: Tensor, length: Tensor | float, ray: Tensor, rays: int, stop: float = STOP) -> Composite:
    """Weights of samples.

    Args:
        density: `[M]`. length: of the stretch that each stands for, `[M]` or one for all.
        ray: `[M]` int64, in rising order; the samples of a ray from near to far. rays: how many there are.
        stop: samples that less than this share of the ray reaches have no weight; 0: all have theirs.
    """
    thickness = (density * length).clamp(max=OPAQUE)
    arriving = torch.exp(-_before(thickness, ray, rays))
    weights = arriving * -torch.expm1(-thickness)
    return Composite(ray, torch.where(arriving >= stop, weights, torch.zeros_like(weights)), rays)


def visible(density: Tensor, length: Tensor | float, ray: Tensor, rays: int, stop: float = STOP) -> Tensor:
    """Which samples are not behind the stop, bool `[M]`: the first ones of each ray. Arguments: see `composite`."""
    return torch.exp(-_before((density * length).clamp(max=OPAQUE), ray, rays)) >= stop


def _before(thickness: Tensor, ray: Tensor, rays: int) -> Tensor:
    """What lies before each sample on its ray, added up: `[M]`."""
    # One sum over all rays, of which each takes off what came before it: in single precision rays far down the list
    # would have nothing left. Apple's GPU has no double precision.
    exact = thickness.cpu() if thickness.device.type == "mps" else thickness
    total = exact.double().cumsum(0) - exact.double()
    counts = torch.bincount(ray, minlength=rays)
    first = (counts.cumsum(0) - counts)[ray]
    before: Tensor = total - total.index_select(0, first.to(total.device))
    return before.to(torch.float32).to(thickness.device)
