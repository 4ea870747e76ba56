"""Generate"""

from __future__ import annotations

from typing import Any

import bpy

from ...api import generating
from ...capture import block_outs, sentences, sources
from ...settings import parameters, photo_list, preparing, properties
from ...state import catalogue, listing
from .. import panels
from .base import OneCall, permitted


class SET_DRESSER_OT_generate(OneCall, bpy.types.Operator):
    bl_idname = "set_dresser.generate"
    bl_label = "Generate"
    bl_description = "Make props of what the picture shows. Work on meanwhile; they come in when they are done"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return permitted(cls, panels.generate_hindrance(context))

    def act(self, context: bpy.types.Context) -> None:
        settings = context.scene.set_dresser
        generating.generate(**shot_of(settings), **chosen(context.scene), seed=settings.seed, wait=False)


def chosen(scene: bpy.types.Scene) -> dict[str, Any]:
    """How the panel asks for props of a shot, whichever it is, as arguments of `generating.generate`."""
    settings = scene.set_dresser
    pipeline = properties.chosen_pipeline(settings) or "inflate"
    return {
        "pipeline": pipeline,
        "parameters": parameters.pipelines.values(scene, pipeline),
        "prepare": prepared(scene),
        "hide_block_outs": settings.hide_block_outs,
        "picture_quality": settings.picture_quality,
        "keep_moves": settings.keep_moves,
    }


def prepared(scene: bpy.types.Scene) -> dict[str, Any]:
    """What the panel asks to be prepared; boxes were drawn on the picture as Blender shows it."""
    values = preparing.values(scene)
    settings = scene.set_dresser
    for identifier, given in values.items():
        name = catalogue.marked(preparing.described(identifier), catalogue.BOXES)
        if settings.source == "FILE" and name in given:
            given[name] = sources.upright_boxes(sources.absolute(settings.image_path), given[name])
    return values


def shot_of(settings: properties.SetDresserSettings) -> dict[str, Any]:
    """What the panel's settings mean as arguments of `generating.generate`."""
    if settings.source == "CAMERA":
        chosen = block_outs.roots(photo_list.block_out(bpy.context, settings))
        return {
            "objects": settings.collection if settings.instances == "COLLECTION" else None,
            "name": listing.title([each.name for each in chosen]),
        }
    if settings.source == properties.SENTENCE[0]:
        return {"source": sentences.SOURCE}  # what is written stands among the preparations
    if settings.source == "PHOTOS":
        first_is_picture = bool(settings.photos) and settings.photos[0].kind != "CAMERA"
        return {
            "photos": photo_list.entries(settings),
            "objects": settings.collection if settings.instances == "COLLECTION" else None,
            "match_camera": settings.use_active_camera and first_is_picture,
        }
    with_labels = settings.labels == "LABELS"
    if settings.source == "FILE":
        shot = {"source": settings.image_path, "labels": settings.labels_path if with_labels else None}
    else:
        shot = {"source": settings.image, "labels": settings.labels_image if with_labels else None}
    return {**shot, "match_camera": settings.use_active_camera}


CLASSES = (SET_DRESSER_OT_generate,)
