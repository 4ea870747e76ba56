"""When the add-on may change the file, or render it: what the user and Blender do at the moment comes first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import bpy
from bpy.app.handlers import persistent

JOBS = {
    "RENDER": "Waiting for the render to end",
    "OBJECT_BAKE": "Waiting for the bake to end",
    "COMPOSITE": "Waiting for the compositor to end",
}
"""What Blender does on its own with the data of the file, and what is said while it is waited for."""

_EVENTS = {
    "a render": ("render_init", ("render_complete", "render_cancel")),
    "a change of frame": ("frame_change_pre", ("frame_change_post",)),
    "an update of the scene": ("depsgraph_update_pre", ("depsgraph_update_post",)),
    "the loading of a file": ("load_pre", ("load_post", "load_post_fail")),
    "the saving of a file": ("save_pre", ("save_post", "save_post_fail")),
    "an undo": ("undo_pre", ("undo_post",)),
    "a redo": ("redo_pre", ("redo_post",)),
}
"""What calls handlers, and between which of its handlers it is going on."""

_going_on: list[str] = []
_registered: list[tuple[list[Any], Callable[..., None]]] = []


def import_hindrance() -> str:
    """Why an import must wait; "" if it need not."""
    if bpy.app.background:
        return misplaced()
    if bpy.context.mode != "OBJECT":
        return "Leave Edit Mode to let the props come in"
    if reason := _waiting_for():
        return reason
    return "Finish moving to let the props come in" if _moving() else ""


def capture_hindrance() -> str:
    """Why a picture must wait; "" if it need not. Edit Mode is no hindrance: what is edited is seen as it is."""
    if bpy.app.background:
        return misplaced()
    if reason := _waiting_for():
        return reason
    return "Finish moving to let the pictures be taken" if _moving() else ""


def misplaced() -> str:
    """Why whoever asks now cannot be served where they are, in a sentence; "" if they can.

    That is so within handlers: Blender is in the middle of something, and what is asked for would begin it anew within
    itself. In a window a render calls its handlers from a thread of its own.
    """
    if not _in_the_main_thread():
        return "Blender calls this in the middle of a render; Set Dresser cannot work there."
    return f"Blender calls this in the middle of {_going_on[-1]}; Set Dresser cannot work there." if _going_on else ""


def _thread() -> int:
    """Which thread this is; the add-on itself has none."""
    here = sys._getframe()
    return next(number for number, frame in sys._current_frames().items() if frame is here)


_MAIN_THREAD = _thread()
"""Where Blender handles events: it registers add-ons there."""


def _in_the_main_thread() -> bool:
    here = sys._getframe()
    return sys._current_frames().get(_MAIN_THREAD) is here


def _waiting_for() -> str:
    return next((words for kind, words in JOBS.items() if bpy.app.is_job_running(kind)), "")


def _moving() -> bool:
    windows = bpy.context.window_manager.windows
    tools = (tool for window in windows for tool in getattr(window, "modal_operators", ()))
    return any(tool.bl_idname.startswith("TRANSFORM_OT") for tool in tools)


def _listen(event: str, begins: list[Any], ends: list[list[Any]]) -> None:
    """Note that an event goes on from its first handler to its last one."""

    @persistent
    def begun(*_: object) -> None:
        if _in_the_main_thread():
            _going_on.append(event)
            for each in ends:  # after the handlers of everybody else, who are still in the middle of it
                if each[-1] is not ended:
                    each.remove(ended)
                    each.append(ended)

    @persistent
    def ended(*_: object) -> None:
        if event in _going_on:
            _going_on.remove(event)

    begins.insert(0, begun)
    _registered.append((begins, begun))
    for each in ends:
        each.append(ended)
        _registered.append((each, ended))


def register() -> None:
    handlers = bpy.app.handlers
    for event, (begins, ends) in _EVENTS.items():
        _listen(event, getattr(handlers, begins), [getattr(handlers, end) for end in ends if hasattr(handlers, end)])


def unregister() -> None:
    for where, handler in _registered:
        where.remove(handler)
    _registered.clear()
    _going_on.clear()
