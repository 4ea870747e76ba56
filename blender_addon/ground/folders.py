"""Where the add-on keeps files: never in its own folder, which may be read-only and is replaced by updates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

from . import package
from .files import write_whole
from .messages import SetDresserError
from .privacy import private_folder


def user() -> Path:
    """A folder of the user's that outlives updates of the add-on. Raises SetDresserError if it cannot be made."""
    path = place()
    try:
        return private_folder(path)
    except OSError as error:
        message = f"Blender's folder for Set Dresser cannot be used: {error.strerror or error}: {path}."
        hint = "Make it writable, or name another folder for Blender's files in BLENDER_USER_RESOURCES."
        raise SetDresserError(message, hint, "user-folder") from error


def place() -> Path:
    """Where that folder is, whether it is there or not. Blender's own way of making it gives "" if it cannot be made,
    which is the folder that Blender was started in."""
    try:
        return Path(bpy.utils.extension_path_user(package.NAME, path=""))
    except ValueError:  # not installed as an extension: a source checkout
        return Path(bpy.utils.user_resource("DATAFILES", path="set_dresser"))


def temporary() -> Path:
    """Below the folder that Blender removes when it ends."""
    return Path(bpy.app.tempdir) / "set_dresser"


SHIPPED = package.ROOT
"""Where the add-on has what it shows before a server has told anything, written by build_docs.py."""


def read_descriptions(kind: str) -> list[dict[str, Any]]:
    """The "pipelines" or "preparations" that the last server told of. If there was none, or the file is damaged: those
    that run on every machine."""
    return _descriptions(place() / f"{kind}.json") or _descriptions(SHIPPED / f"{kind}.json")


def _descriptions(path: Path) -> list[dict[str, Any]]:
    try:
        descriptions = json.loads(path.read_text(encoding="utf-8"))
        return [each for each in descriptions if isinstance(each["id"], str) and isinstance(each["parameters"], dict)]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def keep_descriptions(kind: str, descriptions: list[dict[str, Any]]) -> None:
    """Write them for the next time, so that the panel is complete before the server runs."""
    write_whole(user() / f"{kind}.json", json.dumps(descriptions).encode())
