"""Memory of the graphics card for whoever needs it: the backend lets go of it while Blender renders on it."""

from __future__ import annotations

import time

import bpy
from bpy.app.handlers import persistent

from ..ground import temporary
from ..state import desk
from ..wire.http_exchange import Exchange
from ..wire.http_framing import ConnectionProblem
from . import server_life

LONGEST_ASKING = 0.1
"""Seconds that a render without a window waits for the backend to hear of it; it takes a few milliseconds."""


def renders_on_the_gpu(scene: bpy.types.Scene) -> bool:
    """Whether a render of this scene takes memory of the graphics card that the backend may hold."""
    cycles = getattr(scene, "cycles", None)
    return scene.render.engine == "CYCLES" and cycles is not None and cycles.device == "GPU"


@persistent
def _render_begins(scene: bpy.types.Scene, *_: object) -> None:
    """Blender calls this in the render's own thread if there is a window: nothing is touched there but a flag, and the
    tick, which goes on meanwhile, does the rest."""
    current = desk.current
    ours = temporary.MARK in scene  # a capture: a job follows at once
    if ours or not renders_on_the_gpu(scene):
        return
    if not bpy.app.background:
        current.rest_wanted = True
    elif server_life.can_rest(current) and current.server.client is not None:
        _ask_at_once(current.server.client.rest())


def _ask_at_once(exchange: Exchange) -> None:
    """Without a window there is no tick while Blender renders, so this is the moment."""
    end = time.perf_counter() + LONGEST_ASKING
    try:
        while not exchange.advance(end) and time.perf_counter() < end:
            time.sleep(0.001)
    except ConnectionProblem as problem:
        desk.current.report(problem)
    finally:
        exchange.close()


def register() -> None:
    bpy.app.handlers.render_init.append(_render_begins)


def unregister() -> None:
    bpy.app.handlers.render_init.remove(_render_begins)
