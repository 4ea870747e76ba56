"""All Cameras, Frame Range, Seeds; and what is done with a batch as one"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ... import session
from ...api import batches as calls
from ...ground.messages import SetDresserError
from ...settings import properties
from ...state import desk
from ...state.batch import Batch
from ...work import batches as work
from ...work import contact_sheet
from .. import panels
from .base import OneCall, permitted
from .generate import chosen, shot_of

MOST_SEEDS = 64


def _asked(context: bpy.types.Context) -> dict[str, Any]:
    """What the panel says of every job; nobody waits for it."""
    return {**chosen(context.scene), "wait": False}


def _block_out(context: bpy.types.Context) -> Any:
    settings = context.scene.set_dresser
    return settings.collection if settings.instances == "COLLECTION" else None


class SET_DRESSER_OT_all_cameras(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.all_cameras"
    bl_label = "All Cameras"
    bl_description = (
        "Take a picture with every camera of the scene; each block-out becomes one prop, of the picture that shows it "
        "best, or of all of them"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return permitted(cls, panels.all_cameras_hindrance(context))

    def act(self, context: bpy.types.Context) -> None:
        seed = context.scene.set_dresser.seed
        calls.generate_batch(cameras="all", seeds=seed, objects=_block_out(context), **_asked(context))


class SET_DRESSER_OT_frame_range(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.frame_range"
    bl_label = "Frame Range"
    bl_description = (
        "Take a picture with the active camera at several frames; each block-out becomes one prop, of the picture that "
        "shows it best"
    )

    start: bpy.props.IntProperty(name="Start", description="First frame", default=1)
    end: bpy.props.IntProperty(name="End", description="Last frame", default=1)
    step: bpy.props.IntProperty(name="Step", description="Frames from one picture to the next", default=10, min=1)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return permitted(cls, panels.frames_hindrance(context))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        scene = context.scene
        self.start, self.end = scene.frame_start, scene.frame_end
        self.step = max((self.end - self.start) // 4, 1)
        return set(context.window_manager.invoke_props_dialog(self))

    def act(self, context: bpy.types.Context) -> None:
        frames, seed = range(self.start, self.end + 1, self.step), context.scene.set_dresser.seed
        calls.generate_batch(frames=frames, seeds=seed, objects=_block_out(context), **_asked(context))


class SET_DRESSER_OT_seeds(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.seeds"
    bl_label = "Seeds"
    bl_description = "Make the same with several seeds; the props are variants of each other"

    count: bpy.props.IntProperty(
        name="Number", description="How many seeds, from the one in the panel on", default=4, min=2, max=MOST_SEEDS
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return permitted(cls, panels.seeds_hindrance(context))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return set(context.window_manager.invoke_props_dialog(self))

    def act(self, context: bpy.types.Context) -> None:
        first = min(context.scene.set_dresser.seed, properties.MAXIMUM_SEED - self.count + 1)
        shot = shot_of(context.scene.set_dresser)
        calls.generate_batch(seeds=range(first, first + self.count), **{**shot, "name": ""}, **_asked(context))


class ForBatch(OneCall):
    """An operator on one batch of the list."""

    batch: bpy.props.StringProperty(name="Batch", description="Its id", options={"HIDDEN", "SKIP_SAVE"})

    def found(self) -> Batch:
        batch = desk.current.batches.get(self.batch)
        if batch is None:
            raise SetDresserError("There is no such batch any more.", "Look at the list of batches.", "batch-gone")
        return batch


class SET_DRESSER_OT_unfold_batch(ForBatch, bpy.types.Operator):
    bl_idname = "set_dresser.unfold_batch"
    bl_label = "Parts"
    bl_description = "Show or hide what has become of its parts, and why each was made of its picture"
    about_error = True

    def act(self, context: bpy.types.Context) -> None:
        batch = self.found()
        batch.unfolded = not batch.unfolded
        desk.current.changed()


class SET_DRESSER_OT_pause_batch(ForBatch, bpy.types.Operator):
    bl_idname = "set_dresser.pause_batch"
    bl_label = "Pause"
    bl_description = "Have what waits go on waiting; what runs is finished"

    def act(self, context: bpy.types.Context) -> None:
        work.pause(session.current.line, self.found())


class SET_DRESSER_OT_continue_batch(ForBatch, bpy.types.Operator):
    bl_idname = "set_dresser.continue_batch"
    bl_label = "Go On"
    bl_description = (
        "Take the pictures that were not taken, send what was not sent, try again what failed, and import what is not "
        "in the file"
    )

    def act(self, context: bpy.types.Context) -> None:
        work.go_on(session.current.line, self.found())


class SET_DRESSER_OT_cancel_batch(ForBatch, bpy.types.Operator):
    bl_idname = "set_dresser.cancel_batch"
    bl_label = "Cancel Batch"
    bl_description = "End all of it that has not ended"

    def act(self, context: bpy.types.Context) -> None:
        work.cancel(session.current.line, self.found())


class SET_DRESSER_OT_remove_batch(ForBatch, bpy.types.Operator):
    bl_idname = "set_dresser.remove_batch"
    bl_label = "Remove from List"
    bl_description = "Take it off the list. Its jobs and props stay"

    def act(self, context: bpy.types.Context) -> None:
        work.remove(session.current.line, self.found())


class SET_DRESSER_OT_open_contact_sheet(ForBatch, bpy.types.Operator):
    bl_idname = "set_dresser.open_contact_sheet"
    bl_label = "Open Contact Sheet"
    bl_description = (
        "A page with all pictures and props, their times and warnings; beside it lie the same as PNG, and a table"
    )

    def act(self, context: bpy.types.Context) -> None:
        line, batch = session.current.line, self.found()

        def steps() -> Any:
            page: Path = yield from contact_sheet.fetch(line, batch)
            if not bpy.app.background:
                bpy.ops.wm.url_open(url=page.as_uri())

        line.begin(steps(), line.report)


CLASSES = (
    SET_DRESSER_OT_all_cameras,
    SET_DRESSER_OT_frame_range,
    SET_DRESSER_OT_seeds,
    SET_DRESSER_OT_unfold_batch,
    SET_DRESSER_OT_pause_batch,
    SET_DRESSER_OT_continue_batch,
    SET_DRESSER_OT_cancel_batch,
    SET_DRESSER_OT_remove_batch,
    SET_DRESSER_OT_open_contact_sheet,
)
