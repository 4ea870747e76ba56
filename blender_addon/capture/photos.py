"""Several photos of one prop: asked for all at once, taken one after the other.

A photo is a picture file, an image of the blend file, or what a camera of the scene sees of the block-out. Between
one and the next Blender's user goes on; so what is kept of them are ids and places, never Blender's pointers, and a
block-out or a camera that was moved meanwhile ends it: pictures of different sets do not make one prop.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import bpy
from bpy.types import Collection, Context, Image, Object, ViewLayer

from ..ground.references import Place, contains
from ..wire.tasks import Steps
from . import azimuths, capture, image_capture, noticing, sources
from . import block_outs as relation
from .capture import Capture
from .intrinsics import CaptureError, camera_json
from .rendering import Told, untold

Source = str | os.PathLike[str] | Image | Object
LARGEST_AZIMUTH = 360.0
DECIMALS = 4
"""Of azimuths that Blender tells: its numbers have seven digits."""


@dataclass(frozen=True)
class Photo:
    """One of the photos, as it was asked for.

    azimuth: degrees round the object, counter-clockwise seen from above; None if not known.
    path: of a file; session_uid: of an image or a camera.
    """

    kind: Literal["FILE", "IMAGE", "CAMERA"]
    name: str
    azimuth: float | None
    path: Path = Path()
    session_uid: int = 0


@dataclass(frozen=True)
class PlannedPhotos:
    """All that is needed to take the photos.

    name: what to call it; place: the scene and its layer; block_outs: session ids of the objects that the cameras
        look at, the one first that the prop is named after.
    places: of cameras and block-outs when it was asked for.
    match_camera: a first picture that no camera takes was taken with the scene's active camera.
    """

    name: str
    photos: tuple[Photo, ...]
    place: Place
    block_outs: tuple[int, ...]
    places: tuple[Any, ...]
    match_camera: bool
    warnings: tuple[str, ...]
    quality: str = capture.FAST


def ask(
    context: Context,
    entries: Iterable[Source | tuple[Source, float | None]],
    objects: Iterable[Object] | Collection | None,
    match_camera: bool,
    quality: str = capture.FAST,
) -> PlannedPhotos:
    """Check everything that can be checked before the first photo is taken.

    Args:
        entries: files, images, cameras, each alone or with its azimuth; that of a camera is computed if left out.
        objects: the block-out, all of it one object, if there are cameras; the selected objects if left out.

    Raises CaptureError, with a sentence for what cannot be used.
    """
    given = [entry if isinstance(entry, tuple) else (entry, None) for entry in entries]
    if not given:
        raise CaptureError("There are no photos.", "Add picture files, images or cameras.")
    context.view_layer.update()
    photos = [_photo(context, number, *entry) for number, entry in enumerate(given, 1)]
    cameras = [source for source, _ in given if isinstance(source, Object)]
    if not cameras:
        where = Place.of(context.scene, context.view_layer)
        return PlannedPhotos(photos[0].name, tuple(photos), where, (), (), match_camera, (), quality)
    block_outs = _block_outs(context, objects)
    box = azimuths.corners(block_outs)
    for camera in cameras:
        if azimuths.misses(camera, context.scene, box):
            raise capture.unseen(camera.name)
    measured = iter(azimuths.relative(cameras, azimuths.middle(box, cameras)))
    warnings = []
    for number, photo in enumerate(photos):
        angle = next(measured) if photo.kind == "CAMERA" else None
        if photo.kind == "CAMERA" and photo.azimuth is None:
            photos[number] = replace(photo, azimuth=None if angle is None else round(angle, DECIMALS))
            if angle is None:
                warnings.append(f"{photo.name} looks from straight above or below: from which side is not known.")
    return PlannedPhotos(
        block_outs[0].name,
        tuple(photos),
        Place.of(context.scene, context.view_layer),
        tuple(each.session_uid for each in block_outs),
        _places([*cameras, *block_outs]),
        match_camera,
        tuple(warnings),
        quality,
    )


def take(planned: PlannedPhotos, number: int, folder: Path, told: Told = untold) -> Steps[Capture]:
    """Take one of the photos, into a folder of its own; returns its `Capture`.

    Raises CaptureError: also if something it needs is gone, or was moved.
    """
    photo = planned.photos[number]
    if photo.kind == "CAMERA":
        return (yield from capture.take(_sitter(planned, number), folder, told))
    if photo.kind == "FILE" and (number or not planned.match_camera):
        return image_capture.capture_image_file(photo.path, folder)
    with _looking(planned):
        image = photo.path if photo.kind == "FILE" else capture.found(bpy.data.images, photo.session_uid, photo.name)
        return sources.picture(bpy.context, folder, image, None, planned.match_camera and not number)


def _sitter(planned: PlannedPhotos, number: int) -> capture.PlannedPicture:
    with _looking(planned) as layer:
        wanted = [each.session_uid for each in planned.photos if each.kind == "CAMERA"]
        cameras = {uid: capture.found(bpy.data.objects, uid, "A camera of the list") for uid in wanted}
        block_outs = [capture.found(bpy.data.objects, uid, "The block-out") for uid in planned.block_outs]
        layer.update()
        if _places([*(cameras[uid] for uid in wanted), *block_outs]) != planned.places:
            message = "The block-out or a camera was moved before all pictures were taken."
            raise CaptureError(message, "Generate again, and leave them where they are until the job is sent.")
        camera = cameras[planned.photos[number].session_uid]
        return capture.ask_photo(bpy.context, camera, block_outs, cut_out=number > 0, quality=planned.quality)


@contextlib.contextmanager
def _looking(planned: PlannedPhotos) -> Iterator[ViewLayer]:
    """Within one turn: the scene that the photos are of."""
    where = planned.place.find()
    if where is None:
        raise capture.gone("The scene")
    scene, layer = where
    with bpy.context.temp_override(scene=scene, view_layer=layer):
        yield layer


def joined(planned: PlannedPhotos, shots: Sequence[Capture]) -> Capture:
    """All photos as one shot: the first one's, with the further pictures and what is known of each."""
    told = [noticing.warning("azimuth", text) for text in planned.warnings]
    warnings = {each["message"]: each for each in [*told, *(each for shot in shots for each in shot.warnings)]}
    return replace(
        shots[0],
        further=[shot.image for shot in shots[1:] if shot.image is not None],
        photos=[
            {"name": photo.name, "azimuth": photo.azimuth, **({"camera": shot.camera} if shot.camera else {})}
            for photo, shot in zip(planned.photos, shots, strict=True)
        ],
        warnings=list(warnings.values()),
    )


def wrong_number(view: dict[str, Any] | None, count: int) -> str:
    """Why a pipeline cannot take as many pictures, without a full stop; "" if it can, or is not known.

    view: what the server tells of the pipeline.
    """
    if view is None or "images" not in view:
        return ""
    title, least, most = view.get("title", view["id"]), view["images"]["least"], view["images"]["most"]
    if count > most:
        return f"{title} takes {'one picture' if most == 1 else f'up to {most} pictures'}, and there are {count}"
    if count < least:
        return f"{title} takes at least {least} pictures, and there {'is one' if count == 1 else f'are {count}'}"
    return ""


def check_number(view: dict[str, Any] | None, count: int) -> None:
    """Raises CaptureError: if a pipeline, as the server tells of it, cannot take so many pictures."""
    if reason := wrong_number(view, count):
        raise CaptureError(f"{reason}.", "Change the list of photos, or use another pipeline.")


def _photo(context: Context, number: int, source: Any, azimuth: Any) -> Photo:
    known = _azimuth(number, azimuth)
    if isinstance(source, Image):
        image_capture.check_image(source)
        return Photo("IMAGE", capture.printable(source.name), known, session_uid=source.session_uid)
    if isinstance(source, Object):
        if source.type != "CAMERA":
            raise CaptureError(f"{source.name} is no camera.", "Choose cameras, images and picture files.")
        if not contains(context.scene.objects, source):
            raise CaptureError(f"The camera {source.name} is not in the scene.", "Take it off the list of photos.")
        camera_json(context.scene, source.evaluated_get(context.evaluated_depsgraph_get()))
        return Photo("CAMERA", capture.printable(source.name), known, session_uid=source.session_uid)
    if not isinstance(source, (str, os.PathLike)) or not os.fspath(source):
        raise CaptureError(f"Photo {number} shows nothing.", "Choose a file, an image or a camera for it.")
    path = sources.absolute(source)
    image_capture.check_file(path)
    return Photo("FILE", capture.printable(path.stem), known, path)


def _azimuth(number: int, given: Any) -> float | None:
    if given is None:
        return None
    try:
        angle = float(given)
    except (TypeError, ValueError):
        angle = math.nan
    if not abs(angle) <= LARGEST_AZIMUTH:
        message = f"The azimuth of photo {number} must be a number of degrees from -360 to 360."
        raise CaptureError(message, "Leave it out if it is not known.")
    return angle


def _block_outs(context: Context, objects: Iterable[Object] | Collection | None) -> list[Object]:
    """The objects that are the block-out, the active one first: the prop is named after it."""
    chosen = context.selected_objects if objects is None else objects
    found = relation.roots(chosen.all_objects if isinstance(chosen, Collection) else chosen)
    if not found:
        message = "Nothing is chosen that the cameras could look at."
        raise CaptureError(message, "Select the objects that block out your prop, or choose their collection.")
    active = context.view_layer.objects.active
    return relation.together(sorted(found, key=lambda each: each != active) if objects is None else found)


def _places(objects: Iterable[Object]) -> tuple[Any, ...]:
    return tuple(tuple(map(tuple, each.matrix_world)) for each in objects)
