"""A step of the journey: a long job shows what it has come to, is finished early, and goes on."""

from __future__ import annotations

from typing import Any

from tests.gui.blender import RIGHT
from tests.gui.trip import FRAME_MOST, FRAME_USUAL, Trip, in_sight


def finish_early_and_continue(trip: Trip) -> None:
    """A long job shows itself beside its bar and in an Image Editor; its prop comes when it is finished early, and a
    better one takes the place of that when it has gone on."""
    blender = trip.blender
    trip.build_room()
    blender.ask("bpy.context.scene.render.resolution_percentage, bpy.context.scene.cycles.samples = 25, 1")
    blender.ask(_EDITOR)
    identifier = trip.generate("test-long", steps=100_000, pause=0.02, side=512)
    shown = f"sys.modules[ADDON + '.work.preview_images'].icon(({identifier!r}, 'view-0')) is not None"
    blender.wait(shown, "its picture", 30.0)
    blender.click("bpy.ops.set_dresser.open_preview(", RIGHT)
    assert blender.ask("editor.image.name").startswith(".Set Dresser Preview")
    blender.ask("frames.watch()")
    blender.wait("len(session().previews.slices.seconds) >= 6", "six more pictures", 30.0)
    trip.shot("shown")
    tell_of_pictures(trip, blender.ask("frames.seen()"), "the add-on's part of a frame, with a picture")
    blender.click("bpy.ops.set_dresser.finish(", FINISH)
    trip.wait_for(identifier, 30.0, state="done", arrival="imported")
    assert blender.ask("editor.image.name") == "Wallpaper", "the editor does not show again what it showed before"
    assert blender.ask("[image.name for image in bpy.data.images if image.name.startswith('.')]") == []
    blender.wait(f"desk().jobs[{identifier!r}].can_continue", "what can be asked of it", 10.0)
    trip.show_panel()
    blender.rest()
    trip.shot("finished early")
    first, early = blender.ask("objects()"), _steps(trip, identifier)
    blender.click("bpy.ops.set_dresser.continue_job(", 0.3)
    blender.wait(f"{shown} and desk().jobs[{identifier!r}].can_finish", "that it goes on", 30.0)
    blender.click("bpy.ops.set_dresser.finish(", FINISH)
    blender.wait(f"desk().jobs[{identifier!r}].import_count == 2", "the better props", 30.0)
    second, later = blender.ask("objects()"), _steps(trip, identifier)
    assert later > early > 0, f"it went on from step {early} and came to {later}"
    assert len(second) == len(first) + 3, "three better props were wanted"
    assert len(in_sight(second)) == len(in_sight(first)), "the former ones are still to be seen"
    blender.ask("area.ui_type = former")


FINISH = 0.7
"""How far to the right that button is in the sidebar."""

_EDITOR = """
area = next(area for area in bpy.context.window.screen.areas if area.type == 'DOPESHEET_EDITOR')
former, area.ui_type = area.ui_type, 'IMAGE_EDITOR'
editor = area.spaces.active
editor.image = bpy.data.images.get('Wallpaper') or bpy.data.images.new('Wallpaper', 8, 8)
"""


def _steps(trip: Trip, identifier: str) -> int:
    """How many the stand-in has done for the result that is here."""
    (message,) = trip.blender.ask(
        f"[w['message'] for w in desk().jobs[{identifier!r}].warnings if w['code'] == 'steps']"
    )
    return int(message.split()[0])


def tell_of_pictures(trip: Trip, seen: dict[str, Any], what: str) -> None:
    """What the pictures of a running job cost: they come twice a second, so each of them is a frame for itself."""
    held = sorted(seen["slices"] + seen["panels"] + seen["previews"])
    usual, most = held[int(len(held) * 0.95)], held[-1]
    trip.facts[what] = (
        f"{len(seen['previews'])} pictures, {len(seen['slices'])} ticks, {len(seen['panels'])} panels: "
        f"95 % under {usual * 1000:.1f} ms, longest {most * 1000:.1f} ms; "
        f"pictures {min(seen['previews']) * 1000:.1f} to {max(seen['previews']) * 1000:.1f} ms"
    )
    assert usual < FRAME_USUAL, f"95 % of the frames: {usual * 1000:.1f} ms"
    assert most < FRAME_MOST, f"the longest frame: {most * 1000:.1f} ms"
