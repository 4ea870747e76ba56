"""Everything in a file that a capture could leave changed, as plain values that can be compared."""

from __future__ import annotations

from typing import Any

import bpy

from blender_addon.answers import thumbnails
from blender_addon.ground import tick
from blender_addon.ui import box_overlay

SCALARS = {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
NOT_SETTINGS = {"rna_type", "is_evaluated", "session_uid", "tag", "users", "use_nodes"}
"""`use_nodes` warns when it is read in 5.0."""


def plain(owner: Any) -> dict[str, Any]:
    """Every RNA property of a struct: values, and names of what it points to."""
    values: dict[str, Any] = {}
    for name, kind in owner.bl_rna.properties.items():
        if name in NOT_SETTINGS:
            continue
        value = getattr(owner, name)
        if kind.type in SCALARS:
            values[name] = _value(kind, value)
        elif kind.type == "POINTER":
            values[name] = value.name_full if isinstance(value, bpy.types.ID) else type(value).__name__
        elif kind.type == "COLLECTION":
            values[name] = len(value)
    return values


def _value(kind: Any, value: Any) -> Any:
    if getattr(kind, "is_array", False):
        return [tuple(row) if hasattr(row, "__len__") else row for row in value]
    return sorted(value) if isinstance(value, set) else value


def everything() -> dict[str, Any]:
    context = bpy.context
    scene, view_layer, render = context.scene, context.view_layer, context.scene.render
    found = {
        "scene": plain(scene),
        "render": plain(render),
        "cycles": plain(scene.cycles),
        "view_settings": plain(scene.view_settings),
        "display_settings": plain(scene.display_settings),
        "image_settings": plain(render.image_settings),
        "image view": plain(render.image_settings.view_settings),
        "image display": plain(render.image_settings.display_settings),
        "image linear": plain(render.image_settings.linear_colorspace_settings),
        "world": plain(scene.world) if scene.world else None,
        "selected": sorted(selected.name for selected in context.selected_objects),
        "active": context.object.name if context.object else None,
        "mode": context.mode,
        "frame": (scene.frame_current, scene.frame_subframe),
        "layers": {layer.name: {**plain(layer), "cycles": plain(layer.cycles)} for layer in scene.view_layers},
        "slots": {
            image.name: image.render_slots.active_index for image in bpy.data.images if image.type == "RENDER_RESULT"
        },
        "data": {
            name: sorted(datablock.name_full for datablock in getattr(bpy.data, name))
            for name, kind in bpy.data.bl_rna.properties.items()
            if kind.type == "COLLECTION"
        },
        "world override": view_layer.world_override.name if view_layer.world_override else None,
    }
    for each in bpy.data.objects:
        eye = each.hide_get() if each.name in view_layer.objects else None
        found[f"object {each.name}"] = {**plain(each), "eye": eye, "custom": sorted(each.keys())}
    for camera in bpy.data.cameras:
        found[f"camera {camera.name}"] = {**plain(camera), "dof": plain(camera.dof)}
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What changed, as "where.what: was -> is"."""
    changed = []
    for where in sorted({*before, *after}):
        was, now = before.get(where), after.get(where)
        if where == "image linear" and was["name"] == "":
            continue  # never set yet: Blender fills it when a file format is chosen, and there is no way back to ""
        if isinstance(was, dict) and isinstance(now, dict):
            changed += [f"{where}.{text}" for text in differences(was, now)]
        elif was != now:
            changed.append(f"{where}: {was!r} -> {now!r}")
    return changed


def remains() -> dict[str, Any]:
    """Everything an add-on could leave in Blender."""
    handlers = {
        name: list(value)
        for name in dir(bpy.app.handlers)
        if isinstance(value := getattr(bpy.app.handlers, name), list)
    }
    return {
        "types": set(dir(bpy.types)),
        "scene": set(bpy.types.Scene.bl_rna.properties.keys()),
        "object": set(bpy.types.Object.bl_rna.properties.keys()),
        "classes": {each.__name__ for each in bpy.types.PropertyGroup.__subclasses__() if each.is_registered},
        "handlers": handlers,
        "overlay": box_overlay.shown(),
        "thumbnails": thumbnails._previews,
        "manager": set(bpy.types.WindowManager.bl_rna.properties.keys()),
        "timer": bpy.app.timers.is_registered(tick._tick),
        "operators": "set_dresser" in dir(bpy.ops) and dir(bpy.ops.set_dresser),
    }
