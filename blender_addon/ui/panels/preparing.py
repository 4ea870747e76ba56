"""What is done to a picture before props are made of it, drawn from what the backend describes: what makes it, what
finds its objects, and the steps that can be switched on."""

from __future__ import annotations

from typing import Any

import bpy

from ...settings import parameters, preparing, properties
from ...state import catalogue
from .fields import draw_choice, draw_parameter, draw_text_field
from .hindrances import NOTHING_FINDS, NOTHING_PAINTS, not_ready
from .text import count, draw_text, memory

MANY_INSTANCES = 100
"""A limit on objects from here on needs no line in the panel."""


def draw_maker(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What makes the picture, where there are several that could, and the sentence that it is made of."""
    settings = context.scene.set_dresser
    if len(properties.known_makers()) > 1:
        draw_choice(layout, context, settings, "maker")
    maker = properties.chosen_maker(settings)
    if not maker:
        draw_text(layout, context, NOTHING_PAINTS, icon="INFO")
    elif sentence := catalogue.marked(preparing.described(maker), catalogue.SENTENCE):
        draw_text_field(layout, context, settings, "text", parameters.preparations.example(maker, sentence))


def draw_finder(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What to find: words, boxes, then the numbers. Why it cannot be done is said at Generate."""
    settings = context.scene.set_dresser
    if len(properties.known_finders()) > 1:
        draw_choice(layout, context, settings, "finder")
    finder = properties.chosen_finder(settings)
    if not finder:
        draw_text(layout, context, NOTHING_FINDS, icon="INFO")
        return
    for attribute in _named(finder, catalogue.WORDS):
        draw_parameter(layout, context, parameters.preparations, finder, attribute)
    if catalogue.marked(preparing.described(finder), catalogue.BOXES):
        draw_boxes(layout, context)
    draw_how(layout, context, finder, "How to Find")


def draw_boxes(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The boxes that were drawn on the picture, and what draws them."""
    settings = context.scene.set_dresser
    row = layout.row()
    rows = 4 if settings.boxes else 2
    row.template_list("SET_DRESSER_UL_boxes", "", settings, "boxes", settings, "box_index", rows=rows)
    column = row.column(align=True)
    column.operator("set_dresser.add_box", text="", icon="ADD")
    column.operator("set_dresser.remove_box", text="", icon="REMOVE")
    layout.operator("set_dresser.draw_boxes", icon="SELECT_SET")


def draw_how(layout: bpy.types.UILayout, context: bpy.types.Context, method: str, title: str) -> None:
    """All that can be told to what makes the picture or finds its objects, but for what stands above; folded away."""
    if not method:
        return
    header, body = layout.panel(f"SET_DRESSER_{method}", default_closed=True)
    header.label(text=title)
    if body is None:
        return
    described = preparing.described(method) or {}
    above = catalogue.SENTENCE if described.get("makes_picture") else catalogue.WORDS
    _draw_parameters(body, context, method, besides=_named(method, above))


def draw_steps(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What else can be done to the picture first: a switch each, with its parameters folded away."""
    scene = context.scene
    for description in preparing.offered(scene.set_dresser):
        found = preparing.switch(scene, description["id"])
        if found is not None:
            _draw_step(layout.column(), context, description, *found)
    for name in preparing.missing_steps(scene.set_dresser):  # said at Generate; here it can be switched off
        layout.prop(scene.set_dresser, name, icon="ERROR")


def _draw_step(
    layout: bpy.types.UILayout, context: bpy.types.Context, description: dict[str, Any], owner: Any, name: str
) -> None:
    on, lack = bool(getattr(owner, name)), not_ready(description)
    header, body = layout.panel(f"SET_DRESSER_{description['id']}", default_closed=True)
    header.use_property_split = False
    switch = header.row()  # not the header itself: its arrow leads to the reason
    switch.enabled = on or not lack
    switch.prop(owner, name, text=catalogue.title_of(description))
    if body is None:
        return
    if lack and not on:  # otherwise it is said at Generate
        draw_text(body, context, lack, icon="INFO")
    body.active = on
    if catalogue.marked(description, catalogue.BOXES) and preparing.has_boxes(context.scene.set_dresser):
        draw_boxes(body, context)
    _draw_parameters(body, context, description["id"])


def _draw_parameters(
    layout: bpy.types.UILayout, context: bpy.types.Context, method: str, besides: list[str] | None = None
) -> None:
    groups = parameters.preparations
    for attribute in groups.attributes(method):
        if attribute not in (besides or ()):
            draw_parameter(layout, context, groups, method, attribute)
    draw_notes(layout, context, preparing.described(method), groups.uncontrolled(method))


def _named(method: str, control: str) -> list[str]:
    """The properties of the parameters that are marked as this."""
    groups = parameters.preparations
    return [attribute for attribute in groups.attributes(method) if groups.mark(method, attribute) == control]


def draw_notes(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    description: dict[str, Any] | None,
    uncontrolled: list[str],
) -> None:
    """What to know of a method, small. uncontrolled: what to call the parameters that have no control."""
    notes = method_notes(description or {})
    if uncontrolled:
        notes.append(f"Set from Python only: {', '.join(uncontrolled)}")
    for note in notes:
        small = layout.column()
        small.scale_y = 0.8
        small.active = False
        draw_text(small, context, note)


def method_notes(description: dict[str, Any]) -> list[str]:
    """What to know of a pipeline or a preparation: objects at once, memory, licence."""
    notes = []
    most = description.get("most_instances", MANY_INSTANCES)
    if most < MANY_INSTANCES:
        notes.append(f"Up to {count(most)} at once")
    if description.get("memory_bytes", 0):
        notes.append(f"Wants {memory(description['memory_bytes'])} of GPU memory")
    if description.get("licence_note"):
        notes.append(f"Licence: {description['licence_note']}")
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
