"""Networks that are larger than the device: each layer is brought there for as long as it computes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def bring_layer_by_layer(network: nn.Module, device: torch.device | str) -> None:
    """From now on every layer's own parameters are copied to `device` before it computes, and dropped afterwards.

    The parameters themselves stay where they are, in main memory. Slow: they travel once for each pass.
    """
    for layer in network.modules():
        if layer._parameters:
            visit = _Visit(device)
            layer.register_forward_pre_hook(visit.begin)
            layer.register_forward_hook(visit.end, always_call=True)  # after an exception too


class _Visit:
    """One layer's parameters on the device; those at home wait here meanwhile."""

    def __init__(self, device: torch.device | str) -> None:
        self.device = device
        self.home: dict[str, nn.Parameter | None] = {}

    def begin(self, layer: nn.Module, _: Any) -> None:
        self.home = dict(layer._parameters)
        for name, parameter in self.home.items():
            if parameter is not None:
                layer._parameters[name] = nn.Parameter(parameter.to(self.device), requires_grad=False)

    def end(self, layer: nn.Module, _: Any, __: Any) -> None:
        layer._parameters.update(self.home)
        self.home = {}
