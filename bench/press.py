"""How long Blender's window is dead at a press of Generate. Run in a window, with the add-on installed:

    blender --factory-startup --addons bl_ext.user_default.set_dresser --python bench/press.py

A timer ticks every five milliseconds and the 3D view is drawn anew all the time; what is printed is the longest pause
between two ticks from the press until the picture is there, and how long that took.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import bpy

ADDON = "bl_ext.user_default.set_dresser"
TICK = 0.005
STILL_TAKING = ("preparing", "capturing")


SCENES = (("factory scene, 1920 × 1080, EEVEE", 0), ("30 boxes", 30))
"""By the names of docs/benchmarks.md: how many boxes come in beside what there is."""


def boxes(count: int) -> None:
    for number in range(count):
        bpy.ops.mesh.primitive_cube_add(size=0.5, location=(number % 6 - 2.5, number // 6 - 2, 0.3))


def pressed(addon: Any) -> Any:
    objects = [each for each in bpy.data.objects if each.type == "MESH"]
    return addon.generate(objects=objects, import_result=False, wait=False)


def measured(addon: Any) -> Iterator[None]:
    """Each scene in turn, printed; yields whenever Blender is to handle events."""
    for name, count in SCENES:
        window = bpy.context.window_manager.windows[0]
        area = next(each for each in window.screen.areas if each.type == "VIEW_3D")
        with bpy.context.temp_override(window=window, area=area):
            boxes(count)
        for _ in range(20):
            yield
        began = last = time.perf_counter()
        longest, job = 0.0, pressed(addon)
        while job.state in STILL_TAKING:
            area.tag_redraw()
            yield
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        print(f"{bpy.app.version_string}, {name}: dead for {longest:.2f} s, taken in {last - began:.1f} s", flush=True)
        if job.problem is not None:
            print(job.problem.message, flush=True)
        job.cancel()


def main() -> None:
    """In a window: measure, and end Blender."""
    steps = measured(sys.modules[ADDON])

    def tick() -> float:
        if next(steps, "ended") == "ended":
            os._exit(0)
        return TICK

    bpy.app.timers.register(tick, first_interval=2.0)


if __name__ == "__main__":
    main()
