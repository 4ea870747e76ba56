"""The render settings with which Cycles tells, in its own passes, which object each pixel sees."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from bpy.types import Context, Material, Object, Scene, ViewLayer

from . import block_outs, compat, render_settings
from .render_settings import Overrides

ALPHA_THRESHOLD = 0.5
"""What covers at least this share of a pixel's ray is what the pixel sees."""


def for_identity(overrides: Overrides, context: Context) -> None:
    """What the instance map and the depth need: two passes, no light.

    Cycles looks through the very middle of each pixel, its rays end where they meet something; nothing is filtered,
    denoised or converted on the way. The picture's own engine decides what materials mean.
    """
    scene, view_layer = context.scene, context.view_layer
    _same_materials(overrides, scene, view_layer)
    render_settings.use_cycles(overrides, scene)
    cycles, render = scene.cycles, scene.render
    numbers = {"samples": 1, "sample_offset": 0, "time_limit": 0.0, "max_bounces": 0}
    choices = {"device": "CPU", "pixel_filter_type": "BOX", "use_layer_samples": "IGNORE"}
    flags = ("use_denoising", "use_adaptive_sampling", "use_sample_subset", "use_guiding", "film_transparent_glass")
    for name, value in (numbers | choices | dict.fromkeys(flags, False)).items():
        overrides.set(cycles, name, value)
    overrides.set(cycles, "filter_width", 0.01)
    overrides.set(render, "film_transparent", True)
    overrides.set(render, "use_freestyle", False)
    overrides.set(scene, "world", None)
    overrides.set(view_layer, "world_override", None)
    overrides.set(view_layer, "use_volumes", False)
    _passes(overrides, view_layer)
    for candidate in bpy.data.objects:
        if candidate.type in {"LIGHT", "LIGHT_PROBE", "GPENCIL", "GREASEPENCIL"}:
            overrides.set(candidate, "hide_render", True)
        overrides.set(candidate, "is_shadow_catcher", False)
    if view_layer.material_override is None:
        for candidate in _only_volumes(context):
            overrides.set(candidate, "visible_camera", False)
    compat.set_layers_format(render.image_settings)
    if render.image_settings.color_management == "OVERRIDE":  # else an EXR holds the scene's own linear values
        compat.set_choice(render.image_settings.linear_colorspace_settings, "name", "Non-Color")


def _passes(overrides: Overrides, view_layer: ViewLayer) -> None:
    """Object index and depth; the picture's alpha and Cryptomatte tell how much of the ray it is that saw them. None
    else, they would only take time."""
    wanted = {"use_pass_combined", "use_pass_z", "use_pass_object_index", "use_pass_cryptomatte_object"}
    for owner in (view_layer, view_layer.cycles):
        for name in owner.bl_rna.properties.keys():  # noqa: SIM118, no dict
            if name.startswith(("use_pass_", "pass_debug_", "denoising_store_", "pass_render_time")):
                overrides.set(owner, name, name in wanted)
    overrides.set(view_layer, "pass_cryptomatte_depth", 4)  # surfaces on one ray that cover something of it
    overrides.set(view_layer, "pass_alpha_threshold", ALPHA_THRESHOLD)


def _same_materials(overrides: Overrides, scene: Scene, view_layer: ViewLayer) -> None:
    """Have Cycles use the materials as the picture's engine does: Workbench knows none of them, and EEVEE may have an
    output of its own."""
    if render_settings.will_be_cycles(scene):
        return
    if scene.render.engine == "BLENDER_WORKBENCH":
        plain = bpy.data.materials.new("Set Dresser plain")
        overrides.callback(bpy.data.materials.remove, plain)
        overrides.set(view_layer, "material_override", plain)
    elif "EEVEE" in scene.render.engine:
        for material in bpy.data.materials:
            own, other = (_output(material, target) for target in ("EEVEE", "CYCLES"))
            if own is not None and own != other:
                if other is not None:
                    overrides.set(other, "target", "EEVEE")
                overrides.set(own, "target", "CYCLES")


def _output(material: Material, target: str) -> bpy.types.Node | None:
    tree = compat.nodes_of(material)
    return None if tree is None else tree.get_output_node(target)


def _only_volumes(context: Context) -> Iterable[Object]:
    """Objects that have a volume and no surface, as mist has: rays pass, and some would be scattered on the way."""
    depsgraph = context.evaluated_depsgraph_get()
    for candidate in bpy.data.objects:
        if candidate.type not in block_outs.SHAPES:
            continue
        materials = {slot.material for slot in candidate.material_slots}
        data = candidate.evaluated_get(depsgraph).data
        materials.update(material and material.original for material in getattr(data, "materials", ()))
        if materials and all(_only_volume(material) for material in materials):
            yield candidate


def _only_volume(material: Material | None) -> bool:
    output = None if material is None else _output(material, "CYCLES")
    return output is not None and output.inputs["Volume"].is_linked and not output.inputs["Surface"].is_linked
