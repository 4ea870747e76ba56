"""Buttons that do what a hint says, for problems that Blender itself can mend: the one table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import bpy


@dataclass(frozen=True)
class Cure:
    """A button: its operator, its words, its icon, and what it gives the operator."""

    operator: str
    text: str
    icon: str
    given: Mapping[str, Any] = field(default_factory=dict)


_PERSPECTIVE = {"data_path": "scene.camera.data.type", "value": "PERSP"}
_ONLINE = Cure("set_dresser.allow_online", "Allow Online Access", "URL")

CURES: Mapping[str, Cure] = MappingProxyType(
    {
        "no-camera": Cure("set_dresser.add_camera", "Add Camera to View", "OUTLINER_OB_CAMERA"),
        "camera-kind": Cure("wm.context_set_enum", "Make It Perspective", "VIEW_PERSPECTIVE", _PERSPECTIVE),
        "picture-shape": Cure("set_dresser.match_render_size", "Match Render Size", "FULLSCREEN_ENTER"),
        "online-access": _ONLINE,
        "offline": _ONLINE,
    }
)
"""Code of a problem → the button."""


def draw_cures(layout: bpy.types.UILayout, context: bpy.types.Context, code: str) -> None:
    """The button that belongs to a problem's code; nothing for most."""
    cure = CURES.get(code)
    if cure is None:
        return
    button = layout.operator(cure.operator, text=cure.text, icon=cure.icon)
    for name, value in cure.given.items():
        setattr(button, name, value)
