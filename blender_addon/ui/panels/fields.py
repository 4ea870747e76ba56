"""Controls that stay readable at any width of the sidebar: names are measured, and where one does not fit beside its
control it goes above it, so that nothing is cut off."""

from __future__ import annotations

from typing import Any

import blf
import bpy

from ...ground import compat
from ...settings import parameters
from .text import draw_text, region_width

NARROW_PIXELS = 240.0
"""Below this the usual two columns leave no room for names."""

MARGIN_PIXELS = 56.0
"""Of tabs, panel and scroll bar: what is left of the region is for controls."""

NAME_SHARE = 0.4
"""Of Blender's own two columns."""

DECORATION_PIXELS = 26.0
"""What a control needs beside its words: rounded ends, the arrow of a menu."""

FONT_POINTS = 11
_FONT = 0


def is_narrow(context: bpy.types.Context) -> bool:
    return region_width(context) < NARROW_PIXELS


def room(context: bpy.types.Context) -> float:
    """Pixels at a scale of 1 that a row of controls has."""
    return region_width(context) - MARGIN_PIXELS


def text_width(text: str) -> float:
    """Pixels at a scale of 1 in Blender's interface font."""
    blf.size(_FONT, FONT_POINTS)
    return float(blf.dimensions(_FONT, text)[0])


def draw_field(layout: bpy.types.UILayout, context: bpy.types.Context, owner: Any, name: str, title: str = "") -> None:
    """One property with its name, wherever that fits."""
    prop = owner.bl_rna.properties[name]
    said = _said(title or prop.name)
    if _beside(context, said) or (prop.type == "BOOLEAN" and _after_its_box(context, said)):
        layout.prop(owner, name, **({"text": title} if title else {}))
        return
    column = layout.column(align=True)
    column.use_property_split = False
    if prop.type == "BOOLEAN" and text_width(said) + DECORATION_PIXELS > room(context):
        row = column.row()
        row.prop(owner, name, text="")
        draw_text(row, context, title or prop.name, pixels=room(context) - DECORATION_PIXELS)
        return
    if prop.type == "BOOLEAN" or (prop.type in ("INT", "FLOAT") and _inside(context, owner, name, said)):
        column.prop(owner, name, **({"text": title} if title else {}))
        return
    if prop.type == "ENUM" and _in_a_row(context, owner, name, said):
        row = column.split(factor=NAME_SHARE)
        row.label(text=title or prop.name)
        row.prop(owner, name, text="")
        return
    column.label(text=title or prop.name)
    column.prop(owner, name, text="")


def draw_choice(layout: bpy.types.UILayout, context: bpy.types.Context, owner: Any, name: str) -> None:
    """A choice whose items say what it is about: where there is little room, without its name."""
    if not is_narrow(context):
        layout.prop(owner, name)
        return
    row = layout.row()
    row.use_property_split = False
    row.prop(owner, name, text="")


def draw_fact(layout: bpy.types.UILayout, context: bpy.types.Context, title: str, value: str, icon: str) -> None:
    """Something to read, in the columns of the controls."""
    if is_narrow(context):
        layout.label(text=value, icon=icon, translate=False)
        return
    _columns(layout, title).label(text=value, icon=icon, translate=False)


def draw_text_field(
    layout: bpy.types.UILayout, context: bpy.types.Context, owner: Any, name: str, example: str = "", title: str = ""
) -> None:
    """A text over the whole width, with an example in it while it is empty."""
    column = layout.column(align=True)
    column.use_property_split = False
    column.label(text=title or owner.bl_rna.properties[name].name)
    column.prop(owner, name, text="", **compat.placeholder(example))


def draw_parameter(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    groups: parameters.Groups,
    method: str,
    attribute: str,
) -> None:
    """A parameter of a pipeline or a preparation; of a number with a special value, a switch and the number."""
    holder = groups.group(context.scene, method)
    assert holder is not None
    prop, switch = holder.bl_rna.properties[attribute], groups.switch(method, attribute)
    if prop.type == "STRING":
        draw_text_field(layout, context, holder, attribute, groups.example(method, attribute))
        return
    if not switch:
        draw_field(layout, context, holder, attribute)
        return
    if _beside(context, _said(prop.name)):
        row = _columns(layout, prop.name).row(align=True)
    else:
        column = layout.column(align=True)
        column.label(text=prop.name)
        row = column.row(align=True)
    row.use_property_split = False
    if not getattr(holder, switch):
        row.prop(holder, attribute, text="")
    row.prop(holder, switch, toggle=True)


def _columns(layout: bpy.types.UILayout, title: str) -> bpy.types.UILayout:
    """What goes into the second of Blender's two columns; the name is in the first."""
    both = layout.split(factor=NAME_SHARE)
    name = both.row()
    name.alignment = "RIGHT"
    name.label(text=title)
    return both


def _beside(context: bpy.types.Context, said: str) -> bool:
    """Whether the name fits into the column of names."""
    return not is_narrow(context) and text_width(said) <= NAME_SHARE * room(context)


def _after_its_box(context: bpy.types.Context, said: str) -> bool:
    """Whether a switch's name fits into the column of controls, where Blender puts it."""
    return not is_narrow(context) and text_width(said) + DECORATION_PIXELS <= (1 - NAME_SHARE) * room(context)


def _inside(context: bpy.types.Context, owner: Any, name: str, said: str) -> bool:
    """Whether name and value fit into one number field."""
    value = getattr(owner, name)
    shown = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text_width(f"{said} {shown}") + DECORATION_PIXELS <= room(context)


def _in_a_row(context: bpy.types.Context, owner: Any, name: str, said: str) -> bool:
    """Whether the name and the chosen item fit beside each other."""
    prop = owner.bl_rna.properties[name]
    chosen = prop.enum_items.get(getattr(owner, name))
    item = _said(chosen.name) if chosen is not None else ""
    width = room(context)
    fits = text_width(item) + DECORATION_PIXELS <= (1 - NAME_SHARE) * width
    return fits and text_width(said) <= NAME_SHARE * width


def _said(text: str) -> str:
    return str(bpy.app.translations.pgettext_iface(text))
