"""How much of the disk finished jobs may hold: a preference, told to the backend whenever the lists are fetched."""

from __future__ import annotations

from typing import Any

import bpy

from . import preferences

GIGABYTE = 10**9
PROPERTY = "keep_gigabytes"
DEFAULT = 20.0
"""Where the add-on has no preferences that are kept."""


def limit() -> int | None:
    """The preference in bytes; None for no limit."""
    gigabytes = getattr(preferences.get(), PROPERTY, DEFAULT)
    return int(gigabytes * GIGABYTE) if gigabytes > 0 else None


def draw(layout: bpy.types.UILayout) -> None:
    """The control, where the add-on has preferences that are kept."""
    chosen: Any = preferences.get()
    if hasattr(chosen, "bl_rna"):
        layout.prop(chosen, PROPERTY)
