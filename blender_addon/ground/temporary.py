"""Datablocks that stand in the file while a picture is taken or a preview shown, and must not stay.

They are marked when they are made, and removed when nothing renders them any more, also when undo or a file that was
saved meanwhile has brought them back.
"""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent
from bpy.types import ID

MARK = "set_dresser_temporary"
PLACES = ("scenes", "objects", "cameras", "materials", "images")
"""Where they may be, users before what they use."""

PAUSE = 0.1

_in_use: set[int] = set()


def keep(datablock: ID) -> int:
    """Mark a new datablock as one that goes again; returns its session id. It stays until `give_back`.

    A copy of a scene has no user, and what has none is not written when the artist saves meanwhile.
    """
    datablock[MARK] = True
    _in_use.add(datablock.session_uid)
    return int(datablock.session_uid)


def give_back(kept: list[int]) -> None:
    """Remove what was kept: at once, or, while Blender may still render it, when that has ended."""
    _in_use.difference_update(kept)
    sweep()


def sweep() -> None:
    """Remove every marked datablock that is not in use, as soon as Blender does not render."""
    if bpy.app.background:
        _remove()
    elif not bpy.app.timers.is_registered(_sweep_later):
        bpy.app.timers.register(_sweep_later, first_interval=0.0, persistent=True)


def _sweep_later() -> float | None:
    """The timer's function. It belongs to nobody, so that it outlives the add-on if that is switched off meanwhile."""
    if bpy.app.is_job_running("RENDER"):
        return PAUSE
    _remove()
    return None


def _remove() -> None:
    for place in PLACES:
        collection = getattr(bpy.data, place)
        for each in [each for each in collection if MARK in each and each.session_uid not in _in_use]:
            collection.remove(each)


@persistent
def _came_back(*_: object) -> None:
    sweep()


def register() -> None:
    for handlers in (bpy.app.handlers.load_post, bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.append(_came_back)


def unregister() -> None:
    for handlers in (bpy.app.handlers.load_post, bpy.app.handlers.undo_post, bpy.app.handlers.redo_post):
        handlers.remove(_came_back)
