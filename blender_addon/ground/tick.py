"""The one tick: a persistent timer in a window, whoever waits without one. And the panel drawn anew.

In background mode timers never fire, and one that is left at the end of the process crashes some versions: there,
whoever waits pumps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import bpy

MOVING, FOLLOWING, INSTALLING, WATCHING = 0.01, 0.05, 0.1, 1.0
"""Seconds until the next slice: while bytes move, while a job runs, while the backend is being installed, while the
server merely lives."""

_work: Callable[[], float | None] | None = None


def drive(work: Callable[[], float | None]) -> None:
    """Have this called by the tick from now on. It returns the seconds until it is to be called again; None to rest
    until somebody wakes it."""
    global _work
    _work = work


def stop() -> None:
    """Nothing is called any more."""
    global _work
    _work = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def wake() -> None:
    """Have the tick called soon."""
    if _work is None or not timers_fire():
        return
    timers = bpy.app.timers
    if timers.is_registered(_tick):
        timers.unregister(_tick)
    timers.register(_tick, first_interval=0.0, persistent=True)


def timers_fire() -> bool:
    return not bpy.app.background


def _tick() -> float | None:
    """The timer's function; a module's function, because timers are told apart by their function object."""
    return None if _work is None else _work()


def redraw() -> None:
    """Have the panel drawn anew, wherever it is; not the view beside it, which may take as long as a scene is large."""
    if bpy.app.background:
        return
    for region in sidebars():
        region.tag_redraw()
    for area in _areas():
        if area.type == "PREFERENCES":
            area.tag_redraw()


def sidebars() -> Iterator[bpy.types.Region]:
    """Where the panel may be."""
    for area in _areas():
        if area.type == "VIEW_3D":
            yield from (region for region in area.regions if region.type == "UI")


def _areas() -> Iterator[bpy.types.Area]:
    return (area for window in bpy.context.window_manager.windows for area in window.screen.areas)
