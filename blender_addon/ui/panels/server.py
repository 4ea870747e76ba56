"""The backend's state in a line, with what can be done about it."""

from __future__ import annotations

import bpy

from ...backend_process import setting_up
from ...backend_process.greeting import Studio
from ...state import desk
from ...state.condition import Condition, condition, holds_memory
from .cures import draw_cures
from .fields import is_narrow
from .text import draw_text

SENTENCES = {
    Condition.NOT_INSTALLED: "The backend is not set up",
    Condition.INSTALLING: "The backend is being installed",
}
TOLD_BY_THE_ERROR = (Condition.CRASHED, Condition.INCOMPATIBLE)
"""Why is in `desk.problem`, unless that was dismissed."""


def draw_server(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The line, and larger buttons where the user must do something."""
    current = desk.current
    now = condition(current)
    if now in (Condition.NOT_INSTALLED, Condition.INSTALLING):
        told = current.installation.plan is not None and not setting_up.uses_another_python()  # by `draw_installation`
        if current.studio or not told:
            said = "The studio's server is not set up" if current.studio else SENTENCES[now]
            draw_text(layout, context, said, icon=now.value.icon)
            problem = current.set_up_problem
            if problem is not None:
                draw_text(layout, context, f"{problem.message} {problem.hint}")
                draw_cures(layout, context, problem.code)
        return
    row = layout.row(align=True)
    row.label(text=now.value.text, icon=now.value.icon)
    if isinstance(current.server.environment, Studio):
        row.label(text=current.server.environment.address.authority, translate=False)
    for action in now.value.small:
        row.operator(action.operator, text="", icon=action.icon)
    if now is Condition.READY and holds_memory(current):
        row.operator("set_dresser.rest", text="", icon="GHOST_DISABLED")
    problem = current.server.problem
    if problem is not None and now.value.large and not (now in TOLD_BY_THE_ERROR and problem is current.problem):
        draw_text(layout, context, f"{problem.message} {problem.hint}")
    if now.value.large:
        buttons = layout.column(align=True) if is_narrow(context) else layout.row(align=True)
        for action in now.value.large:
            buttons.operator(action.operator, text=action.text, icon=action.icon)
