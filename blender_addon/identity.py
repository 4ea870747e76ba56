"""Which object each pixel sees, and how far away: instance map and depth.

Both come from one Cycles render with one sample in which every surface glows with two numbers, its object's index and
its planar depth. It needs no compositor and no graphics card and is exact: a pixel is what its middle sees. Cut-out
(alpha) materials count as solid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Material

from . import compat, pictures, render_settings
from .intrinsics import CaptureError
from .render_settings import Overrides
from .rendering import Stage
from .tasks import Steps


def identity_pass(stage: Stage, ids: Mapping[int, int], path: Path) -> Steps:
    """Which object each pixel sees, (H, W) uint16, and how far, (H, W) float32 in Blender's units, NaN for nothing.

    The stage is of no use for a picture afterwards.

    Args:
        ids: session id of an object -> its number; all others are 0.
        path: where the render may be written (EXR).
    """
    _settings(stage)

    def numbered(overrides: Overrides) -> None:
        for candidate in bpy.data.objects:
            overrides.set(candidate, "pass_index", ids.get(candidate.session_uid, 0))
            if candidate.type in {"LIGHT", "LIGHT_PROBE", "GPENCIL", "GREASEPENCIL"}:
                overrides.set(candidate, "hide_render", True)
            overrides.set(candidate, "is_shadow_catcher", False)

    yield from stage.render(path, numbered)
    pixels = read_floats(path)
    something = pixels[..., 3] > 0.5
    numbers = np.where(something, pixels[..., 0], 0.0)
    labels = np.rint(numbers).astype(np.uint16)
    if np.abs(numbers - labels).max() > 1e-3:
        message = "The instance map came out blurred."
        raise CaptureError(message, "Look for what changes the picture during a render, such as render handlers.")
    return labels, np.where(something, pixels[..., 1], np.nan).astype(np.float32)


def _settings(stage: Stage) -> None:
    """What the instance map and the depth need: numbers, not light.

    Every surface emits its numbers (see `_glow`); one Cycles sample through the very middle of each pixel,
    on black, nothing clamped, filtered, denoised, dimmed or converted on the way.
    """
    scene = stage.scene
    render_settings.use_cycles(scene)
    cycles, render = scene.cycles, scene.render
    numbers = {"samples": 1, "sample_offset": 0, "time_limit": 0.0, "max_bounces": 0, "film_exposure": 1.0}
    numbers |= {"sample_clamp_direct": 0.0, "sample_clamp_indirect": 0.0}
    choices = {"device": "CPU", "pixel_filter_type": "BOX", "use_layer_samples": "IGNORE"}
    flags = dict.fromkeys(("use_denoising", "use_adaptive_sampling", "use_sample_subset"), False)
    for name, value in (numbers | choices | flags).items():
        if hasattr(cycles, name):
            setattr(cycles, name, value)
    cycles.filter_width = 0.01
    render.film_transparent, render.use_freestyle, render.dither_intensity = True, False, 0.0
    scene.world = None
    material = bpy.data.materials.new("Set Dresser identity")
    stage.keep(material)
    _glow(material)
    stage.view_layer.material_override, stage.view_layer.world_override = material, None
    compat.set_file_format(render.image_settings, "OPEN_EXR", "RGBA", "32")
    compat.set_choice(render.image_settings, "exr_codec", "ZIP")
    if render.image_settings.color_management == "OVERRIDE":  # else an EXR holds the scene's own linear values
        compat.set_choice(render.image_settings.linear_colorspace_settings, "name", "Non-Color")


def _glow(material: Material) -> None:
    """Make a material that glows with the object's index in red and the planar depth in green.

    The index is read through an instancer attribute: for an instance it is that of the object which makes it, for
    anything else the object's own.
    """
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


def read_floats(path: Path) -> Any:
    """(H, W, 4) float32, upper row first, exactly as they are in the file."""
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        return pictures.pixels_of(image)[::-1]
    finally:
        bpy.data.images.remove(image)
