"""The tab "Set Dresser" in the 3D viewport. Drawing reads what is known already: no file, no network, no change."""

from __future__ import annotations

import bpy

from . import batches, jobs, models, photos, preparing, prop, question
from .hindrances import all_cameras_hindrance, frames_hindrance, generate_hindrance, seeds_hindrance
from .installation import draw_installation
from .jobs import draw_jobs, draw_problem
from .outcome import draw_outcome
from .preparing import draw_steps
from .prop import draw_prop
from .running import draw_running
from .server import draw_server
from .shot import draw_generate, draw_instances, draw_pipeline, draw_prominent, draw_rest, draw_source
from .text import draw_text

__all__ = [
    "CLASSES",
    "SET_DRESSER_PT_jobs",
    "SET_DRESSER_PT_main",
    "SET_DRESSER_PT_models",
    "all_cameras_hindrance",
    "draw_installation",
    "draw_server",
    "draw_text",
    "frames_hindrance",
    "generate_hindrance",
    "seeds_hindrance",
]


class _Tab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Set Dresser"


class SET_DRESSER_PT_main(_Tab, bpy.types.Panel):
    bl_label = "Set Dresser"
    bl_description = "What to make props of, and how"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for draw in (
            draw_installation,
            draw_server,
            question.draw_questions,
            draw_pipeline,
            draw_source,
            draw_instances,
            draw_steps,
            draw_prominent,
            draw_generate,
            models.draw_missing_models,
            batches.draw_batches,
            draw_running,
            draw_problem,
            draw_outcome,
            draw_rest,
            draw_prop,
        ):
            draw(layout.column(), context)


class SET_DRESSER_PT_jobs(_Tab, bpy.types.Panel):
    bl_label = "Jobs"
    bl_description = "Jobs that have ended, newest first"
    bl_parent_id = "SET_DRESSER_PT_main"

    def draw(self, context: bpy.types.Context) -> None:
        draw_jobs(self.layout.column(), context)


class SET_DRESSER_PT_models(_Tab, bpy.types.Panel):
    bl_label = "Models"
    bl_description = "What the learned pipelines need: licences, downloads, files"
    bl_parent_id = "SET_DRESSER_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        models.draw_models(self.layout.column(), context)


CLASSES = (
    *preparing.CLASSES,
    *photos.CLASSES,
    *question.CLASSES,
    *jobs.CLASSES,
    *prop.CLASSES,
    SET_DRESSER_PT_main,
    SET_DRESSER_PT_jobs,
    SET_DRESSER_PT_models,
)
