"""Another seed"""

from __future__ import annotations

import random

import bpy

from ...settings.properties import MAXIMUM_SEED
from .base import OneCall


class SET_DRESSER_OT_new_seed(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.new_seed"
    bl_label = "Another Seed"
    bl_description = "Throw the dice: begin somewhere else the next time"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.set_dresser
        former = settings.seed
        while settings.seed == former:
            settings.seed = random.randrange(MAXIMUM_SEED)


CLASSES = (SET_DRESSER_OT_new_seed,)
