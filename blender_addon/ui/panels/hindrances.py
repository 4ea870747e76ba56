"""Why Generate cannot be pressed, in a sentence."""

from __future__ import annotations

from typing import Any

import bpy

from ...backend_process.installation import InstallationState
from ...backend_process.server_process import ServerState
from ...capture.photos import wrong_number
from ...settings import parameters, preparing, properties
from ...state import catalogue, desk, listing
from .models import lack, models_hindrance
from .photos import NO_CAMERA, block_out_hindrance, photos_hindrance

NOT_PERSPECTIVE = "The active camera is not a perspective camera"
CODES = {NO_CAMERA: "no-camera", NOT_PERSPECTIVE: "camera-kind"}
"""Of sentences that `cures.CURES` has a button for, the code that it has it under."""

NOTHING_FINDS = "This backend cannot find objects in a picture"
NOTHING_PAINTS = "This backend cannot paint pictures from a text"


def generate_hindrance(context: bpy.types.Context) -> str:
    """Why Generate cannot be pressed; "" if it can."""
    settings = context.scene.set_dresser
    if desk.current.studio and desk.current.set_up_problem is not None:
        return "The studio's server is not set up"
    if desk.current.set_up_problem is not None:
        installing = desk.current.installation.state is InstallationState.INSTALLING
        return "The backend is being installed" if installing else "The backend is not set up"
    if desk.current.server.state is ServerState.INCOMPATIBLE:
        return ServerState.INCOMPATIBLE.value
    reason = _shot_hindrance(context, settings) or _preparation_hindrance(context, settings)
    return reason or _pipeline_hindrance(context.scene) or models_hindrance(context.scene)


def batch_hindrance(context: bpy.types.Context) -> str:
    """Why block-outs cannot be taken by several cameras, or at several frames; "" if they can."""
    settings = context.scene.set_dresser
    if desk.current.set_up_problem is not None or desk.current.server.state is ServerState.INCOMPATIBLE:
        return generate_hindrance(context)
    if settings.source not in ("CAMERA", "PHOTOS"):
        return "Choose the active camera, or photos, as the source"
    description = catalogue.description_of(desk.current.pipelines, properties.chosen_pipeline(settings))
    reason = block_out_hindrance(context, settings) or _preparation_hindrance(context, settings)
    if reason or description is None:
        return reason
    fault = parameters.pipelines.fault(context.scene, description["id"])
    return not_ready(description) or fault or models_hindrance(context.scene)


def all_cameras_hindrance(context: bpy.types.Context) -> str:
    """As `batch_hindrance`, for all cameras of the scene."""
    if not listing.cameras(context.scene):
        return "The scene has no perspective camera"
    return batch_hindrance(context)


def frames_hindrance(context: bpy.types.Context) -> str:
    """As `batch_hindrance`, for the active camera at several frames."""
    camera = context.scene.camera
    if camera is None:
        return NO_CAMERA
    if camera.type == "CAMERA" and camera.data.type != "PERSP":
        return NOT_PERSPECTIVE
    settings = context.scene.set_dresser
    description = catalogue.description_of(desk.current.pipelines, properties.chosen_pipeline(settings))
    if catalogue.pictures(description)[0] > 1:
        return f"{catalogue.title_of(description or {})} takes several cameras: use All Cameras"
    return batch_hindrance(context)


def seeds_hindrance(context: bpy.types.Context) -> str:
    """Why nothing can be made with several seeds; "" if it can."""
    settings = context.scene.set_dresser
    if settings.source == properties.SENTENCE[0]:
        return "Several seeds want a picture: choose another source"
    if not preparing.has_chance(context.scene):
        return "Chance has no part in this pipeline: every seed makes the same"
    return generate_hindrance(context)


def hindrance_code(reason: str) -> str:
    """The code of what makes Generate grey; "" if nothing mends it but the artist."""
    return CODES.get(reason, "")


def _shot_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    if settings.source == "CAMERA":
        return _camera_hindrance(context, settings)
    if settings.source == "PHOTOS":
        return photos_hindrance(context, settings)
    if settings.source == properties.SENTENCE[0]:
        return ""  # what is to be made is among what is asked of a preparation
    if settings.source == "FILE" and not settings.image_path:
        return "Choose an image file"
    if settings.source == "IMAGE" and settings.image is None:
        return "Choose an image"
    if settings.labels == "LABELS":
        chosen = settings.labels_path if settings.source == "FILE" else settings.labels_image
        if not chosen:
            return "Choose a label image, or One Object"
    if settings.use_active_camera and context.scene.camera is None:
        return NO_CAMERA
    return ""


def _camera_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    camera = context.scene.camera
    if camera is None:
        return NO_CAMERA
    if camera.type == "CAMERA" and camera.data.type != "PERSP":
        return NOT_PERSPECTIVE
    return block_out_hindrance(context, settings)


def _preparation_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    if not desk.current.preparations and not desk.current.pipelines:
        return ""  # nothing is known: the backend has not run yet
    if preparing.makes_picture(settings) and not properties.chosen_maker(settings):
        return NOTHING_PAINTS
    if preparing.finds_objects(settings) and not properties.chosen_finder(settings):
        return NOTHING_FINDS
    if missing := preparing.missing_steps(settings):
        titles = ", ".join(settings.bl_rna.properties[name].name for name in missing)
        return f"This backend has nothing called {titles}, which is switched on"
    reasons = (
        not_ready(description) or _wanted(description, values) or parameters.preparations.fault(context.scene, each)
        for each, values in preparing.values(context.scene).items()
        if (description := preparing.described(each)) is not None
    )
    return next(filter(None, reasons), "")


def _wanted(description: dict[str, Any], values: dict[str, Any]) -> str:
    """What a preparation must be told and is not; "" if it has enough."""
    lacking = catalogue.lacking(description, values)
    if not lacking:
        return ""
    marks = {str(field.get("control") or "") for field in lacking}
    if description.get("makes_picture") and marks == {catalogue.SENTENCE}:
        return "Write what is to be made"
    if description.get("finds_instances") and marks <= set(FINDING):
        return "Write what to find, or draw boxes" if len(marks) > 1 else FINDING[marks.pop()]
    titles = " or ".join(str(field.get("title") or "a value") for field in lacking)
    return f"{catalogue.title_of(description)} asks for {titles}"


FINDING = {catalogue.WORDS: "Write what to find", catalogue.BOXES: "Draw boxes around what is to be found"}
"""What to do for something that finds objects, by what it takes alone."""


def _pipeline_hindrance(scene: bpy.types.Scene) -> str:
    settings = scene.set_dresser
    pipeline = properties.chosen_pipeline(settings)
    description = catalogue.description_of(desk.current.pipelines, pipeline)
    pictures = len(settings.photos) if settings.source == "PHOTOS" else 1
    if description is None:
        return ""
    return wrong_number(description, pictures) or not_ready(description) or parameters.pipelines.fault(scene, pipeline)


def not_ready(description: dict[str, Any]) -> str:
    """Why a pipeline or a preparation cannot run yet; "" if it can, or if that is not known."""
    if description.get("ready", True):
        return ""
    title, wanted, known = catalogue.title_of(description), description.get("weights", ()), desk.current.models
    if missing := known.not_ready(wanted):
        return lack(missing)
    if wanted and all(each in known.known for each in wanted):
        return f"{title} cannot run yet: the backend was installed without learned pipelines"
    return f"{title} cannot run yet: weights are missing ({', '.join(wanted)})"
