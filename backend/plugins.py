"""Methods from elsewhere: the environment variable SET_DRESSER_PLUGINS names modules, separated by commas.

Each has a sequence `PIPELINES` of `PipelineInfo`, or `PREPARATIONS` of `PreparationInfo`, or both. Such a module is
imported by the server, so it must be as light as the descriptions here.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

VARIABLE = "SET_DRESSER_PLUGINS"


def plugged(kind: str) -> tuple[Any, ...]:
    """What the named modules offer as "PIPELINES" or "PREPARATIONS".

    A module that cannot be imported, or offers nothing, ends the start with an error of its own.
    """
    found: list[Any] = []
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        module = importlib.import_module(name)
        if not hasattr(module, "PIPELINES") and not hasattr(module, "PREPARATIONS"):
            raise ImportError(f"{name}, named by {VARIABLE}, has neither PIPELINES nor PREPARATIONS")
        found.extend(getattr(module, kind, ()))
    return tuple(found)
