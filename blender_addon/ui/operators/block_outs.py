"""Show and hide the block-outs of props"""

from __future__ import annotations

import bpy

from ...api.block_outs import hide_block_outs, show_block_outs
from ...props import recipes
from .base import OneCall


class ForBlockOuts(OneCall):
    """An operator on the block-outs of the selected props; of all props of the scene if none is selected."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave Edit Mode first")
            return False
        return True

    def props(self, context: bpy.types.Context) -> list[bpy.types.Object] | None:
        return [each for each in context.selected_objects if recipes.is_prop(each)] or None


class SET_DRESSER_OT_show_block_outs(ForBlockOuts, bpy.types.Operator):
    bl_idname = "set_dresser.show_block_outs"
    bl_label = "Show Block-Outs"
    bl_description = "Show the block-outs of the selected props again, or of all props if none is selected"

    def act(self, context: bpy.types.Context) -> None:
        show_block_outs(self.props(context))


class SET_DRESSER_OT_hide_block_outs(ForBlockOuts, bpy.types.Operator):
    bl_idname = "set_dresser.hide_block_outs"
    bl_label = "Hide Block-Outs"
    bl_description = "Hide the block-outs of the selected props, or of all props if none is selected"

    def act(self, context: bpy.types.Context) -> None:
        hide_block_outs(self.props(context))


CLASSES = (SET_DRESSER_OT_show_block_outs, SET_DRESSER_OT_hide_block_outs)
