"""A step of the journey: all cameras in one go, paused, gone on with, and the sheet of what came."""

from __future__ import annotations

from tests.gui.trip import FRAME_MOST, Trip

ARROW = 0.85
"""How far to the right the arrow beside Generate is in the sidebar."""


def take_with_all_cameras(trip: Trip) -> None:
    """Chosen from the menu beside Generate: each piece of the room becomes one prop, of the picture that shows it best,
    while Blender lives; it pauses and goes on as one."""
    blender = trip.blender
    trip.build_room()
    blender.ask("import room; room.photograph(); names = [each.name for each in room.pieces()]")
    blender.ask("for each in bpy.context.view_layer.objects: each.select_set(each.name in names)")
    blender.ask(
        "scene = bpy.context.scene; scene.set_dresser.source = 'CAMERA'; scene.set_dresser.pipeline = 'test-box'"
    )
    blender.ask("scene.set_dresser_test_box.seconds = 4.0")
    frame, before = blender.ask("bpy.context.scene.frame_current"), blender.ask("objects()")
    _, y = blender.find("bpy.ops.set_dresser.generate(")
    left, _, width, _ = blender.ask("region()")
    trip.display.click(left + int(width * ARROW), y)
    blender.draw()
    trip.shot("menu", as_it_is=True)
    trip.display.press("a")  # the letter that is underlined
    blender.wait("len(desk().batches) == 1", "the batch", 20.0)
    blender.ask("batch = next(iter(desk().batches.values())); frames.watch()")
    blender.wait("batch.fraction > 0", "the first picture", 60.0)
    trip.shot("pictures")
    blender.wait("any(job['state'] == 'running' for job in jobs())", "the first job", 120.0)
    blender.click("bpy.ops.set_dresser.unfold_batch(", 0.1)
    trip.shot("unfolded")
    blender.click("bpy.ops.set_dresser.pause_batch(", 0.75)
    blender.wait("batch.paused and not any(job['state'] == 'running' for job in jobs())", "the pause", 30.0)
    trip.shot("paused")
    blender.click("bpy.ops.set_dresser.continue_batch(", 0.75)
    blender.wait("all(each.outcome == 'done' for each in batch.entries) and batch.task is None", "the end", 120.0)
    trip.shot("done")
    seen = blender.ask("frames.seen()")
    longest = max(*seen["slices"], *seen["panels"])
    trip.facts["the add-on's part of a frame, with a batch"] = f"at most {1000 * longest:.1f} ms"
    assert longest <= FRAME_MOST, f"the add-on held a frame for {longest:.3f} s"
    after = blender.ask("objects()")
    props = [name for name in after if name not in before and after[name]["vertices"]]
    assert len(props) == len(blender.ask("names")), props
    assert blender.ask("bpy.context.scene.frame_current") == frame
    blender.rest()
