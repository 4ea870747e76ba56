"""The list of photos in the panel: `scene.set_dresser.photos`. No undo step is made here; the operators do."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy
from bpy.types import Image, Object

from ..capture import azimuths
from ..capture.block_outs import SHAPES
from ..capture.photos import DECIMALS, Source
from ..ground.references import contains

Settings = Any
"""`SetDresserSettings`, which has the list."""


def natural(name: str) -> list[Any]:
    """A key that puts "2" before "10", and does not tell capital letters apart."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]


def add_files(settings: Settings, paths: Iterable[str | os.PathLike[str]]) -> None:
    """Add picture files, in the natural order of their names."""
    for path in sorted((os.fspath(path) for path in paths), key=lambda each: natural(Path(each).name)):
        _add(settings, "FILE", Path(path).stem).path = path


def add_image(settings: Settings, image: Image) -> None:
    _add(settings, "IMAGE", image.name).image = image


def add_cameras(settings: Settings, cameras: Iterable[Object]) -> int:
    """Add those cameras that are not in the list yet, in the natural order of their names; returns how many."""
    present = {photo.camera for photo in settings.photos if photo.kind == "CAMERA"}
    new = [camera for camera in cameras if camera.type == "CAMERA" and camera not in present]
    for camera in sorted(new, key=lambda each: natural(each.name)):
        _add(settings, "CAMERA", camera.name).camera = camera
    return len(new)


def remove(settings: Settings) -> None:
    """Remove the active photo; the next one becomes active."""
    index = settings.photo_index
    settings.photos.remove(index)
    settings.photo_index = max(0, min(index, len(settings.photos) - 1))


def move(settings: Settings, steps: int) -> None:
    """Move the active photo; not beyond the ends."""
    index = max(0, min(settings.photo_index + steps, len(settings.photos) - 1))
    settings.photos.move(settings.photo_index, index)
    settings.photo_index = index


def clear(settings: Settings) -> None:
    settings.photos.clear()
    settings.photo_index = 0


def spread_evenly(settings: Settings) -> None:
    """Azimuths as if the photos were taken at even steps on one round, counter-clockwise."""
    for number, photo in enumerate(settings.photos):
        photo.azimuth, photo.azimuth_known = math.tau * number / len(settings.photos), True


def active(settings: Settings) -> Any | None:
    """The photo that is marked."""
    in_list = 0 <= settings.photo_index < len(settings.photos)
    return settings.photos[settings.photo_index] if in_list else None


def title(photo: Any) -> str:
    """What a photo is called now; "" if what it shows was removed from the file."""
    if photo.kind == "FILE":
        return str(bpy.path.basename(photo.path))
    source = photo.image if photo.kind == "IMAGE" else photo.camera
    return "" if source is None else str(source.name)


def entries(settings: Settings) -> list[tuple[Source | None, float | None]]:
    """The list as `photos` of `api.generate`."""
    found: list[tuple[Source | None, float | None]] = []
    for photo in settings.photos:
        known = photo.azimuth_known and photo.kind != "CAMERA"
        # Blender keeps radians of 32 bits: 90 degrees would come back as 90.00000250447816.
        angle = round(math.degrees(photo.azimuth), DECIMALS) if known else None
        found.append(({"FILE": photo.path, "IMAGE": photo.image, "CAMERA": photo.camera}[photo.kind], angle))
    return found


def cameras(settings: Settings) -> list[Object | None]:
    """The camera of each photo; None for pictures, and for a camera that is not in the scene any more."""
    scene = settings.id_data
    chosen = [photo.camera if photo.kind == "CAMERA" else None for photo in settings.photos]
    return [each if each is not None and contains(scene.objects, each) else None for each in chosen]


def has_cameras(settings: Settings) -> bool:
    return any(photo.kind == "CAMERA" for photo in settings.photos)


def block_out(context: bpy.types.Context, settings: Settings) -> list[Object]:
    """The objects that the cameras look at; the cameras themselves may be selected with them."""
    if settings.instances == "COLLECTION":
        chosen = settings.collection.all_objects if settings.collection else ()
    else:
        chosen = context.selected_objects
    return [each for each in chosen if each.type in SHAPES or each.instance_type != "NONE"]


def camera_azimuths(settings: Settings, box: azimuths.Points) -> dict[int, float | None]:
    """Index in the list -> degrees, of the cameras; `box` as from `azimuths.corners`."""
    found = {index: camera for index, camera in enumerate(cameras(settings)) if camera is not None}
    chosen = list(found.values())
    return dict(zip(found, azimuths.relative(chosen, azimuths.middle(box, chosen)), strict=True))


def _add(settings: Settings, kind: str, name: str) -> Any:
    photo = settings.photos.add()
    photo.name, photo.kind = name, kind
    settings.photo_index = len(settings.photos) - 1
    return photo
