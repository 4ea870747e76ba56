"""The selected prop: show its variants, make new ones, mark it as an asset"""

from __future__ import annotations

import bpy

from ...api import assets, remaking
from ...ground.messages import SetDresserError
from ...props import variants
from ...settings import parameters, properties
from ...state import desk
from .base import OneCall


class ForProp(OneCall):
    """An operator on the selected prop."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode != "OBJECT":
            cls.poll_message_set("Leave Edit Mode first")
            return False
        if variants.selected(context) is None:
            cls.poll_message_set("Select a prop that Set Dresser has made")
            return False
        return True


class SET_DRESSER_OT_show_variant(ForProp, bpy.types.Operator):
    bl_idname = "set_dresser.show_variant"
    bl_label = "Show Variant"
    bl_description = "Show the next variant in the place of this prop"

    steps: bpy.props.IntProperty(name="Steps", description="1 for the next one, -1 for the one before", default=1)

    def act(self, context: bpy.types.Context) -> None:
        variants.step(context, variants.selected(context), self.steps)


class SET_DRESSER_OT_keep_variant(ForProp, bpy.types.Operator):
    bl_idname = "set_dresser.keep_variant"
    bl_label = "Keep Only This"
    bl_description = "Remove the hidden variants of this prop from the file, with their meshes, materials and pictures"

    def act(self, context: bpy.types.Context) -> None:
        removed = variants.keep_only(context, variants.selected(context))
        self.report({"INFO"}, f"{removed} variant{'' if removed == 1 else 's'} removed")


class SET_DRESSER_OT_new_variant(ForProp, bpy.types.Operator):
    bl_idname = "set_dresser.new_variant"
    bl_label = "New Variant"
    bl_description = "Make another one from the same pictures with a new seed; this one is kept as a hidden variant"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if not remaking.has_chance(variants.selected(context)):
            cls.poll_message_set(remaking.NO_CHANCE.removesuffix("."))
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        remaking.new_variant(variants.selected(context), wait=False)


class SET_DRESSER_OT_again(ForProp, bpy.types.Operator):
    bl_idname = "set_dresser.again"
    bl_label = "Again with Settings"
    bl_description = "Make another one from the same pictures with the pipeline, parameters and seed set above"
    bl_options = {"REGISTER"}

    def act(self, context: bpy.types.Context) -> None:
        scene = context.scene
        pipeline = properties.chosen_pipeline(scene.set_dresser) or None
        remaking.again(
            variants.selected(context),
            pipeline=pipeline,
            parameters=parameters.pipelines.values(scene, pipeline) if pipeline else None,
            seed=scene.set_dresser.seed,
            wait=False,
        )


class SET_DRESSER_OT_remake(ForProp, bpy.types.Operator):
    bl_idname = "set_dresser.remake"
    bl_label = "Re-make"
    bl_description = (
        "Make this prop alone anew from the same pictures with another pipeline, as its parameters are set in this "
        "scene; this one is kept as a hidden variant"
    )
    bl_options = {"REGISTER"}

    pipeline: bpy.props.StringProperty(
        name="Pipeline", description="How the prop is made", options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def description(cls, context: bpy.types.Context, chosen: bpy.types.OperatorProperties) -> str:
        """The tooltip: what the pipeline is, then what a click does."""
        view = properties.description_of(desk.current.pipelines, chosen.pipeline) or {}
        said: str = bpy.app.translations.pgettext_tip(cls.bl_description)
        about = str(view.get("description") or "").removesuffix(".")
        return f"{about}.\n{said}" if about else said

    def act(self, context: bpy.types.Context) -> None:
        prop = variants.selected(context)
        if self.pipeline not in [view["id"] for view in remaking.other_pipelines(prop)]:
            message = f"The prop cannot be made with '{self.pipeline[:40]}'."
            raise SetDresserError(message, "Choose one of the menu.", "pipeline-unknown")
        chosen = parameters.pipelines.values(context.scene, self.pipeline)
        remaking.again(prop, pipeline=self.pipeline, parameters=chosen, wait=False)


class SET_DRESSER_OT_mark_asset(ForProp, bpy.types.Operator):
    bl_idname = "set_dresser.mark_asset"
    bl_label = "Mark as Asset"
    bl_description = "Put this prop into the asset browser, with tags, a description and the licence of its pipeline"

    def act(self, context: bpy.types.Context) -> None:
        assets.mark_as_asset(variants.selected(context))


CLASSES = (
    SET_DRESSER_OT_show_variant,
    SET_DRESSER_OT_keep_variant,
    SET_DRESSER_OT_new_variant,
    SET_DRESSER_OT_again,
    SET_DRESSER_OT_remake,
    SET_DRESSER_OT_mark_asset,
)
