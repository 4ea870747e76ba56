"""Start and stop the backend"""

from __future__ import annotations

import bpy

from ... import session
from ...api import server
from ...state import desk
from ...work import server_life
from .base import OneCall


class _Connecting(OneCall):
    """of_studio: the tooltip where the backend is a studio's server."""

    of_studio = ""

    @classmethod
    def description(cls, context: bpy.types.Context, chosen: bpy.types.OperatorProperties) -> str:
        """The tooltip."""
        told: str = bpy.app.translations.pgettext_tip(cls.of_studio if desk.current.studio else cls.bl_description)
        return told


class SET_DRESSER_OT_start_server(_Connecting, bpy.types.Operator):
    bl_idname = "set_dresser.start_server"
    bl_label = "Start Backend"
    bl_description = "Start the backend now; it also starts by itself when it is needed"
    of_studio = "Connect to the studio's server now; that also happens when it is needed"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if desk.current.server.running:
            cls.poll_message_set("The backend is running already")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        server.start_server(wait=False)


class SET_DRESSER_OT_stop_server(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.stop_server"
    bl_label = "Stop Backend"
    bl_description = "End the backend and free its memory; unfinished jobs go on when it starts again"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not desk.current.server.running:
            cls.poll_message_set("The backend is not running")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        server_life.leave(session.current.line)


class SET_DRESSER_OT_restart_server(_Connecting, bpy.types.Operator):
    bl_idname = "set_dresser.restart_server"
    bl_label = "Restart Backend"
    bl_description = "End the backend, whatever it does, and start it again; unfinished jobs go on"

    of_studio = "Connect to the studio's server anew; its jobs go on meanwhile"

    def act(self, context: bpy.types.Context) -> None:
        server.restart_server(wait=False)


class SET_DRESSER_OT_rest(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.rest"
    bl_label = "Free Memory"
    bl_description = "Have the backend give its memory back now, the graphics card's too; the next job takes it again"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not server_life.can_rest(desk.current):
            cls.poll_message_set("The backend is not running, or a job needs it")
            return False
        return True

    def act(self, context: bpy.types.Context) -> None:
        server.free_memory(wait=False)


CLASSES = (SET_DRESSER_OT_restart_server, SET_DRESSER_OT_rest, SET_DRESSER_OT_start_server, SET_DRESSER_OT_stop_server)
