"""The render settings of a capture, and settings that are put back however what needed them ends."""

from __future__ import annotations

import contextlib
from typing import Any

import bpy
from bpy.types import Scene, ViewLayer

from ..ground import compat
from . import intrinsics
from .intrinsics import CaptureError

NEEDS_WINDOW = frozenset({"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"})
"""Engines that draw with the graphics card; without a window they are slow, or crash where there is no driver."""

SUBSTITUTE_SAMPLES = 64

FAST_SIDE, FAST_SAMPLES, FAST_BOUNCES = 1024, 16, 3
"""Of a fast picture: its longer side in pixels, samples, how often light is reflected. No pipeline looks at more."""

DENOISED_SAMPLES = 8
"""Of a fast picture that is denoised."""


class Overrides(contextlib.ExitStack):
    """Settings that differ for a while. Leaving puts each back, the last first, even if putting back another fails."""

    def set(self, owner: Any, attribute: str, value: Any) -> None:
        """Change an attribute until the end; one that this Blender does not have is left out."""
        if not hasattr(owner, attribute):
            return
        before = getattr(owner, attribute)
        if before != value:
            self.callback(setattr, owner, attribute, before)
            setattr(owner, attribute, value)

    def set_choice(self, owner: Any, attribute: str, *choices: str) -> str | None:
        """Change an enumeration to the first choice that this Blender has; None if it has none."""
        before = getattr(owner, attribute)
        chosen = compat.set_choice(owner, attribute, *choices)
        self.callback(compat.set_choice, owner, attribute, before)
        return chosen

    def keep_output_settings(self, scene: Scene) -> None:
        """Whatever happens to file format and colour management, put it back, in the order that Blender accepts."""
        image_settings = scene.render.image_settings
        owners = [image_settings]
        for owner in (image_settings, scene):
            owners += [owner.display_settings, owner.view_settings]
        owners.append(image_settings.linear_colorspace_settings)  # last: Blender itself changes it with the format
        self.callback(_put_back, [(owner, _plain_settings(owner)) for owner in owners])


def _plain_settings(owner: Any) -> dict[str, Any]:
    """Every writable setting by name, those first that decide what the others may be."""
    properties = owner.bl_rna.properties
    names = [name for name in properties.keys() if not properties[name].is_readonly]  # noqa: SIM118, no dict
    first = [name for name in (*compat.IMAGE_SETTINGS_ORDER, "view_transform", "look") if name in names]
    return {name: getattr(owner, name) for name in (*first, *(name for name in names if name not in first))}


def _put_back(before: list[tuple[Any, dict[str, Any]]]) -> None:
    for owner, settings in before:
        for name, value in settings.items():
            # An enumeration that was never set reads as "" and cannot be unset; Blender fills it on first use.
            if value != "" and getattr(owner, name) != value:
                setattr(owner, name, value)


def for_capture(scene: Scene, view_layer: ViewLayer, width: int, height: int) -> None:
    """Settings of a scene's copy that all passes of a capture share: the whole frame in this many pixels, sharp, one
    view layer, nothing done to it afterwards.

    Blur (motion; depth of field is the camera's) is off because a prop is cut out of the picture along its instance
    map; compositing and the video sequencer are off because they may move or replace the picture that the camera sees.
    """
    scene.animation_data_clear()  # a driver or a key would have its way when the render begins
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.use_overwrite = True
    for name in (
        "use_file_extension",
        "use_placeholder",
        "use_compositing",
        "use_sequencer",
        "use_border",
        "use_multiview",
        "use_motion_blur",
        "use_stamp",
        "use_single_layer",
    ):
        setattr(render, name, False)
    for marker in scene.timeline_markers:  # rendering makes the camera of the last one the active one
        marker.camera = None
    for layer in scene.view_layers:
        layer.use = layer == view_layer


def for_picture(scene: Scene, quality: str) -> str:
    """What the picture needs beyond `for_capture`: sRGB colours as they are, in 8-bit PNG.

    The view transform becomes Standard, because AgX and Filmic dull the colours that are to become textures; the
    scene's exposure stays. With the quality "SCENE" engine and samples are the scene's; without a window EEVEE and
    Workbench give way to Cycles. With "FAST" Cycles takes the picture in few samples where it can stand for EEVEE:
    EEVEE holds Blender's window until it is done, and compiles for longer than Cycles renders.

    Args:
        scene: the scene's copy.

    Returns: a sentence on what was done differently from the scene and may surprise, or "".
    """
    as_standard_png(scene, "RGBA" if scene.render.film_transparent else "RGB")
    if not compat.has_denoiser() and scene.cycles.denoiser != "OPTIX":  # Cycles would refuse to render at all
        scene.cycles.use_denoising = False
    engine, substituted = scene.render.engine, will_be_cycles(scene, quality)
    if not substituted and quality != "FAST":
        return ""
    if substituted and engine != "CYCLES":
        use_cycles(scene)
        scene.cycles.device = "CPU"
    if scene.render.engine != "CYCLES":
        _few_samples_of_eevee(scene)
        return ""
    cycles = scene.cycles
    if quality == "FAST":
        _few_samples(scene)
        return ""
    if engine != "CYCLES":
        cycles.samples = min(cycles.samples, SUBSTITUTE_SAMPLES)
        name = engine.replace("BLENDER_", "").replace("_NEXT", "").capitalize()
        return f"{name} needs a window; the picture was rendered with Cycles, {cycles.samples} samples."
    return ""


def _few_samples(scene: Scene) -> None:
    """As little of Cycles as gives textures and light."""
    cycles, render = scene.cycles, scene.render
    enough = DENOISED_SAMPLES if compat.has_denoiser() else FAST_SAMPLES
    if cycles.samples > enough:
        cycles.samples, cycles.use_denoising = enough, compat.has_denoiser()
    for name in ("denoising_prefilter", "denoising_quality"):  # by default it takes longer than the samples
        compat.set_choice(cycles, name, "FAST")
    cycles.time_limit = 0.0
    for name in ("max_bounces", "diffuse_bounces", "glossy_bounces", "volume_bounces"):
        setattr(cycles, name, min(getattr(cycles, name), FAST_BOUNCES))
    cycles.use_layer_samples = "IGNORE"
    render.use_freestyle = False
    if not bpy.app.background:  # one processor is left for the window
        render.threads_mode, render.threads = "FIXED", max(1, render.threads - 1)


def _few_samples_of_eevee(scene: Scene) -> None:
    eevee = getattr(scene, "eevee", None)
    if eevee is not None:
        eevee.taa_render_samples = min(eevee.taa_render_samples, FAST_SAMPLES)
    scene.render.use_freestyle = False


def will_be_cycles(scene: Scene, quality: str) -> bool:
    """Whether Cycles renders the picture."""
    engine = scene.render.engine
    if engine == "CYCLES" or engine not in NEEDS_WINDOW or bpy.app.background:
        return engine == "CYCLES" or (bpy.app.background and engine in NEEDS_WINDOW)
    return quality == "FAST" and "EEVEE" in engine and not _shades_as_only_eevee_does(scene)


def _shades_as_only_eevee_does(scene: Scene) -> bool:
    """Whether a material turns what light does into a colour, which Cycles shows black."""
    materials = {slot.material for each in scene.objects for slot in each.material_slots if slot.material is not None}
    pending = [tree for tree in map(compat.nodes_of, materials) if tree is not None]
    seen = set()
    while pending:
        tree = pending.pop()
        if tree in seen:
            continue
        seen.add(tree)
        for node in tree.nodes:
            if node.type == "SHADERTORGB":
                return True
            if node.type == "GROUP" and node.node_tree is not None:
                pending.append(node.node_tree)
    return False


def picture_size(scene: Scene, quality: str) -> tuple[int, int]:
    """Width and height of the picture in pixels: those of the scene's render, or as many of them as are used."""
    width, height = intrinsics.picture_size(scene.render)
    longest = max(width, height)
    if quality != "FAST" or longest <= FAST_SIDE:
        return width, height
    return max(1, round(width * FAST_SIDE / longest)), max(1, round(height * FAST_SIDE / longest))


def as_standard_png(scene: Scene, color_mode: str) -> None:
    """Output settings: 8-bit PNG, sRGB, Standard view, exposure as it is. Keeping them before is the caller's."""
    image_settings = scene.render.image_settings
    compat.set_file_format(image_settings, "PNG", color_mode, "8")
    image_settings.compression = 15
    owner = _owner_of_view(scene)
    compat.set_choice(owner.display_settings, "display_device", "sRGB")
    view = owner.view_settings
    compat.set_choice(view, "view_transform", "Standard", "Raw")
    compat.set_choice(view, "look", "None")
    view.gamma = 1.0
    for name in ("use_curve_mapping", "use_white_balance"):
        if getattr(view, name, False):
            setattr(view, name, False)


def _owner_of_view(scene: Scene) -> Any:
    """Whose view transform counts for files. It is not changed which: that would copy one's settings to the other."""
    image_settings = scene.render.image_settings
    return image_settings if image_settings.color_management == "OVERRIDE" else scene


def use_cycles(scene: Scene) -> None:
    """Render with Cycles. Raises CaptureError: if it is switched off in the preferences."""
    if scene.render.engine != "CYCLES" and compat.set_choice(scene.render, "engine", "CYCLES") is None:
        message = "Cycles is switched off; Set Dresser needs it to see which pixel is which object."
        raise CaptureError(message, "Switch on Preferences > Add-ons > Cycles Render Engine.")
