"""What a prior is, and how its gradient comes into an optimisation.

Score distillation (Poole et al. 2022, arXiv:2209.14988) has a gradient and no loss. A prior therefore gives the
gradient at the pictures; those of several priors are added up, and the renderer is gone through backwards once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from models.optimisation.chance import Step


@dataclass(frozen=True)
class RelativeViews:
    """From where N pictures look at the object, against the reference view.

    polar: N, radians, from the reference's; positive is further down from the zenith.
    azimuth: N, radians in -π…π, from the reference's; positive is counter-clockwise seen from above, in a
        right-handed world.
    radius: N, from the reference's distance, in its unit.
    angle: N, radians in 0…π, between the two viewing directions.
    """

    polar: Tensor
    azimuth: Tensor
    radius: Tensor
    angle: Tensor

    def __len__(self) -> int:
        return len(self.azimuth)

    def rows(self, start: int, end: int) -> RelativeViews:
        """Some of the views."""
        taken = (each[start:end] for each in (self.polar, self.azimuth, self.radius, self.angle))
        return RelativeViews(*taken)


class Prior(Protocol):
    """Knows what pictures of an object look like."""

    def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
        """In which direction the pictures become less likely.

        Args:
            pictures: N×3×H×W in 0…1, without a graph behind them.
            views: from where they look.
            step: where all chance comes from: the same pictures, views and step give the same gradient.

        Returns:
            N×3×H×W, with the prior's weight in it. What is no number is 0.
        """
        ...


class _Given(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pictures: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return gradient.abs().mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None


def distilled(pictures: Tensor, gradient: Tensor) -> Tensor:
    """A loss whose gradient at the pictures is the one given; its value is the gradient's mean size, for reports.

    Args:
        pictures: N×3×H×W, with the renderer's graph.
        gradient: N×3×H×W, the sum of what priors give.
    """
    loss: Tensor = _Given.apply(pictures, gradient)  # type: ignore[no-untyped-call]
    return loss
