"""Where a shot comes from: the active camera, a picture file, an image of the blend file, or a sentence."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..ground.messages import SetDresserError
from ..wire.tasks import Steps
from . import capture, image_capture, intrinsics, orientation, sentences
from .rendering import Told


def ask(
    context: bpy.types.Context,
    folder: Path,
    source: str | os.PathLike[str] | bpy.types.Image,
    objects: Iterable[bpy.types.Object] | bpy.types.Collection | None,
    labels: str | os.PathLike[str] | bpy.types.Image | None,
    match_camera: bool,
    quality: str,
) -> Callable[[Told], Steps[capture.Capture]]:
    """Capture what `api.generate` was given, into `folder`; its arguments mean what they mean there.

    What can be checked is checked now, and a picture that is there is taken now. What is returned gives the steps,
    which return the `Capture`. Raises SetDresserError.
    """
    if source == sentences.TEXT:
        return lambda _: taken(capture.Capture())
    if source == "camera":
        chosen = context.selected_objects if objects is None else objects
        if isinstance(chosen, bpy.types.Collection):
            chosen = chosen.all_objects
        planned = capture.ask_camera(context, list(chosen), quality)
        return lambda told: capture.take(planned, folder, told)
    shot = picture(context, folder, source, labels, match_camera)
    return lambda _: taken(shot)


def taken(shot: capture.Capture) -> Steps[capture.Capture]:
    """A shot that was taken already."""
    return shot
    yield


def picture(
    context: bpy.types.Context,
    folder: Path,
    source: str | os.PathLike[str] | bpy.types.Image,
    labels: str | os.PathLike[str] | bpy.types.Image | None,
    match_camera: bool,
) -> capture.Capture:
    """A picture that is there already: a file, or an image of the blend file. Raises SetDresserError."""
    if isinstance(source, bpy.types.Image):
        if labels is not None and not isinstance(labels, bpy.types.Image):
            raise SetDresserError("The label image must be an image like the picture.", "Open it in Blender.", "labels")
        camera = _active_camera(context, source) if match_camera else None
        return image_capture.capture_image(source, folder, labels, camera)
    path = absolute(source)
    if isinstance(labels, bpy.types.Image):
        raise SetDresserError("The label image must be a file like the picture.", "Save it as PNG.", "labels")
    if not str(source):
        raise SetDresserError("No picture is chosen.", "Choose an image file.", "no-picture")
    camera = _camera_of_file(context, path) if match_camera else None
    return image_capture.capture_image_file(path, folder, absolute(labels) if labels else None, camera)


def name(context: bpy.types.Context, source: str | os.PathLike[str] | bpy.types.Image) -> str:
    """What to call a job that was not given a name."""
    if source == "camera":
        return str(context.scene.camera.name)
    return str(source.name) if isinstance(source, bpy.types.Image) else absolute(source).stem


def absolute(text: str | os.PathLike[str]) -> Path:
    """The path of a file that may be given relative to the blend file."""
    return Path(bpy.path.abspath(os.fspath(text)))


def upright_boxes(path: Path, boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Boxes that were drawn on a picture file as Blender shows it, for the upright picture, which is what is sent.

    Raises SetDresserError: if the file cannot be read.
    """
    turned = orientation.of_file(path)
    if turned == orientation.UPRIGHT or not boxes:
        return boxes
    with _loaded(path) as image:
        size = tuple(image.size)
    return [orientation.upright_box(turned, size, box) for box in boxes]


def size_of_file(path: Path) -> tuple[int, int]:
    """Width and height of a picture file, upright. Raises SetDresserError: if it cannot be read."""
    with _loaded(path) as image:
        width, height = image.size
    if not (width and height):
        raise SetDresserError(f"The picture {path} cannot be read.", "Choose the file again.", "image-unreadable")
    return orientation.upright_size(orientation.of_file(path), width, height)


@contextlib.contextmanager
def _loaded(path: Path) -> Iterator[bpy.types.Image]:
    """A picture file as Blender reads it, whatever its format, for a moment."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise SetDresserError(
            f"The picture {path} cannot be read.", "Choose the file again.", "image-unreadable"
        ) from error
    try:
        yield image
    finally:
        bpy.data.images.remove(image)


def _camera_of_file(context: bpy.types.Context, path: Path) -> dict[str, Any]:
    """The active camera for a picture file. It was matched to what Blender shows, the picture as stored; what is sent
    turns upright, so the camera that is sent is rolled along."""
    turned = orientation.of_file(path)
    if turned in orientation.MIRRORED:
        message = f"{path.name} is stored mirrored (orientation {turned}): no camera sees it as Blender shows it."
        raise SetDresserError(message, "Save it upright in a picture editor, and match the camera again.", "mirrored")
    with _loaded(path) as image:
        return orientation.upright_camera(turned, _active_camera(context, image))


def _active_camera(context: bpy.types.Context, image: bpy.types.Image) -> dict[str, Any]:
    camera = context.scene.camera
    if camera is None or camera.type != "CAMERA":
        raise SetDresserError("The scene has no active camera.", "Add one, or let a camera be assumed.", "no-camera")
    width, height = image.size
    if not (width and height):
        message = f"The size of {image.name} is not known."
        raise SetDresserError(message, "Check its file path, or let a camera be assumed.", "image-unreadable")
    evaluated = camera.evaluated_get(context.evaluated_depsgraph_get())
    return intrinsics.camera_json(context.scene, evaluated, width, height)
