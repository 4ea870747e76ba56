"""The server of a studio in the preferences: where it is, who asks, and whether that works."""

from __future__ import annotations

from typing import Any

import bpy

from ...state import desk
from .cures import draw_cures
from .server import draw_server
from .text import draw_text


def draw_studio(layout: bpy.types.UILayout, context: bpy.types.Context, chosen: Any) -> None:
    """chosen: the preferences."""
    current = desk.current
    layout.prop(chosen, "server_address")
    token = layout.row()
    token.enabled = current.addressed  # a token belongs to an address
    token.prop(chosen, "server_token")
    layout.prop(chosen, "server_certificate")
    layout.operator("set_dresser.test_connection", icon="LINKED")
    tested = current.tested
    if tested is not None:
        icon = "SORTTIME" if tested.good is None else "CHECKMARK" if tested.good else "ERROR"
        box = layout.box()
        draw_text(box, context, tested.message, icon=icon, alert=tested.good is False)
        if tested.hint:
            draw_text(box, context, tested.hint)
        draw_cures(box, context, tested.code)
    draw_server(layout, context)
    if current.problem is not None and current.problem.code in ("token-invalid", "tokens-unusable"):
        draw_text(layout, context, f"{current.problem.message} {current.problem.hint}", icon="ERROR", alert=True)
