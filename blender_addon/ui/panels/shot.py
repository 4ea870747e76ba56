"""What to make props of, and how: everything above the Generate button, the button itself, and the rest below it."""

from __future__ import annotations

import bpy

from ...capture import photo_files
from ...props import photo_places
from ...settings import parameters, photo_list, preparing, properties
from ...state import catalogue, desk, listing
from .cures import draw_cures
from .fields import draw_choice, draw_field, draw_parameter, is_narrow
from .hindrances import generate_hindrance, hindrance_code
from .photos import draw_block_out, draw_photo_block_out, draw_photos
from .preparing import draw_finder, draw_how, draw_maker, draw_notes
from .text import draw_text

GROUP_TITLES = {
    "picture": "Picture",
    "making": "Making",
    "views": "Views",
    "optimising": "Optimisation",
    "mesh": "Mesh",
    "texture": "Texture",
    "placing": "Placing",
    "computing": "Computing",
}
"""What parameters are about; a fold each."""

NARROW_PROMINENT = 4


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
    if preparing.makes_picture(settings):
        draw_maker(layout, context)
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
    if not settings.use_active_camera or preparing.makes_picture(settings):
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
    if preparing.makes_picture(settings):
        draw_how(layout, context, properties.chosen_maker(settings), "How to Paint")
        return
    draw_choice(layout, context, settings, "labels")
    if settings.labels == "LABELS" and settings.source == "FILE":
        draw_field(layout, context, settings, "labels_path", "Labels")
    elif settings.labels == "LABELS":
        layout.template_ID(settings, "labels_image", open="image.open")
    elif preparing.finds_objects(settings):
        draw_finder(layout, context)


def draw_prominent(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The parameters that artists turn, and the seed where chance has a part."""
    settings = context.scene.set_dresser
    pipeline = properties.chosen_pipeline(settings)
    for attribute in parameters.pipelines.prominent(pipeline, _most_prominent(context)):
        draw_parameter(layout, context, parameters.pipelines, pipeline, attribute)
    if preparing.has_chance(context.scene):
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
    row.menu("SET_DRESSER_MT_batch", text="", icon="DOWNARROW_HLT")
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
    description = catalogue.description_of(desk.current.pipelines, pipeline)
    if description is not None and properties.takes_several(settings) and settings.source != "PHOTOS":
        most = description["images"]["most"]
        draw_text(column, context, f"Takes up to {most} pictures of one object: choose Photos as the source")
    draw_notes(column, context, description, parameters.pipelines.uncontrolled(pipeline))
