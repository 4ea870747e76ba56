"""Several processes that share each step's batch (torch's DistributedDataParallel), or one that has it alone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """This process among those of the default process group, which must have been started if there are several."""

    rank: int = 0
    size: int = 1

    def wrapped(self, module: nn.Module, device: torch.device) -> nn.Module:
        """A module whose backward pass averages gradients over all processes."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, device_ids=[device] if device.type == "cuda" else None)

    def apart(self, module: nn.Module) -> AbstractContextManager[None]:
        """While it lasts, gradients of a wrapped module are gathered and not yet averaged."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()

    def mean(self, values: Tensor) -> Tensor:
        """Over all processes."""
        if self.size > 1:
            distributed.all_reduce(values)
            values = values / self.size
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is true for any of them."""
        return flag if self.size == 1 else bool(self.mean(torch.tensor(float(flag), device=device)) > 0)


ALONE = Processes()
