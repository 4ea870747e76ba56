"""Why Generate cannot be pressed, in a sentence."""

from __future__ import annotations

from typing import Any

import bpy

from ...backend_process.installation import InstallationState
from ...backend_process.server_process import ServerState
from ...capture import sentences
from ...capture.photos import wrong_number
from ...settings import properties
from ...state import desk
from .models import WORDS, lack, models_hindrance
from .photos import NO_CAMERA, block_out_hindrance, photos_hindrance

NOT_PERSPECTIVE = "The active camera is not a perspective camera"
CODES = {NO_CAMERA: "no-camera", NOT_PERSPECTIVE: "camera-kind"}
"""Of sentences that `cures.CURES` has a button for, the code that it has it under."""

LACKING = {
    properties.IMAGINE: "This backend cannot paint pictures from a description",
    properties.SEGMENT: "This backend cannot find objects in a picture",
    sentences.TEXT: "This backend cannot paint pictures from a text",
}


def generate_hindrance(context: bpy.types.Context) -> str:
    """Why Generate cannot be pressed; "" if it can."""
    settings = context.scene.set_dresser
    if desk.current.set_up_problem is not None:
        installing = desk.current.installation.state is InstallationState.INSTALLING
        return "The backend is being installed" if installing else "The backend is not set up"
    if desk.current.server.state is ServerState.INCOMPATIBLE:
        return ServerState.INCOMPATIBLE.value
    reason = _shot_hindrance(context, settings) or _preparation_hindrance(context, settings)
    return reason or _pipeline_hindrance(settings) or models_hindrance(context.scene)


def hindrance_code(reason: str) -> str:
    """The code of what makes Generate grey; "" if nothing mends it but the artist."""
    return CODES.get(reason, "")


def _shot_hindrance(context: bpy.types.Context, settings: properties.SetDresserSettings) -> str:
    if settings.source == "CAMERA":
        return _camera_hindrance(context, settings)
    if settings.source == "PHOTOS":
        return photos_hindrance(context, settings)
    if settings.source == properties.SENTENCE[0]:
        return "" if settings.text.split() else "Write what is to be made"
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
    chosen = properties.chosen_preparation(settings)
    if not chosen:
        return ""
    if lack := preparation_lack(chosen):
        return lack
    values = properties.preparation_values(context.scene)[chosen]
    if chosen == properties.SEGMENT and not (values["boxes"] or values.get(WORDS, "").strip()):
        return "Write what to find, or draw boxes"
    return ""


def _pipeline_hindrance(settings: properties.SetDresserSettings) -> str:
    view = properties.description_of(desk.current.pipelines, properties.chosen_pipeline(settings))
    pictures = len(settings.photos) if settings.source == "PHOTOS" else 1
    return "" if view is None else wrong_number(view, pictures) or _not_ready(view)


def preparation_lack(identifier: str) -> str:
    """Why a preparation cannot be used with this backend; "" if it can, or if the backend has not run yet."""
    views = desk.current.preparations
    if not views and not desk.current.pipelines:
        return ""
    view = properties.description_of(views, identifier)
    return LACKING[identifier] if view is None else _not_ready(view)


def _not_ready(view: dict[str, Any]) -> str:
    if view.get("ready", True):
        return ""
    title, wanted, known = view.get("title", view["id"]), view.get("weights", ()), desk.current.models
    if missing := known.not_ready(wanted):
        return lack(missing)
    if wanted and all(each in known.known for each in wanted):
        return f"{title} cannot run yet: the backend was installed without learned pipelines"
    return f"{title} cannot run yet: weights are missing ({', '.join(wanted)})"
