"""Set Dresser: block out a set with boxes, press one button: the boxes become props.

What the buttons do can be called from Python too; see `api`.
"""

import atexit

import bpy

from . import (
    asking,
    block_outs,
    box_overlay,
    moments,
    operators,
    panels,
    photo_files,
    preferences,
    properties,
    resting,
    session,
    temporary,
    thumbnails,
    translations,
)
from .api import (
    Job,
    SetDresserError,
    answer,
    cancel,
    delete_job,
    generate,
    import_job,
    install,
    installation,
    jobs,
    pipelines,
    preparations,
    question,
)
from .assets import mark_as_asset
from .models_api import download_model, models, pause_model, remove_model, verify_model
from .remaking import again, keep_only, new_variant, show_variant, variants_of
from .server_api import free_memory, restart_server, server_status, shutdown, start_server
from .support_bundle import support_bundle
from .views_api import pick_views, regenerate_views

__all__ = [
    "Job",
    "SetDresserError",
    "again",
    "answer",
    "cancel",
    "delete_job",
    "download_model",
    "free_memory",
    "generate",
    "import_job",
    "install",
    "installation",
    "jobs",
    "keep_only",
    "mark_as_asset",
    "models",
    "new_variant",
    "pause_model",
    "pick_views",
    "pipelines",
    "preparations",
    "question",
    "regenerate_views",
    "register",
    "remove_model",
    "restart_server",
    "server_status",
    "show_variant",
    "shutdown",
    "start_server",
    "support_bundle",
    "unregister",
    "variants_of",
    "verify_model",
]

_CLASSES = (
    preferences.SetDresserPreferences,
    *properties.CLASSES,
    *asking.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
)
_ROOMS = (
    translations,
    block_outs,
    properties,
    asking,
    thumbnails,
    photo_files,
    box_overlay,
    moments,
    temporary,
    session,
    resting,
)


def register() -> None:
    for each in _CLASSES:
        bpy.utils.register_class(each)
    for room in _ROOMS:
        room.register()
    # As a module, Blender does not disable its add-ons when the process ends, and some versions then crash or hang on
    # whatever timer, handler or class is left.
    atexit.register(unregister)


def unregister() -> None:
    atexit.unregister(unregister)
    for room in reversed(_ROOMS):
        room.unregister()
    for each in reversed(_CLASSES):
        bpy.utils.unregister_class(each)
