"""The selected prop: what it was made of and how, its variants, and what can be done with it."""

from __future__ import annotations

import bpy

from ...api import remaking
from ...capture import block_outs
from ...props import recipes, variants
from .text import draw_text


def draw_prop(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The recipe in a few lines and the buttons; nothing if no prop is selected."""
    prop = variants.selected(context)
    if prop is None:
        return
    box = layout.box()
    box.use_property_split = False
    box.label(text=prop.name, icon="MESH_MONKEY")
    for line in summary(prop):
        draw_text(box, context, line)
    recipe = recipes.of(prop)
    for warning in str(recipe.get("warnings") or "").splitlines():
        draw_text(box, context, warning, icon="INFO")
    family = variants.of(prop)
    if len(family) > 1:
        row = box.row(align=True)
        row.operator("set_dresser.show_variant", text="", icon="TRIA_LEFT").steps = -1
        place = row.row(align=True)
        place.alignment = "CENTER"
        place.label(text=f"{family.index(prop) + 1} of {len(family)}")
        row.operator("set_dresser.show_variant", text="", icon="TRIA_RIGHT").steps = 1
        box.operator("set_dresser.keep_variant", icon="PINNED")
    column = box.column(align=True)
    if remaking.has_chance(prop):
        column.operator("set_dresser.new_variant", icon="ADD")
    column.operator("set_dresser.again", icon="LOOP_BACK")
    if remaking.other_pipelines(prop):
        column.menu("SET_DRESSER_MT_remake", icon="SHADERFX")
    if (block_out := block_outs.block_out_of(prop)) is not None:
        hidden = block_outs.HIDDEN in block_out
        command = "set_dresser.show_block_outs" if hidden else "set_dresser.hide_block_outs"
        text = "Show Block-Out" if hidden else "Hide Block-Out"
        column.operator(command, text=text, icon="HIDE_OFF" if hidden else "HIDE_ON")
    text = "Update Asset" if prop.asset_data is not None else "Mark as Asset"
    column.operator("set_dresser.mark_asset", text=text, icon="ASSET_MANAGER")


class SET_DRESSER_MT_remake(bpy.types.Menu):
    bl_label = "Re-make With…"
    bl_description = "Make this prop alone anew with another pipeline; it takes this one's place"

    def draw(self, context: bpy.types.Context) -> None:
        prop = variants.selected(context)
        for view in remaking.other_pipelines(prop) if prop is not None else ():
            self.layout.operator("set_dresser.remake", text=str(view.get("title", view["id"]))).pipeline = view["id"]


CLASSES = (SET_DRESSER_MT_remake,)


def summary(prop: bpy.types.Object) -> list[str]:
    """The recipe in lines: pipeline and seed, its sentence if there is one, how well it fits the picture."""
    recipe = recipes.of(prop)
    made_with = str(recipe.get("pipeline") or "Unknown pipeline")
    lines = [f"{made_with}, seed {recipe.get('seed', 0)}" if remaking.has_chance(prop) else made_with]
    if prop.type == "MESH":
        lines.append(f"{len(prop.data.polygons):,} faces")
    if sentence := str(recipe.get("text") or ""):
        lines.append(f"“{sentence}”")
    overlap = recipe.get("mask_iou")
    if isinstance(overlap, (int, float)):
        lines.append(f"Covers {overlap:.0%} of its outline")
    return lines
