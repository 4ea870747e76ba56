"""The limit of what jobs may hold of the disk: agree to what it removes, or go back to the former one"""

from __future__ import annotations

import bpy

from ... import session
from ...state import desk
from .base import OneCall


class ForLimit(OneCall):
    """An operator on the limit that waits for the user's word."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return desk.current.surplus is not None


class SET_DRESSER_OT_agree_to_limit(ForLimit, bpy.types.Operator):
    bl_idname = "set_dresser.agree_to_limit"
    bl_label = "Remove Them"
    bl_description = "Remove the oldest jobs with their files until the rest fits; props that were imported stay"

    def act(self, context: bpy.types.Context) -> None:
        session.current.keeping.agree(session.current.line)


class SET_DRESSER_OT_take_back_limit(ForLimit, bpy.types.Operator):
    bl_idname = "set_dresser.take_back_limit"
    bl_label = "Keep Them"
    bl_description = "Leave the limit as it was; no job is removed"

    def act(self, context: bpy.types.Context) -> None:
        session.current.keeping.take_back(desk.current)


CLASSES = (SET_DRESSER_OT_agree_to_limit, SET_DRESSER_OT_take_back_limit)
