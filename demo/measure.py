"""How well the props stand where their block-outs stood, measured in Blender."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Object
from mathutils import Vector

from blender_addon.capture import block_outs, identity, render_settings, rendering, scenery
from blender_addon.capture.intrinsics import picture_size

LEAST_IOU = 0.95
LARGEST_ERROR = 0.05


@dataclass(frozen=True)
class Stand:
    """What an object looks like to the camera, and where it is.

    mask: (H, W) bool; low, high: corners of the bounding box in the world, Blender's units.
    """

    mask: Any
    low: Vector
    high: Vector

    @property
    def centre(self) -> Vector:
        return (self.low + self.high) / 2

    @property
    def size(self) -> float:
        """The bounding box's diagonal."""
        return float((self.high - self.low).length)


@dataclass(frozen=True)
class Fit:
    """A prop against its block-out: overlap of their masks, and distance of their centres by the block-out's size."""

    name: str
    mask_iou: float
    position_error: float

    @property
    def good(self) -> bool:
        return self.mask_iou >= LEAST_IOU and self.position_error <= LARGEST_ERROR


def stands(objects: Sequence[Object]) -> dict[str, Stand]:
    """By name, how each object with its parts stands now, everything else occluding."""
    context = bpy.context
    scene = context.scene
    ids = {part.session_uid: number for number, whole in enumerate(objects, 1) for part in block_outs.members(whole)}
    with (
        tempfile.TemporaryDirectory() as folder,
        rendering.stage(scene, context.view_layer, rendering.untold) as stage,
    ):
        render_settings.for_capture(stage.scene, stage.view_layer, *picture_size(scene.render))
        what = scenery.survey(context.view_layer, "CYCLES")
        labels = rendering.finished(identity.look(stage, ids, what, Path(folder) / "identity.exr")).labels
    return {whole.name: Stand(labels == number, *bounds(whole)) for number, whole in enumerate(objects, 1)}


def bounds(whole: Object) -> tuple[Vector, Vector]:
    """Corners of the bounding box in the world of an object with its parts, modifiers applied."""
    points = block_outs.surface_points(whole, bpy.context.evaluated_depsgraph_get())
    return Vector(points.min(axis=0)), Vector(points.max(axis=0))


def compare(before: Mapping[str, Stand], after: Mapping[str, Stand]) -> list[Fit]:
    """Fits of block-outs and props of the same key, in the order of `before`; a missing prop fits not at all."""
    fits = []
    for name, block_out in before.items():
        prop = after.get(name)
        if prop is None:
            fits.append(Fit(name, 0.0, float("inf")))
            continue
        both = np.count_nonzero(block_out.mask & prop.mask)
        either = int(np.count_nonzero(block_out.mask | prop.mask))
        error = (prop.centre - block_out.centre).length / block_out.size
        fits.append(Fit(name, both / max(either, 1), error))
    return fits
