"""Where Blender 4.2 to 5.2 differ, found by features rather than by version numbers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import addon_utils
import bpy

IMAGE_SETTINGS_ORDER = ("media_type", "file_format", "color_mode", "color_depth", "color_management")
"""Each of these narrows what the next may be. `media_type` came with 5.0."""


def set_file_format(image_settings: Any, file_format: str, color_mode: str, color_depth: str) -> None:
    """Make a render's output format a single-layer picture: "PNG", "OPEN_EXR", …"""
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = "IMAGE"
    image_settings.file_format = file_format
    image_settings.color_mode = color_mode
    image_settings.color_depth = color_depth


def set_layers_format(image_settings: Any) -> None:
    """Make a render's output format the multilayer EXR that `exr` reads: 32-bit floats, lines compressed one by one,
    in one part (from 5.0 on a choice, before that the only way)."""
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = "MULTI_LAYER_IMAGE"
    image_settings.file_format = "OPEN_EXR_MULTILAYER"
    image_settings.color_mode, image_settings.color_depth = "RGBA", "32"
    image_settings.exr_codec = "ZIPS"
    if hasattr(image_settings, "use_exr_interleave"):
        image_settings.use_exr_interleave = True


def use_nodes(material: bpy.types.Material) -> Any:
    """The material's node tree. From 5.0 on every material has one, and asking for it is deprecated."""
    if material.node_tree is None:
        material.use_nodes = True
    return material.node_tree


def nodes_of(material: bpy.types.Material) -> Any:
    """The node tree that decides how the material looks; None for one without nodes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 5.0 on it is always true, and asking is deprecated
        return material.node_tree if material.use_nodes else None


def literal_path(path: str) -> str:
    """A render's output path that means just this, where Blender reads what stands in braces as a template."""
    filepath = bpy.types.RenderSettings.bl_rna.properties["filepath"]
    templates = getattr(filepath, "is_path_supports_templates", False)
    return path.replace("{", "{{").replace("}", "}}") if templates else path


def has_denoiser() -> bool:
    """Whether this build's Cycles can denoise on any machine."""
    return bool(getattr(sys.modules.get("_cycles"), "with_openimagedenoise", False))


def loses_contexts() -> bool:
    """Whether the main loop takes the context of the graphics card away from a render of a scene that no window shows.

    Seen in 4.3.2, and not in 5.2.2, where a render that is held at its beginning crashes. Nothing that Python sees
    tells it, so it is the number here.
    """
    return bool(bpy.app.version < (4, 4))


def set_choice(owner: Any, attribute: str, *choices: str) -> str | None:
    """Set an enumeration to the first of the choices that this Blender has; None if it has none of them.

    The list of an RNA enumeration is not complete for engines and view transforms, so trying is the only way to know.
    """
    for choice in choices:
        try:
            setattr(owner, attribute, choice)
        except TypeError:
            continue
        return choice
    return None


def with_known_options(operator: Any, **options: Any) -> dict[str, Any]:
    """Those of the options that the operator has in this version."""
    known = operator.get_rna_type().properties.keys()
    return {name: value for name, value in options.items() if name in known}


def remove_custom_normals(owner: bpy.types.Object) -> None:
    """Go back to the normals that follow from the mesh; before 4.5 only this operator can."""
    with bpy.context.temp_override(object=owner, active_object=owner, selected_objects=[owner]):
        bpy.ops.mesh.customdata_custom_splitnormals_clear("EXEC_DEFAULT")


def _operator_exists(operator: Any) -> bool:
    try:
        operator.get_rna_type()
    except KeyError:
        return False
    return True


@contextmanager
def gltf_importer() -> Iterator[Any]:
    """The stock glTF import operator; the add-on that brings it is switched on if it was off, and off again after.

    Raises LookupError: if this Blender has no glTF add-on.
    """
    was_off = not _operator_exists(bpy.ops.import_scene.gltf)
    if was_off and addon_utils.enable("io_scene_gltf2") is None:
        raise LookupError("io_scene_gltf2")
    try:
        yield bpy.ops.import_scene.gltf
    finally:
        if was_off:
            addon_utils.disable("io_scene_gltf2")


def placeholder(text: str) -> dict[str, str]:
    """What to give `UILayout.prop` for words in an empty text field; nothing where it has no such thing."""
    known = bpy.types.UILayout.bl_rna.functions["prop"].parameters
    return {"placeholder": text} if text and "placeholder" in known else {}
