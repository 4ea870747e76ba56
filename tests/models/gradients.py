"""Whether a network can be trained: its parameters get gradients, and those are numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def check_gradients(network: Any, loss: Any, unused: Iterable[str] = ()) -> None:
    """Goes backward from a loss; every parameter of the network has a finite gradient then, and most are not zero.

    Args:
        unused: ends of names of parameters that the network has and this loss does not depend on.
    """
    loss.backward()
    without = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert {name for name in without if not name.endswith(tuple(unused) or "\0")} == set()
    found = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in found)
    assert sum(bool(gradient.any()) for gradient in found) > 0.9 * len(found) > 0


def trainable(network: Any) -> Any:
    """A network as it was loaded, made ready to learn."""
    return network.train().requires_grad_()
