"""Training checkpoints that hold things of the program that trained: read without that program, and without those.

torch's weights-only mode refuses such a file as a whole. Here whatever is no part of a table of tensors becomes a thing
that does nothing; nothing is imported, looked up or called by a name of the file's but the few functions that put
tensors together. What the file claims has been held against what it holds before (`pickled_claims`).
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import _utils

from models.pickled_claims import Inert


class _Call:
    """A function that a file may call, and of which it can change nothing: what a pickle builds up, it sets."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Any) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *given: Any) -> Any:
        return self._function(*given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"it changes {name} of a function")


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    **{
        ("torch._utils", name): _Call(getattr(_utils, name))
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The few that are known; a new class that does nothing for each other name."""
        known = KNOWN.get((module, name))
        return type("Inert", (Inert,), {}) if known is None else known


def read_among_strangers(file: Path) -> Any:
    """What a zip of torch's holds, its tensors mapped, everything foreign an `Inert`.

    Args:
        file: whose claims have been checked.

    Raises:
        Exception: torch stumbles over a damaged file in many ways.
    """
    module: Any = SimpleNamespace(Unpickler=_Unpickler, __name__="pickled_strangers")
    return torch.load(file, map_location="cpu", pickle_module=module, weights_only=False, mmap=True)
