"""Object > Set Dresser, so that Menu Search finds the buttons too."""

from __future__ import annotations

from typing import Any

import bpy


class SET_DRESSER_MT_batch(bpy.types.Menu):
    bl_label = "Generate Several"
    bl_description = "What several cameras see, several frames, or several seeds: one list of jobs"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator("set_dresser.all_cameras", icon="OUTLINER_OB_CAMERA")
        layout.operator("set_dresser.frame_range", icon="TIME")
        layout.operator("set_dresser.seeds", icon="RNDCURVE")


class SET_DRESSER_MT_object(bpy.types.Menu):
    bl_label = "Set Dresser"
    bl_description = "Props from block-outs"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator("set_dresser.generate", icon="SHADERFX")
        layout.menu("SET_DRESSER_MT_batch")
        layout.separator()
        layout.operator("set_dresser.new_variant", icon="ADD")
        layout.operator("set_dresser.again", icon="LOOP_BACK")
        layout.menu("SET_DRESSER_MT_remake")
        layout.separator()
        layout.operator("set_dresser.show_block_outs", icon="HIDE_OFF")
        layout.operator("set_dresser.hide_block_outs", icon="HIDE_ON")


def _entry(menu: Any, context: bpy.types.Context) -> None:
    menu.layout.separator()
    menu.layout.menu("SET_DRESSER_MT_object", icon="SHADERFX")


CLASSES = (SET_DRESSER_MT_batch, SET_DRESSER_MT_object)


def register() -> None:
    bpy.types.VIEW3D_MT_object.append(_entry)


def unregister() -> None:
    bpy.types.VIEW3D_MT_object.remove(_entry)
