"""The preferences as they are now, for whoever has to go by them; `ui/preferences.py` has their class."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

from .package import NAME


def get() -> Any:
    """The preferences; their defaults where the add-on was not enabled through Blender's preferences."""
    addon = bpy.context.preferences.addons.get(NAME)
    if addon is not None and addon.preferences is not None:
        return addon.preferences
    return SimpleNamespace(
        python_path="", data_folder="", models_folder="", idle_minutes=5, torch_build="", offline_folder=""
    )
