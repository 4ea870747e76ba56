"""Several priors as one: their gradients are added up at the pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.guidance.prior import Prior, RelativeViews
from models.optimisation.chance import Step

After = Callable[[str], None]
"""Is told the name of a prior that has been asked, and may take its networks off the device."""


class Together:
    """Priors by name, asked one after the other.

    Attributes:
        priors: none of them may be there; then the gradient is 0.
        after: see `After`.
    """

    def __init__(self, priors: Mapping[str, Prior], after: After | None = None) -> None:
        self.priors = dict(priors)
        self.after = after

    def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
        """See `prior.Prior`."""
        found = torch.zeros_like(pictures)
        for name, prior in self.priors.items():
            found = found + prior.gradient(pictures, views, step)
            if self.after is not None:
                self.after(name)
        return found
