"""Download, pause, verify and remove models; accept a licence"""

from __future__ import annotations

import bpy

from ...api import models as models_api
from ...ground import tick
from ...state import desk
from .base import OneCall

TICK_FIRST = "Read the licence and tick the box above first"


class ForModel(OneCall):
    """An operator on one model of the list."""

    model: bpy.props.StringProperty(name="Model", description="Its id", options={"HIDDEN", "SKIP_SAVE"})


class SET_DRESSER_OT_agree_to_licence(ForModel, bpy.types.Operator):
    bl_idname = "set_dresser.agree_to_licence"
    bl_label = "Accept Licence"
    bl_description = "Tick this when you have read what the licence says; without it the model is not downloaded"

    def act(self, context: bpy.types.Context) -> None:
        desk.current.models.agree(self.model)
        desk.current.changed()
        tick.redraw()


class SET_DRESSER_OT_download_model(ForModel, bpy.types.Operator):
    bl_idname = "set_dresser.download_model"
    bl_label = "Download"
    bl_description = "Download the model, or go on where it was interrupted. Every byte is checked"

    @classmethod
    def description(cls, context: bpy.types.Context, chosen: bpy.types.OperatorProperties) -> str:
        """The tooltip; of a grey button what is missing."""
        models = desk.current.models
        model = models.known.get(chosen.model)
        locked = model is not None and model.licence_needed and model.id not in models.agreed
        missing: str = bpy.app.translations.pgettext_tip(TICK_FIRST)
        said: str = bpy.app.translations.pgettext_tip(cls.bl_description)
        return f"{missing}.\n{said}" if locked else said

    def act(self, context: bpy.types.Context) -> None:
        agreed = self.model in desk.current.models.agreed
        models_api.download_model(self.model, accept_licence=agreed, wait=False)


class SET_DRESSER_OT_pause_model(ForModel, bpy.types.Operator):
    bl_idname = "set_dresser.pause_model"
    bl_label = "Pause"
    bl_description = "Stop for now; what has come is kept, and Resume goes on from there"

    def act(self, context: bpy.types.Context) -> None:
        models_api.pause_model(self.model, wait=False)


class SET_DRESSER_OT_verify_model(ForModel, bpy.types.Operator):
    bl_idname = "set_dresser.verify_model"
    bl_label = "Verify"
    bl_description = "Compare every file with its checksum; takes some seconds for each gigabyte"

    def act(self, context: bpy.types.Context) -> None:
        models_api.verify_model(self.model, wait=False)


class SET_DRESSER_OT_remove_model(ForModel, bpy.types.Operator):
    bl_idname = "set_dresser.remove_model"
    bl_label = "Remove Model"
    bl_description = "Remove the files that were downloaded here; files that others have put there stay"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        answer: set[str] = context.window_manager.invoke_confirm(self, event)
        return answer

    def act(self, context: bpy.types.Context) -> None:
        models_api.remove_model(self.model, wait=False)


CLASSES = (
    SET_DRESSER_OT_agree_to_licence,
    SET_DRESSER_OT_download_model,
    SET_DRESSER_OT_pause_model,
    SET_DRESSER_OT_verify_model,
    SET_DRESSER_OT_remove_model,
)
