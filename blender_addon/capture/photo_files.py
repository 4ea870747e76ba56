"""What the panel may know of the picture files in the list of photos without touching the disk while it is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
from bpy.app.handlers import persistent

from ..ground.messages import SetDresserError
from . import sources

_missing: set[str] = set()
_sizes: dict[str, tuple[int, int]] = {}
"""Of the picture files that were chosen: width and height, upright."""

_previews: bpy.utils.previews.ImagePreviewCollection | None = None


def look(scene: bpy.types.Scene) -> None:
    """Look which files of the scene's list are there, and have small pictures of them; Blender reads these itself when
    they are first drawn."""
    settings = scene.set_dresser
    paths = {photo.path for photo in settings.photos if photo.kind == "FILE" and photo.path}
    for path in paths:
        absolute = bpy.path.abspath(path)
        if not Path(absolute).is_file():
            _missing.add(path)
            continue
        _missing.discard(path)
        if _previews is not None and path not in _previews:
            _previews.load(path, absolute, "IMAGE")


def look_at(path: str) -> None:
    """Look how large a picture file is that was chosen, upright; nothing is known of one that cannot be read."""
    _sizes.pop(path, None)
    if path and Path(bpy.path.abspath(path)).is_file():
        try:
            _sizes[path] = sources.size_of_file(sources.absolute(path))
        except SetDresserError:
            _sizes.pop(path, None)  # Generate says what is wrong with it


def size(settings: Any) -> tuple[int, int] | None:
    """Width and height of the picture that is chosen, upright, as far as that is known."""
    if settings.source == "FILE":
        return _sizes.get(settings.image_path)
    if settings.source == "IMAGE" and settings.image is not None and all(settings.image.size):
        return tuple(settings.image.size)
    return None


def is_missing(path: str) -> bool:
    """Whether the file was not there when last looked for."""
    return path in _missing


def icon(path: str) -> int:
    """The icon of a picture file; 0 if there is none."""
    preview = _previews.get(path) if _previews is not None else None
    return 0 if preview is None else int(preview.icon_id)


@persistent
def _file_loaded(*_: Any) -> None:
    """Paths may be relative to another file now."""
    _missing.clear()
    if _previews is not None:
        _previews.clear()
    _sizes.clear()
    for scene in bpy.data.scenes:
        look(scene)
        if scene.set_dresser.source == "FILE":
            look_at(scene.set_dresser.image_path)


def register() -> None:
    global _previews
    _previews = bpy.utils.previews.new()
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    global _previews
    bpy.app.handlers.load_post.remove(_file_loaded)
    if _previews is not None:
        bpy.utils.previews.remove(_previews)
    _previews = None
    _missing.clear()
