"""The networks of one pipeline: loaded when they are first needed, let go or laid aside when they are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

MEMORIES_OF_THEIR_OWN = frozenset({"cuda"})
"""Kinds of devices whose memory is not main memory; of the others nothing is won by laying aside."""


class Parts:
    """Networks by name.

    Attributes:
        device: where they are.
        loaded: those that are there now.
        aside: those that wait in main memory.
    """

    def __init__(self, device: torch.device, loaders: Mapping[str, Callable[[], nn.Module]]) -> None:
        self.device = device
        self.loaded: dict[str, nn.Module] = {}
        self.aside: dict[str, nn.Module] = {}
        self._loaders = loaders

    def __getitem__(self, name: str) -> Any:
        """One network; loaded, or brought back from main memory, if it is not there. Errors are those of its loader."""
        if name in self.aside:
            self.loaded[name] = self.aside[name].to(self.device)
            del self.aside[name]
        if name not in self.loaded:
            self.loaded[name] = self._loaders[name]()
        return self.loaded[name]

    @property
    def bytes(self) -> int:
        """What the loaded networks take on the device."""
        return sum(map(_bytes_of, self.loaded.values()))

    @property
    def bytes_aside(self) -> int:
        """What those that wait take of main memory."""
        return sum(map(_bytes_of, self.aside.values()))

    def lay_aside(self, room: Callable[[int], bool], *names: str) -> None:
        """Takes networks off the device, all if none is named: into main memory, where the device has a memory of its
        own and `room` says of so many bytes that there is room for them; lets them go otherwise.

        Raises:
            KeyError: there is no part of that name.
        """
        if self.device.type in MEMORIES_OF_THEIR_OWN:
            for name in self._named(names):
                if name in self.loaded and room(_bytes_of(self.loaded[name])):
                    self.aside[name] = self.loaded.pop(name).to("cpu")
        self._let_go(self.loaded, names)

    def release(self, *names: str) -> None:
        """Lets networks go, all if none is named, and gives what they took back to the device.

        Raises:
            KeyError: there is no part of that name.
        """
        self._let_go(self.aside, names)
        self._let_go(self.loaded, names)

    def _named(self, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in self._loaders:
                raise KeyError(f"there is no part {name}, only {', '.join(self._loaders)}")
        return names or tuple(self._loaders)

    def _let_go(self, held: dict[str, nn.Module], names: tuple[str, ...]) -> None:
        for name in self._named(names):
            held.pop(name, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def _bytes_of(network: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in network.parameters())
