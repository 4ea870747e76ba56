"""What to make props of, and how: everything above the Generate button, the button itself, and the rest below it."""

from __future__ import annotations

from typing import Any

import bpy

from ...capture import photo_files, sentences
from ...props import photo_places
from ...settings import parameters, photo_list, properties
from ...state import desk, listing
from .cures import draw_cures
from .fields import draw_choice, draw_field, draw_parameter, draw_text_field, is_narrow
from .hindrances import generate_hindrance, hindrance_code, preparation_lack
from .models import WORDS
from .photos import draw_block_out, draw_photo_block_out, draw_photos
from .text import count, draw_text, memory

GROUP_TITLES = {
    "picture": "Picture",
    "making": "Making",
    "views": "Views",
    "mesh": "Mesh",
    "texture": "Texture",
    "placing": "Placing",
    "computing": "Computing",
}
"""What parameters are about; a fold each."""

NARROW_PROMINENT = 4
MANY_INSTANCES = 100
"""A limit on objects from here on needs no line in the panel."""


def draw_pipeline(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How props are made."""
    settings = context.scene.set_dresser
    if properties.chosen_pipeline(settings):
        draw_choice(layout, context, settings, "pipeline")
    else:
        draw_text(layout, context, "Pipelines are listed once the backend has run", icon="INFO")


def draw_source(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Where the picture comes from."""
    settings = context.scene.set_dresser
    draw_choice(layout, context, settings, "source")
    if settings.source == "PHOTOS":
        draw_photos(layout, context)
        return
    if settings.source == properties.SENTENCE[0]:
        example = parameters.preparations.example(sentences.TEXT, sentences.PROMPT)
        draw_text_field(layout, context, settings, "text", example)
        _draw_place(layout, context)
        return
    if settings.source == "FILE":
        draw_field(layout, context, settings, "image_path", "File")
    elif settings.source == "IMAGE":
        layout.template_ID(settings, "image", open="image.open")
    else:
        draw_field(layout, context, context.scene, "camera")
    if settings.source != "CAMERA":
        draw_field(layout, context, settings, "use_active_camera")
        _draw_place(layout, context)


def _draw_place(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How large the set of a picture is and where it stands, and whether the render has the picture's shape."""
    settings = context.scene.set_dresser
    if not settings.use_active_camera or settings.source == properties.SENTENCE[0]:
        draw_field(layout, context, settings, "height")
        draw_field(layout, context, settings, "place_at")
    picture = photo_files.size(settings)
    if picture is not None and photo_places.shapes_differ(picture, context.scene.render):
        draw_text(layout, context, "The picture has another shape than the render", icon="INFO")
        draw_cures(layout, context, "picture-shape")


def draw_instances(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What becomes a prop, in numbers."""
    settings = context.scene.set_dresser
    if settings.source == "CAMERA":
        draw_block_out(layout, context)
        return
    if settings.source == "PHOTOS":
        draw_photo_block_out(layout, context)
        return
    if settings.source == properties.SENTENCE[0]:
        _draw_how(layout, context, sentences.TEXT, "How to Paint", besides=sentences.PROMPT)
        return
    draw_choice(layout, context, settings, "labels")
    if settings.labels == "LABELS" and settings.source == "FILE":
        draw_field(layout, context, settings, "labels_path", "Labels")
    elif settings.labels == "LABELS":
        layout.template_ID(settings, "labels_image", open="image.open")
    elif settings.labels == "FIND":
        _draw_find(layout, context)


def _draw_find(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What to find: words, boxes, then the numbers. Why it cannot be done is said at Generate."""
    settings, groups, method = context.scene.set_dresser, parameters.preparations, properties.SEGMENT
    attributes = groups.attributes(method)
    for attribute in [each for each in attributes if each == WORDS]:
        draw_parameter(layout, context, groups, method, attribute)
    row = layout.row()
    rows = 4 if settings.boxes else 2
    row.template_list("SET_DRESSER_UL_boxes", "", settings, "boxes", settings, "box_index", rows=rows)
    column = row.column(align=True)
    column.operator("set_dresser.add_box", text="", icon="ADD")
    column.operator("set_dresser.remove_box", text="", icon="REMOVE")
    layout.operator("set_dresser.draw_boxes", icon="SELECT_SET")
    _draw_how(layout, context, method, "How to Find", besides=WORDS)


def _draw_how(layout: bpy.types.UILayout, context: bpy.types.Context, method: str, title: str, besides: str) -> None:
    """All that a preparation can be told but the one thing that stands above, folded away."""
    header, body = layout.panel(f"SET_DRESSER_{method}", default_closed=True)
    header.label(text=title)
    if body is None:
        return
    groups = parameters.preparations
    for attribute in groups.attributes(method):
        if attribute != besides:
            draw_parameter(body, context, groups, method, attribute)
    _draw_notes(body, context, properties.description_of(desk.current.preparations, method))


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
    for attribute in parameters.preparations.attributes(properties.IMAGINE):
        draw_parameter(body, context, parameters.preparations, properties.IMAGINE, attribute)
    _draw_notes(body, context, properties.description_of(desk.current.preparations, properties.IMAGINE))


def draw_prominent(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The parameters that artists turn, and the seed where chance has a part."""
    settings = context.scene.set_dresser
    pipeline = properties.chosen_pipeline(settings)
    for attribute in parameters.pipelines.prominent(pipeline, _most_prominent(context)):
        draw_parameter(layout, context, parameters.pipelines, pipeline, attribute)
    if properties.has_chance(settings):
        row = layout.row(align=True)
        row.prop(settings, "seed")
        row.operator("set_dresser.new_seed", text="", icon="RNDCURVE")


def _most_prominent(context: bpy.types.Context) -> int:
    """So many parameters are above the button: it must be there without scrolling, also where names need a row."""
    return NARROW_PROMINENT if is_narrow(context) else parameters.PROMINENT


def draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The button, how many jobs wait already, and why it is grey if it is, with what mends that."""
    reason = generate_hindrance(context)
    row = layout.row(align=True)
    row.scale_y = 1.5
    row.operator("set_dresser.generate", icon="SHADERFX")
    if waiting := listing.waiting(desk.current):
        number = row.row(align=True)
        number.ui_units_x = 2.5
        number.label(text=str(waiting), icon="SORTTIME")
    if reason:
        draw_text(layout, context, reason, icon="INFO")
        draw_cures(layout, context, hindrance_code(reason))


def draw_rest(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """All other settings, folded away: a fold for each thing that parameters are about, and one for the rest."""
    settings = context.scene.set_dresser
    pipeline = properties.chosen_pipeline(settings)
    folded = parameters.pipelines.folded(pipeline, _most_prominent(context))
    ungrouped = folded.pop("", [])
    for group, attributes in folded.items():
        header, body = layout.panel(f"SET_DRESSER_group_{group}", default_closed=True)
        header.label(text=GROUP_TITLES.get(group) or group.replace("_", " ").capitalize())
        for attribute in attributes if body is not None else ():
            draw_parameter(body, context, parameters.pipelines, pipeline, attribute)
    header, body = layout.panel("SET_DRESSER_rest", default_closed=True)
    header.label(text="More Settings")
    if body is None:
        return
    column = body.column()
    for attribute in ungrouped:
        draw_parameter(column, context, parameters.pipelines, pipeline, attribute)
    if settings.source == "CAMERA" or (settings.source == "PHOTOS" and photo_list.has_cameras(settings)):
        draw_field(column, context, settings, "picture_quality")
        draw_field(column, context, settings, "hide_block_outs")
        draw_field(column, context, settings, "keep_moves")
    view = properties.description_of(desk.current.pipelines, pipeline)
    if view is not None and properties.takes_several(settings) and settings.source != "PHOTOS":
        most = view["images"]["most"]
        draw_text(column, context, f"Takes up to {most} pictures of one object: choose Photos as the source")
    _draw_notes(column, context, view)


def _draw_notes(layout: bpy.types.UILayout, context: bpy.types.Context, view: dict[str, Any] | None) -> None:
    for note in method_notes(view or {}):
        small = layout.column()
        small.scale_y = 0.8
        small.active = False
        draw_text(small, context, note)


def method_notes(view: dict[str, Any]) -> list[str]:
    """What to know of a pipeline or a preparation: objects at once, memory, licence."""
    notes = []
    most = view.get("most_instances", MANY_INSTANCES)
    if most < MANY_INSTANCES:
        notes.append(f"Up to {count(most)} at once")
    if view.get("memory_bytes", 0):
        notes.append(f"Wants {memory(view['memory_bytes'])} of GPU memory")
    if view.get("licence_note"):
        notes.append(f"Licence: {view['licence_note']}")
    return notes


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
