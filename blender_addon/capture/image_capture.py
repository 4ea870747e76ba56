"""Pictures that are there already as shots: files, and images of the blend file, as they are now."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.types import Image

from ..ground.files import write_whole
from . import orientation, pictures, render_settings
from .capture import Capture
from .intrinsics import CaptureError, check_size

MAXIMUM_FILE_BYTES = 256 * 1024 * 1024
OPAQUE_MODES = ("NONE", "CHANNEL_PACKED")
"""Alpha modes of images whose fourth channel, if any, is no transparency: it is not used, or holds another map."""


def capture_image_file(
    path: Path, folder: Path, labels: Path | None = None, camera: dict[str, Any] | None = None
) -> Capture:
    """A picture file, and a label image if there is one, copied as they are; what they hold is the backend's to judge.

    Raises CaptureError: if a file is not there, cannot be read, or is too large.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with pictures.scratch(folder) as scratch:
        copies = [_copy(path, scratch / f"image{path.suffix.lower()}", "picture")]
        if labels is not None:
            copies.append(_copy(labels, scratch / f"instances{labels.suffix.lower()}", "label image"))
        moved = pictures.move(copies, folder)
    return Capture(image=moved[0], instances=moved[1] if labels is not None else None, camera=camera)


def check_file(source: Path, called: str = "picture") -> None:
    """Raises CaptureError: for a file that is not there or too large."""
    if not source.is_file():
        raise CaptureError(f"The {called} {source} does not exist.", "Choose the file again.")
    if source.stat().st_size > MAXIMUM_FILE_BYTES:
        raise CaptureError(f"The {called} {source.name} is larger than 256 MB.", "Save it smaller, as PNG or JPEG.")


def _copy(source: Path, target: Path, called: str) -> Path:
    check_file(source, called)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        message = f"The {called} {source.name} cannot be read: {error.strerror or error}."
        raise CaptureError(message, "Check that you may read it and that the disk is not full.") from error
    return target


def capture_image(
    image: Image, folder: Path, labels: Image | None = None, camera: dict[str, Any] | None = None
) -> Capture:
    """An image of the blend file as it is now: generated, painted, packed, with unsaved changes, float, HDR.

    Written as 8-bit sRGB PNG, as Blender shows it: never turned, and opaque where the image's alpha mode says that its
    alpha is none; what is brighter than white becomes white. A label image keeps its exact values. The
    images themselves are not touched.

    Raises CaptureError: for tiles, sequences, movies, and images without pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with pictures.scratch(folder) as scratch:
        check_image(image)
        files = [scratch / "image.png"]
        _save_picture(image, files[0])
        if labels is not None:
            check_image(labels)
            files.append(write_whole(scratch / "instances.png", _label_bytes(labels)))
        moved = pictures.move(files, folder)
    return Capture(image=moved[0], instances=moved[1] if labels is not None else None, camera=camera)


def check_image(image: Image) -> None:
    """Raises CaptureError: for what `capture_image` cannot take."""
    kinds = {"TILED": "made of UDIM tiles", "SEQUENCE": "an image sequence", "MOVIE": "a movie"}
    if image.source in kinds:
        message = f"{image.name} is {kinds[image.source]}."
        raise CaptureError(message, "Choose a single picture; save the tile or frame you want as PNG.")
    if image.type == "RENDER_RESULT":
        return  # has no size for Python, even when there is one
    width, height = image.size
    if not (width and height):
        message = f"{image.name} has no pixels that can be read."
        raise CaptureError(message, "Check its file path; of a file with layers, save the one you want as PNG.")
    check_size(width, height, "Scale the image down.")


def _save_picture(image: Image, path: Path) -> None:
    """Write the image through Blender's colour management with the Standard view, which leaves sRGB as it is.

    `Image.save` would tie an image to the new file, and `save_render` changes its number of channels; so both the
    image and the scene that says how to write are passing copies. For a render result the scene says whose render
    is meant, so there it is the scene itself.
    """
    with render_settings.Overrides() as overrides:
        if image.type == "RENDER_RESULT":
            source, scene = image, bpy.context.scene
            overrides.keep_output_settings(scene)
        else:
            scene = bpy.data.scenes.new("Set Dresser picture")
            overrides.callback(bpy.data.scenes.remove, scene)
            source = _copy_of(image)
            overrides.callback(bpy.data.images.remove, source)
        render_settings.as_standard_png(scene, "RGBA")
        try:
            source.save_render(str(path), scene=scene)
        except RuntimeError as error:
            message = f"{image.name} has no picture to read."
            hint = "Render first (F12)." if image.type == "RENDER_RESULT" else "Check its file path."
            raise CaptureError(message, hint) from error
    if not path.is_file():
        raise CaptureError(f"{image.name} cannot be written as a picture.", "Save it as PNG and choose the file.")


def _copy_of(image: Image) -> Image:
    """A generated image with the same pixels, unsaved strokes included."""
    width, height = image.size
    values = pictures.pixels_of(image)
    if image.channels < 3:
        values = np.repeat(values[..., :1], 3, axis=2)
    has_alpha = image.channels == 4 and image.alpha_mode not in OPAQUE_MODES
    alpha = values[..., 3:] if has_alpha else np.ones((height, width, 1), np.float32)
    copy = bpy.data.images.new("Set Dresser picture", width, height, alpha=True, float_buffer=image.is_float)
    is_data = image.colorspace_settings.is_data
    if is_data or not image.is_float:  # float pixels are in the scene's linear space already
        copy.colorspace_settings.name = image.colorspace_settings.name
    copy.alpha_mode = image.alpha_mode
    copy.pixels.foreach_set(np.ascontiguousarray(np.concatenate([values[..., :3], alpha], axis=2)).ravel())
    return copy


def _label_bytes(image: Image) -> bytes:
    """A PNG of the labels, value by value.

    A PNG that was loaded and not painted on is passed on with its palette or 16 bits, as Blender shows it; else the
    8-bit values are written, grey if all of them are.
    """
    if image.source == "FILE" and not image.is_dirty:
        original = _original_bytes(image)
        if original.startswith(pictures.PNG_SIGNATURE):
            return orientation.png_as_shown(original)
    if image.is_float:
        message = f"The label image {image.name} has more than 8 bits per channel."
        raise CaptureError(message, "Save it as PNG and choose the file, or make it an 8-bit image.")
    values = np.rint(pictures.pixels_of(image)[::-1] * 255).astype(np.uint8)
    if image.channels < 3 or (np.all(values[..., 0] == values[..., 1]) and np.all(values[..., 1] == values[..., 2])):
        return pictures.png(values[..., 0])
    return pictures.png(values[..., :3])


def _original_bytes(image: Image) -> bytes:
    if image.packed_file is not None:
        return bytes(image.packed_file.data)
    path = Path(bpy.path.abspath(image.filepath, library=image.library))
    return path.read_bytes() if path.is_file() else b""
