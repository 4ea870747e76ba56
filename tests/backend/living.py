"""Counting the tensors that are alive, on any device or none: memory plans are predictions that such counts confirm."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GB = 10**9


class Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, whatever device they claim to be on."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[int, int] = {}
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.known:
                    self.known[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self.known.pop, storage._cdata)
        self.peak = max(self.peak, sum(self.known.values()))
        return result


def fused(query: Tensor, key: Tensor, value: Tensor, **_: Any) -> Tensor:
    """The shape of attention, and what a kernel without a matrix of scores leaves behind: in place of
    torch.nn.functional.scaled_dot_product_attention, which on the meta device has one."""
    return torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def agree(counted: int, predicted: int, tolerance: float = 0.03) -> None:
    """A prediction may be too high by a little, never too low."""
    most = (1 + tolerance) * counted
    assert counted <= predicted <= most, f"{counted / GB:.3f} GB counted, {predicted / GB:.3f} GB predicted"
