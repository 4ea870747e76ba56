"""Set Dresser: block out a set with boxes, press one button: the boxes become props.

What the buttons do can be called from Python too; see `api`.
"""

import atexit

import bpy

from . import asking, block_outs, box_overlay, operators, panels, preferences, properties, session, thumbnails
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
    server_status,
    shutdown,
    start_server,
)

__all__ = [
    "Job",
    "SetDresserError",
    "answer",
    "cancel",
    "delete_job",
    "generate",
    "import_job",
    "install",
    "installation",
    "jobs",
    "pipelines",
    "preparations",
    "question",
    "register",
    "server_status",
    "shutdown",
    "start_server",
    "unregister",
]

_CLASSES = (
    preferences.SetDresserPreferences,
    *properties.CLASSES,
    *asking.CLASSES,
    *operators.CLASSES,
    *panels.CLASSES,
)
_ROOMS = (block_outs, properties, asking, thumbnails, box_overlay, session)


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
