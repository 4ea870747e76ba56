"""Set Dresser: block out a set with boxes, press one button: the boxes become props.

What the buttons do can be called from Python too; see `api`.
"""

import atexit
from collections.abc import Callable
from functools import partial

import bpy

from . import session
from .answers import asking, thumbnails
from .api.assets import mark_as_asset
from .api.batches import Batch, batches, generate_batch
from .api.block_outs import hide_block_outs, show_block_outs
from .api.catalogue import pipelines, preparations
from .api.generating import generate
from .api.installing import install, installation
from .api.jobs import (
    Job,
    answer,
    cancel,
    continue_job,
    delete_job,
    finish_job,
    import_job,
    jobs,
    question,
)
from .api.models import download_model, models, pause_model, remove_model, verify_model
from .api.remaking import again, keep_only, new_variant, show_variant, variants_of
from .api.server import free_memory, restart_server, server_status, shutdown, start_server
from .api.studio import test_connection, use_server, use_this_computer
from .api.support_bundle import support_bundle
from .api.views import pick_views, regenerate_views
from .capture import block_outs, photo_files
from .ground import copies, moments, temporary, translations
from .ground.messages import SetDresserError
from .settings import properties
from .ui import box_overlay, menus, operators, panels, preferences
from .ui.operators.reimport import place
from .work import job_list, preview_images, resting

__all__ = [
    "Batch",
    "Job",
    "SetDresserError",
    "again",
    "answer",
    "batches",
    "cancel",
    "continue_job",
    "delete_job",
    "download_model",
    "finish_job",
    "free_memory",
    "generate",
    "generate_batch",
    "hide_block_outs",
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
    "show_block_outs",
    "show_variant",
    "shutdown",
    "start_server",
    "support_bundle",
    "test_connection",
    "unregister",
    "use_server",
    "use_this_computer",
    "variants_of",
    "verify_model",
]

_CLASSES = (
    preferences.SetDresserPreferences,
    *properties.CLASSES,
    *asking.CLASSES,
    *job_list.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
    *menus.CLASSES,
)
_ROOMS = (
    *(translations, block_outs, properties, asking, thumbnails, photo_files, box_overlay, job_list, menus),
    *(moments, temporary, preview_images, session, resting),
)


_undo: list[Callable[[], None]] = []
"""What takes back what this copy of the add-on has registered, in the order in which that was done."""


def register() -> None:
    """Raises AnotherCopy: if the add-on is there twice. Whatever it raises, nothing stays registered. Nothing happens
    if this copy is registered already: its jobs go on."""
    if _undo:
        return
    copies.refuse_a_second(_CLASSES, __package__)
    # As a module, Blender does not disable its add-ons when the process ends, and some versions then crash or hang on
    # whatever timer, handler or class is left.
    atexit.register(unregister)
    try:
        for each in _CLASSES:
            bpy.utils.register_class(each)
            _undo.append(partial(bpy.utils.unregister_class, each))
        session.place = place
        for room in _ROOMS:
            room.register()
            _undo.append(room.unregister)
    except BaseException:
        unregister()
        raise


def unregister() -> None:
    """Take back what this copy has registered; nothing happens if that is nothing."""
    atexit.unregister(unregister)
    while _undo:
        _undo.pop()()
