"""The preferences as they are now, for whoever has to go by them; `ui/preferences.py` has their class."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

from .package import NAME


def _defaults() -> SimpleNamespace:
    return SimpleNamespace(
        backend="THIS_COMPUTER",
        server_address="",
        server_certificate="",
        python_path="",
        data_folder="",
        models_folder="",
        idle_minutes=5,
        torch_build="",
        offline_folder="",
    )


_without = _defaults()
"""Where the add-on was not enabled through Blender's preferences; nothing of it is kept."""


def get() -> Any:
    """The preferences; their defaults, and what was set since, where Blender's have none of the add-on's."""
    addon = bpy.context.preferences.addons.get(NAME)
    return _without if addon is None or addon.preferences is None else addon.preferences


def forget() -> None:
    """Have the defaults again where Blender's preferences have none of the add-on's."""
    vars(_without).update(vars(_defaults()))
