"""The render settings of a capture, each put back when the capture ends, however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
from bpy.types import Object, Scene, ViewLayer

from . import compat
from .intrinsics import CaptureError

NEEDS_WINDOW = frozenset({"BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"})
"""Engines that draw with the graphics card; without a window they are slow, or crash where there is no driver."""

SUBSTITUTE_SAMPLES = 64


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


@contextlib.contextmanager
def for_capture(scene: Scene, view_layer: ViewLayer, camera: Object) -> Iterator[Overrides]:
    """What both passes of a capture share: the whole frame, sharp, one view layer, nothing done to it afterwards.

    Blur (depth of field, motion) is off because a prop is cut out of the picture along its instance map; compositing
    and the video sequencer are off because they may move or replace the picture that the camera sees.
    """
    with Overrides() as overrides:
        overrides.keep_output_settings(scene)
        _keep_last_render(overrides)
        render = scene.render
        overrides.callback(setattr, render, "filepath", render.filepath)
        overrides.set(render, "use_overwrite", True)
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
            overrides.set(render, name, False)
        for marker in scene.timeline_markers:  # rendering makes the camera of the last one the active one
            overrides.set(marker, "camera", None)
        overrides.set(scene, "camera", camera)
        overrides.set(camera.data.dof, "use_dof", False)
        for layer in scene.view_layers:
            overrides.set(layer, "use", layer == view_layer)
        yield overrides


def _keep_last_render(overrides: Overrides) -> None:
    """Render into the last slot, so that the picture the artist rendered last is still there afterwards."""
    for image in bpy.data.images:
        if image.type == "RENDER_RESULT" and len(image.render_slots) > 1:
            overrides.set(image.render_slots, "active_index", len(image.render_slots) - 1)


def for_picture(overrides: Overrides, scene: Scene) -> str:
    """What the picture needs beyond `for_capture`: sRGB colours as they are, in 8-bit PNG.

    The scene's engine and samples stay. The view transform becomes Standard, because AgX and Filmic dull the colours
    that are to become textures; the scene's exposure stays. Without a window EEVEE and Workbench give way to Cycles.

    Returns: a sentence on what was done differently from the scene, or "".
    """
    as_standard_png(scene, "RGBA" if scene.render.film_transparent else "RGB")
    if scene.render.engine == "CYCLES" or not will_be_cycles(scene):
        return ""
    name = scene.render.engine.replace("BLENDER_", "").replace("_NEXT", "").capitalize()
    use_cycles(overrides, scene)
    overrides.set(scene.cycles, "device", "CPU")
    overrides.set(scene.cycles, "samples", min(scene.cycles.samples, SUBSTITUTE_SAMPLES))
    return f"{name} needs a window; the picture was rendered with Cycles, {scene.cycles.samples} samples."


def will_be_cycles(scene: Scene) -> bool:
    """Whether Cycles renders the picture."""
    return scene.render.engine == "CYCLES" or (bpy.app.background and scene.render.engine in NEEDS_WINDOW)


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


def use_cycles(overrides: Overrides, scene: Scene) -> None:
    """Render with Cycles. Raises CaptureError: if it is switched off in the preferences."""
    if scene.render.engine != "CYCLES" and overrides.set_choice(scene.render, "engine", "CYCLES") is None:
        message = "Cycles is switched off; Set Dresser needs it to see which pixel is which object."
        raise CaptureError(message, "Switch on Preferences > Add-ons > Cycles Render Engine.")


def render_to(scene: Scene, path: Path) -> None:
    """Render the frame to a file. Raises CaptureError: with Blender's own words if it fails or is stopped.

    Some builds of Blender have no denoiser while scenes ask for one by default; then the picture is made without it.
    """
    scene.render.filepath = str(path)
    try:
        try:
            bpy.ops.render.render("EXEC_DEFAULT", write_still=True)
        except RuntimeError as error:
            if "denois" not in str(error).lower() or not scene.cycles.use_denoising:
                raise
            with Overrides() as retry:
                retry.set(scene.cycles, "use_denoising", False)
                bpy.ops.render.render("EXEC_DEFAULT", write_still=True)
    except RuntimeError as error:
        words = " ".join(str(error).removeprefix("Error: ").split()).rstrip(".")
        raise CaptureError(f"Blender could not render: {words}.", "Try a normal render (F12).") from error
    if not path.is_file():
        message = "The render was stopped, or wrote no picture."
        raise CaptureError(message, "Generate again and let the render finish; if it does, try a normal render (F12).")
