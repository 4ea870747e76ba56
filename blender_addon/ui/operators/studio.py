"""Try the connection to a studio's server"""

from __future__ import annotations

import bpy

from ...api import studio
from ...state import desk
from .base import OneCall


class SET_DRESSER_OT_test_connection(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.test_connection"
    bl_label = "Test Connection"
    bl_description = "Ask the server who it is and whether it knows the token, and say what is wrong if it does not"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if desk.current.tested is not None and desk.current.tested.good is None:
            cls.poll_message_set("The server is being asked")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        studio.test_connection(wait=False)


CLASSES = (SET_DRESSER_OT_test_connection,)
