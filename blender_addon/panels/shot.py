"""What to make props of, and how: everything above the Generate button, and the button itself."""

from __future__ import annotations

from typing import Any

import bpy

from .. import parameters, properties, session
from ..photos import wrong_number
from ..server_process import ServerState
from .models import WORDS, lack, models_hindrance
from .photos import block_out_hindrance, draw_block_out, draw_photo_block_out, draw_photos, photos_hindrance
from .text import count, draw_text, memory

MANY_INSTANCES = 100
"""A limit on objects from here on needs no line in the panel."""

LACKING = {
    properties.IMAGINE: "This backend cannot paint pictures from a description",
    properties.SEGMENT: "This backend cannot find objects in a picture",
}


def generate_hindrance(context: bpy.types.Context) -> str:
    """Why Generate cannot be pressed; "" if it can."""
    settings = context.scene.set_dresser
    if session.current.set_up_problem is not None:
        return "The backend is not set up"
    if session.current.server.state is ServerState.INCOMPATIBLE:
        return ServerState.INCOMPATIBLE.value
    reason = _shot_hindrance(context, settings) or _preparation_hindrance(context, settings)
    return reason or _pipeline_hindrance(settings) or models_hindrance(context.scene)


def _shot_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    if settings.source == "CAMERA":
        return _camera_hindrance(context, settings)
    if settings.source == "PHOTOS":
        return photos_hindrance(context, settings)
    if settings.source == "FILE" and not settings.image_path:
        return "Choose an image file"
    if settings.source == "IMAGE" and settings.image is None:
        return "Choose an image"
    if settings.labels == "LABELS":
        chosen = settings.labels_path if settings.source == "FILE" else settings.labels_image
        if not chosen:
            return "Choose a label image, or One Object"
    if settings.use_active_camera and context.scene.camera is None:
        return "The scene has no active camera"
    return ""


def _camera_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    camera = context.scene.camera
    if camera is None:
        return "The scene has no active camera"
    if camera.type == "CAMERA" and camera.data.type != "PERSP":
        return "The active camera is not a perspective camera"
    return block_out_hindrance(context, settings)


def _preparation_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    chosen = properties.chosen_preparation(settings)
    if not chosen:
        return ""
    if lack := preparation_lack(chosen):
        return lack
    values = properties.preparation_values(context.scene)[chosen]
    if chosen == properties.SEGMENT and not (values["boxes"] or values.get(WORDS, "").strip()):
        return "Write what to find, or draw boxes"
    return ""


def _pipeline_hindrance(settings: properties.SetDresserSettings) -> str:
    view = properties.view_of(session.current.pipelines, properties.chosen_pipeline(settings))
    pictures = len(settings.photos) if settings.source == "PHOTOS" else 1
    return "" if view is None else wrong_number(view, pictures) or _not_ready(view)


def preparation_lack(identifier: str) -> str:
    """Why a preparation cannot be used with this backend; "" if it can, or if the backend has not run yet."""
    views = session.current.preparations
    if not views and not session.current.pipelines:
        return ""
    view = properties.view_of(views, identifier)
    return LACKING[identifier] if view is None else _not_ready(view)


def _not_ready(view: dict[str, Any]) -> str:
    if view.get("ready", True):
        return ""
    title, wanted, known = view.get("title", view["id"]), view.get("weights", ()), session.current.models
    if missing := known.not_ready(wanted):
        return lack(missing)
    if wanted and all(each in known.known for each in wanted):
        return f"{title} cannot run yet: the backend was installed without learned pipelines"
    return f"{title} cannot run yet: weights are missing ({', '.join(wanted)})"


def draw_source(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Where the picture comes from."""
    settings = context.scene.set_dresser
    layout.prop(settings, "source")
    if settings.source == "PHOTOS":
        draw_photos(layout, context)
        return
    if settings.source == "FILE":
        layout.prop(settings, "image_path", text="File")
    elif settings.source == "IMAGE":
        layout.template_ID(settings, "image", open="image.open")
    elif context.scene.camera is not None:
        layout.label(text=context.scene.camera.name, icon="CAMERA_DATA")
    if settings.source != "CAMERA":
        layout.prop(settings, "use_active_camera")


def draw_instances(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What becomes a prop, in numbers."""
    settings = context.scene.set_dresser
    if settings.source == "CAMERA":
        draw_block_out(layout, context)
        return
    if settings.source == "PHOTOS":
        draw_photo_block_out(layout, context)
        return
    layout.prop(settings, "labels")
    if settings.labels == "LABELS" and settings.source == "FILE":
        layout.prop(settings, "labels_path", text="Labels")
    elif settings.labels == "LABELS":
        layout.template_ID(settings, "labels_image", open="image.open")
    elif settings.labels == "FIND":
        _draw_find(layout, context)


def _draw_find(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What to find: words, boxes, then the numbers. Why it cannot be done is said at Generate."""
    settings = context.scene.set_dresser
    holder = parameters.preparations.group(context.scene, properties.SEGMENT)
    attributes = parameters.preparations.attributes(properties.SEGMENT)
    for attribute in [each for each in attributes if each == WORDS]:
        layout.prop(holder, attribute, text="Names")
    row = layout.row()
    rows = 4 if settings.boxes else 2
    row.template_list("SET_DRESSER_UL_boxes", "", settings, "boxes", settings, "box_index", rows=rows)
    column = row.column(align=True)
    column.operator("set_dresser.add_box", text="", icon="ADD")
    column.operator("set_dresser.remove_box", text="", icon="REMOVE")
    layout.operator("set_dresser.draw_boxes", icon="SELECT_SET")
    rest = [each for each in attributes if each != WORDS]
    _draw_method(layout, context, holder, rest, properties.view_of(session.current.preparations, properties.SEGMENT))


def draw_imagine(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The stage that paints the block-out from a description, folded away unless it is wanted."""
    settings = context.scene.set_dresser
    if settings.source != "CAMERA":
        return
    header, body = layout.panel("SET_DRESSER_imagine", default_closed=True)
    lack = preparation_lack(properties.IMAGINE)
    header.use_property_split = False
    switch = header.row()  # not the header itself: its arrow leads to the reason
    switch.enabled = settings.imagine or not lack
    switch.prop(settings, "imagine")
    if body is None:
        return
    if lack and not settings.imagine:  # otherwise it is said at Generate
        draw_text(body, context, lack, icon="INFO")
    body.active = settings.imagine
    holder = parameters.preparations.group(context.scene, properties.IMAGINE)
    view = properties.view_of(session.current.preparations, properties.IMAGINE)
    _draw_method(body, context, holder, parameters.preparations.attributes(properties.IMAGINE), view)


def draw_pipeline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The pipeline, its parameters as the server describes them, and the seed."""
    settings = context.scene.set_dresser
    pipeline = properties.chosen_pipeline(settings)
    if not pipeline:
        draw_text(layout, context, "Pipelines are listed once the backend has run", icon="INFO")
    else:
        layout.prop(settings, "pipeline")
        holder = parameters.pipelines.group(context.scene, pipeline)
        view = properties.view_of(session.current.pipelines, pipeline)
        _draw_method(layout, context, holder, parameters.pipelines.attributes(pipeline), view)
    layout.prop(settings, "seed")


def _draw_method(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    holder: bpy.types.PropertyGroup | None,
    attributes: list[str],
    view: dict[str, Any] | None,
) -> None:
    """Parameters of a pipeline or a preparation, and what to know of it."""
    for attribute in attributes if holder else ():
        layout.prop(holder, attribute)
    for note in method_notes(view or {}):
        small = layout.column()
        small.scale_y = 0.8
        small.active = False
        draw_text(small, context, note)


def method_notes(view: dict[str, Any]) -> list[str]:
    """What to know of a pipeline or a preparation: objects at once, memory, licence."""
    notes = []
    if (pictures := view.get("images", {}).get("most", 1)) > 1:
        notes.append(f"Takes up to {pictures} pictures of one object: choose Photos as the source")
    most = view.get("most_instances", MANY_INSTANCES)
    if most < MANY_INSTANCES:
        notes.append(f"Up to {count(most)} at once")
    if view.get("memory_bytes", 0):
        notes.append(f"Wants {memory(view['memory_bytes'])} of GPU memory")
    if view.get("licence_note"):
        notes.append(f"Licence: {view['licence_note']}")
    return notes


def draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The button, and why it is grey if it is."""
    reason = generate_hindrance(context)
    column = layout.column()
    column.scale_y = 1.5
    column.operator("set_dresser.generate", icon="SHADERFX")
    if reason:
        draw_text(layout, context, reason, icon="INFO")


class SET_DRESSER_UL_boxes(bpy.types.UIList):
    """The boxes that were drawn on the picture"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.AnyType,
        item: bpy.types.AnyType,
        icon: int,
        active_data: bpy.types.AnyType,
        active_property: str,
        index: int = 0,
        flt_flag: int = 0,
    ) -> None:
        row = layout.row()
        row.prop(item, "name", text="", emboss=False, icon="MESH_PLANE")
        size = row.row()
        size.alignment = "RIGHT"
        size.active = False
        size.label(text=f"{item.right - item.left} × {item.bottom - item.top}")


CLASSES = (SET_DRESSER_UL_boxes,)
