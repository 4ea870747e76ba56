"""When a tick may change the file, or render it: what the user does at the moment comes first."""

from __future__ import annotations

import bpy


def import_hindrance() -> str:
    """Why an import must wait; "" if it need not."""
    if bpy.app.background:
        return ""
    if bpy.context.mode != "OBJECT":
        return "Leave Edit Mode to let the props come in"
    if bpy.app.is_job_running("RENDER"):
        return "Waiting for the render to end"
    return "Finish moving to let the props come in" if _moving() else ""


def capture_hindrance() -> str:
    """Why a photo must wait; "" if it need not. Edit Mode is no hindrance: what is edited is seen as it is."""
    if bpy.app.background:
        return ""
    if bpy.app.is_job_running("RENDER"):
        return "Waiting for the render to end"
    return "Finish moving to let the pictures be taken" if _moving() else ""


def _moving() -> bool:
    windows = bpy.context.window_manager.windows
    tools = (tool for window in windows for tool in getattr(window, "modal_operators", ()))
    return any(tool.bl_idname.startswith("TRANSFORM_OT") for tool in tools)


def misplaced() -> str:
    """Why nothing may be asked for by whoever asks now; "" if it may."""
    return ""
