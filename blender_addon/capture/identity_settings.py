"""The settings with which Cycles tells, in its own passes, which object each pixel sees."""

from __future__ import annotations

import bpy
from bpy.types import ViewLayer

from ..ground import compat
from . import render_settings, scenery
from .render_settings import Overrides
from .rendering import Stage
from .scenery import Scenery

ALPHA_THRESHOLD = 0.5
"""What covers at least this share of a pixel's ray is what the pixel sees."""


def for_identity(stage: Stage, what: Scenery) -> None:
    """What the instance map and the depth need: two passes, no light. The stage is of no use for a picture afterwards.

    Cycles looks through the very middle of each pixel, its rays end where they meet something; nothing is filtered,
    denoised or converted on the way.
    """
    scene, view_layer = stage.scene, stage.view_layer
    render_settings.use_cycles(scene)
    cycles, render = scene.cycles, scene.render
    numbers = {"samples": 1, "sample_offset": 0, "time_limit": 0.0, "max_bounces": 0, "filter_width": 0.01}
    choices = {"device": "CPU", "pixel_filter_type": "BOX", "use_layer_samples": "IGNORE"}
    flags = ("use_denoising", "use_adaptive_sampling", "use_sample_subset", "use_guiding", "film_transparent_glass")
    for name, value in (numbers | choices | dict.fromkeys(flags, False)).items():
        if hasattr(cycles, name):
            setattr(cycles, name, value)
    render.film_transparent, render.use_freestyle = True, False
    scene.world = None
    for name, without in (("world_override", None), ("use_volumes", False)):
        if hasattr(view_layer, name):
            setattr(view_layer, name, without)
    if what.engine == "BLENDER_WORKBENCH":  # it knows no materials
        plain = bpy.data.materials.new("Set Dresser plain")
        stage.keep(plain)
        view_layer.material_override = plain
    _passes(view_layer)
    compat.set_layers_format(render.image_settings)
    if render.image_settings.color_management == "OVERRIDE":  # else an EXR holds the scene's own linear values
        compat.set_choice(render.image_settings.linear_colorspace_settings, "name", "Non-Color")


def _passes(view_layer: ViewLayer) -> None:
    """Object index and depth; the picture's alpha and Cryptomatte tell how much of the ray it is that saw them. None
    else, they would only take time."""
    wanted = {"use_pass_combined", "use_pass_z", "use_pass_object_index", "use_pass_cryptomatte_object"}
    for owner in (view_layer, view_layer.cycles):
        for name in owner.bl_rna.properties.keys():  # noqa: SIM118, no dict
            if name.startswith(("use_pass_", "pass_debug_", "denoising_store_", "pass_render_time")):
                setattr(owner, name, name in wanted)
    view_layer.pass_cryptomatte_depth = 4  # surfaces on one ray that cover something of it
    view_layer.pass_alpha_threshold = ALPHA_THRESHOLD


def borrow(overrides: Overrides, what: Scenery) -> None:
    """What must be different of the artist's own objects and materials."""
    for each in bpy.data.objects:
        if each.type in {"LIGHT", "LIGHT_PROBE", "GPENCIL", "GREASEPENCIL"}:
            overrides.set(each, "hide_render", True)
        overrides.set(each, "is_shadow_catcher", False)
        if each.session_uid in what.out_of_sight:
            overrides.set(each, "visible_camera", False)
    if "EEVEE" in what.engine:  # a material may have an output for each engine
        for material in bpy.data.materials:
            own, other = (scenery.output(material, engine) for engine in ("EEVEE", "CYCLES"))
            if own is not None and own != other:
                if other is not None:
                    overrides.set(other, "target", "EEVEE")
                overrides.set(own, "target", "CYCLES")
