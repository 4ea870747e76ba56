"""Training checkpoints that hold things of the program that trained: read without that program, and without those.

torch's weights-only mode refuses such a file as a whole. Here whatever is no part of a table of tensors becomes a thing
that does nothing; nothing is imported, looked up or called by a name of the file's but the few functions that put
tensors together. What the file claims has been held against what it holds before (`pickled_claims`).
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import _utils


class Inert:
    """Stands for anything: takes everything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor"): _utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): _utils._rebuild_parameter,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The few that are known; a new class that does nothing for each other name."""
        return KNOWN.get((module, name)) or type("Inert", (Inert,), {})


def read_among_strangers(file: Path) -> Any:
    """What a zip of torch's holds, its tensors mapped, everything foreign an `Inert`.

    Args:
        file: whose claims have been checked.

    Raises:
        Exception: torch stumbles over a damaged file in many ways.
    """
    module: Any = SimpleNamespace(Unpickler=_Unpickler, __name__="pickled_strangers")
    return torch.load(file, map_location="cpu", pickle_module=module, weights_only=False, mmap=True)
