"""What running jobs show, as Blender shows it: an icon in the panel, and one image of the file per slot, which is read
anew for each picture.

The image is temporary: it has no user and so is not saved, its name begins with a dot and so is in no menu, and it goes
with its job. An Image Editor that shows it makes itself a user of it; so it leaves before the file is saved, which is
saved with what the editor showed before, and comes back afterwards. When the job is over, that comes back for good.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path

import bpy
import bpy.utils.previews
import numpy as np
from bpy.app.handlers import persistent

from ..capture import pictures
from ..ground import temporary
from ..ground.references import of_session

Key = tuple[str, str]
"""Job and slot."""

NAME = ".Set Dresser Preview"
LARGEST_ICON = 256
"""Pixels of the panel's picture along its longer side; the image has all that the job has painted."""

_icons: bpy.utils.previews.ImagePreviewCollection | None = None
_paths: dict[Key, Path] = {}
_uids: dict[Key, int] = {}
"""Session ids of the images."""

_editors: dict[int, tuple[Key, int]] = {}
"""Image Editors that were given a preview, by their address: which one, and the session id of what they showed before,
0 for nothing. An address is compared only; it leads nowhere."""


def show(key: Key, path: Path) -> None:
    """Have the picture of a slot from a file, in place of the one before. Raises RuntimeError if it is no picture."""
    image = _ensure(key, path)
    image.reload()
    if not all(image.size):
        raise RuntimeError(f"{path.name} is no picture")
    if _icons is not None:
        name = _name(key)
        icon = _icons[name] if name in _icons else _icons.new(name)
        pixels = icon_pixels(pictures.pixels_of(image))
        icon.image_size = pixels.shape[1], pixels.shape[0]
        icon.image_pixels_float.foreach_set(pixels.ravel())


def icon(key: Key) -> int | None:
    """The icon of a slot; None until its first picture has come."""
    found = _icons.get(_name(key)) if _icons is not None else None
    return None if found is None else int(found.icon_id)


def open_in(area: bpy.types.Area, key: Key) -> None:
    """Show a slot that has had its first picture in an Image Editor, until its job is over."""
    editor = area.spaces.active
    image = _ensure(key, _paths[key])
    address, shown = area.as_pointer(), 0 if editor.image is None else editor.image.session_uid
    if shown in _uids.values() and address in _editors:  # another slot: what was there before both counts
        shown = _editors[address][1]
    _editors[address] = key, shown
    editor.image = image


def keep(keys: Collection[Key]) -> None:
    """Let go of the icons and images of all other slots, and bring back images that undo took from an editor."""
    for key in [key for key in _paths if key not in keys]:
        _forget(key)
    _come_back()
    for address, (key, _) in list(_editors.items()):
        if not all(_shows(editor, key) for editor in _editors_at(address)):
            del _editors[address]  # the artist has opened something else, or nothing


def icon_pixels(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32 of an icon, no side longer than LARGEST_ICON, out of (H, W, 4): means of whole squares."""
    height, width = pixels.shape[:2]
    step = -(-max(height, width) // LARGEST_ICON)
    rows, columns = max(height // step, 1), max(width // step, 1)
    if step > min(height, width):  # a strip that is thinner than a square
        return np.ascontiguousarray(pixels[::step, ::step])
    places = itertools.product(range(step), repeat=2)
    # A sum of whole pictures: numpy's mean over two axes takes five times as long.
    sums = sum(pixels[row : rows * step : step, column : columns * step : step] for row, column in places)
    return np.ascontiguousarray(sums * np.float32(1 / step**2))


def _ensure(key: Key, path: Path) -> bpy.types.Image:
    """The one image of a slot; if undo or the artist has removed it, another one, in the editors that showed it too.
    Raises RuntimeError if the file is no picture."""
    image = of_session(bpy.data.images, _uids.get(key, 0))
    _paths[key] = path
    if image is None:
        if key in _uids:
            temporary.give_back([_uids.pop(key)])
        image = bpy.data.images.load(str(path), check_existing=False)
        image.name = NAME
        _uids[key] = temporary.keep(image)
        for address, (shown, former) in _editors.items():
            for editor in _editors_at(address) if shown == key else ():
                if _is_free(editor, former):
                    editor.image = image
    return image


def _forget(key: Key) -> None:
    """The slot's icon and image go, and editors show again what they showed before."""
    _step_aside(key)
    for address in [address for address, (shown, _) in _editors.items() if shown == key]:
        del _editors[address]
    _remove(key)
    del _paths[key]
    if _icons is not None and _name(key) in _icons:
        del _icons[_name(key)]


def _remove(key: Key) -> None:
    image = of_session(bpy.data.images, _uids.get(key, 0))
    if image is not None:
        bpy.data.images.remove(image)
    if key in _uids:
        temporary.give_back([_uids.pop(key)])


def _come_back() -> None:
    """Editors whose image is gone show it again, unless they show something else by now."""
    for key in {key for key, _ in _editors.values()}:
        if _paths[key].is_file():
            _ensure(key, _paths[key])


def _step_aside(key: Key) -> None:
    """Editors that show the slot's image, or did until it was removed, show again what they showed before."""
    gone = of_session(bpy.data.images, _uids.get(key, 0)) is None
    for address, (shown, former) in _editors.items():
        for editor in _editors_at(address) if shown == key else ():
            if _shows(editor, key) or (gone and _is_free(editor, former)):
                editor.image = of_session(bpy.data.images, former)


def _shows(editor: bpy.types.SpaceImageEditor, key: Key) -> bool:
    return editor.image is not None and editor.image.session_uid == _uids.get(key)


def _is_free(editor: bpy.types.SpaceImageEditor, former: int) -> bool:
    """Whether an editor whose preview is gone may show it again: nothing was opened in it since. Undo may have left it
    with an image of ours that is about to go."""
    image = editor.image
    return image is None or image.session_uid == former or temporary.MARK in image


def _editors_at(address: int) -> list[bpy.types.SpaceImageEditor]:
    """The Image Editor that is at this address, also in a workspace that is not in sight; none if it was closed."""
    areas = (area for screen in bpy.data.screens for area in screen.areas if area.as_pointer() == address)
    return [area.spaces.active for area in areas if area.type == "IMAGE_EDITOR"]


def _name(key: Key) -> str:
    return "/".join(key)


@persistent
def _before_saving(*_: object) -> None:
    for address, (key, _shown_before) in list(_editors.items()):
        if not any(_shows(editor, key) for editor in _editors_at(address)):
            del _editors[address]
    for key in list(_uids):
        _step_aside(key)
        _remove(key)


@persistent
def _after_saving(*_: object) -> None:
    _come_back()


@persistent
def _file_loaded(*_: object) -> None:
    """Images went with their file and editors with their screens; the icons stay."""
    temporary.give_back(list(_uids.values()))
    _uids.clear()
    _editors.clear()


_HANDLERS = (
    ("save_pre", _before_saving),
    ("save_post", _after_saving),
    ("save_post_fail", _after_saving),
    ("load_post", _file_loaded),
)


def register() -> None:
    global _icons
    _icons = bpy.utils.previews.new()
    for event, handler in _HANDLERS:
        if hasattr(bpy.app.handlers, event):
            getattr(bpy.app.handlers, event).append(handler)


def unregister() -> None:
    global _icons
    keep(())
    for event, handler in _HANDLERS:
        if hasattr(bpy.app.handlers, event):
            getattr(bpy.app.handlers, event).remove(handler)
    if _icons is not None:
        bpy.utils.previews.remove(_icons)
    _icons = None
