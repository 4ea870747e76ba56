"""Which object each pixel sees, and how far away: instance map and depth.

Both come from one Cycles render with one sample in which every surface glows with two numbers, its object's index and
its planar depth. It needs no compositor and no graphics card and is exact: a pixel is what its middle sees. Cut-out
(alpha) materials count as solid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Context, Material, Object

from . import compat, pictures, render_settings
from .intrinsics import CaptureError


def identity_pass(context: Context, ids: Mapping[Object, int], path: Path) -> tuple[Any, Any]:
    """Which object each pixel sees, (H, W) uint16, and how far, (H, W) float32 in Blender's units, NaN for nothing.

    To be called within `render_settings.for_capture`, which puts the output settings back.

    Args:
        ids: object -> its number; all others are 0.
        path: where the render may be written (EXR).
    """
    scene = context.scene
    with render_settings.Overrides() as overrides, _identity_material() as material:
        render_settings.for_identity(overrides, scene, context.view_layer, material)
        for candidate in bpy.data.objects:
            overrides.set(candidate, "pass_index", ids.get(candidate, 0))
        render_settings.render_to(scene, path)
    pixels = read_floats(path)
    something = pixels[..., 3] > 0.5
    numbers = np.where(something, pixels[..., 0], 0.0)
    labels = np.rint(numbers).astype(np.uint16)
    if np.abs(numbers - labels).max() > 1e-3:
        message = "The instance map came out blurred."
        raise CaptureError(message, "Look for what changes the picture during a render, such as render handlers.")
    return labels, np.where(something, pixels[..., 1], np.nan).astype(np.float32)


@contextlib.contextmanager
def _identity_material() -> Iterator[Material]:
    """A material that glows with the object's index in red and the planar depth in green.

    The index is read through an instancer attribute: for an instance it is that of the object which makes it, for
    anything else the object's own.
    """
    material = bpy.data.materials.new("Set Dresser identity")
    try:
        tree = compat.use_nodes(material)
        tree.nodes.clear()
        index = tree.nodes.new("ShaderNodeAttribute")
        index.attribute_type = "INSTANCER"
        index.attribute_name = "pass_index"
        view = tree.nodes.new("ShaderNodeCameraData")
        color = tree.nodes.new("ShaderNodeCombineColor")
        glow = tree.nodes.new("ShaderNodeEmission")
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(index.outputs["Fac"], color.inputs[0])
        tree.links.new(view.outputs["View Z Depth"], color.inputs[1])
        tree.links.new(color.outputs[0], glow.inputs["Color"])
        tree.links.new(glow.outputs[0], output.inputs["Surface"])
        yield material
    finally:
        bpy.data.materials.remove(material)


def read_floats(path: Path) -> Any:
    """(H, W, 4) float32, upper row first, exactly as they are in the file."""
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        return pictures.pixels_of(image)[::-1]
    finally:
        bpy.data.images.remove(image)
