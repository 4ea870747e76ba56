"""The networks of one pipeline: loaded when they are first needed, let go when they are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn


class Parts:
    """Networks by name.

    Attributes:
        device: where they are.
        loaded: those that are there now.
    """

    def __init__(self, device: torch.device, loaders: Mapping[str, Callable[[], nn.Module]]) -> None:
        self.device = device
        self.loaded: dict[str, nn.Module] = {}
        self._loaders = loaders

    def __getitem__(self, name: str) -> Any:
        """One network, loaded if it is not yet. Errors are those of its loader."""
        if name not in self.loaded:
            self.loaded[name] = self._loaders[name]()
        return self.loaded[name]

    @property
    def bytes(self) -> int:
        """What the loaded networks take on the device."""
        return sum(parameter.nbytes for part in self.loaded.values() for parameter in part.parameters())

    def release(self, *names: str) -> None:
        """Lets networks go, all if none is named, and gives what they took back to the device.

        Raises:
            KeyError: there is no part of that name.
        """
        for name in names or tuple(self._loaders):
            if name not in self._loaders:
                raise KeyError(f"there is no part {name}, only {', '.join(self._loaders)}")
            self.loaded.pop(name, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()
