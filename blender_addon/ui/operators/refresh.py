"""Refresh the lists"""

from __future__ import annotations

import bpy

from ... import session
from .base import OneCall


class SET_DRESSER_OT_refresh(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.refresh"
    bl_label = "Refresh"
    bl_description = "Ask the backend for its pipelines and jobs; starts it if need be"

    def act(self, context: bpy.types.Context) -> None:
        session.current.line.refresh()


CLASSES = (SET_DRESSER_OT_refresh,)
