"""A request and its files become a shot.

The server calls `check_inputs`: everything is decoded and matched, so that a bad file is refused while the user
still waits for the answer. The worker calls `make_shot`, which does the same and then finds the object where no
instance map tells it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera, default_camera
from backend.contract import GenerateRequest, OutlineFiles, Photo, Warning
from backend.errors import Problem
from backend.imaging.coverage import LEFT_OUT, covered, left_out
from backend.imaging.depth import read_depth
from backend.imaging.instances import read_instances
from backend.imaging.outlines import read_outlines
from backend.imaging.reading import VISIBLE, Picture, Pixels, Seen, check_picture, read_picture
from backend.imaging.reducing import reduce_camera, values_at
from backend.shot import InstanceMap, OutlineLayer, Shot

if TYPE_CHECKING:
    from backend.imaging.background import Remover, Way

SHEET = 1024
"""Side in pixels of a blank sheet."""


def check_inputs(
    request: GenerateRequest,
    images: Sequence[bytes],
    instances: bytes | None,
    depth: bytes | None,
    outlines: Sequence[OutlineFiles] = (),
) -> int | None:
    """Decode every file and match it with the others; nothing is kept.

    Returns:
        How many objects the instance map has; None without a map.

    Raises:
        Problem: request-invalid, or any code of pictures, instance maps, outlines, depth and camera but
            background-unclear, which takes the worker to find out.
    """
    seen = [check_picture(data, name) for data, name in _named(request, images)]
    instance_map = _read(request, seen, instances, depth, outlines)[0]
    return None if instance_map is None else len(instance_map.names)


def make_shot(
    request: GenerateRequest,
    images: Sequence[bytes],
    instances: bytes | None,
    depth: bytes | None,
    outlines: Sequence[OutlineFiles] = (),
    *,
    find_object: bool = True,
    side: Callable[[bool], int] | None = None,
    background: Way = "auto",
) -> Shot:
    """The shot that a request and its files describe.

    Without an instance map the picture shows one object, named after the request: what is opaque if the picture is
    cut out, otherwise what stands out from the background. With `find_object` false the map stays empty: the objects
    are found later. Without a camera `default_camera` is assumed.

    background: how an object is cut out of a picture that is not, see `imaging/background`.
    side: tells how many pixels the longer side of a picture may have, with an instance map or without one; what is
        larger is reduced while it is read, and instances, depth and camera with the first picture. None: any number.

    Raises:
        Problem: as `check_inputs`, and background-unclear, engine-missing, weights-damaged.
    """
    most = None if side is None else side(instances is not None or not find_object)
    read = [read_picture(data, name, most) for data, name in _named(request, images)]
    instance_map, distances, given, layers = _read(request, read, instances, depth, outlines)
    pictures = [picture.pixels for picture in read]
    size = pictures[0].shape[1], pictures[0].shape[0]
    camera = reduce_camera(given, size)
    known = request.cameras(len(images))
    remarks = () if instance_map is None else instance_map.remarks
    if instance_map is not None:
        instance_map, vanished = _reduced_map(instance_map, size)
        remarks += vanished
    files = {f"image-{index}": data for index, data in enumerate(images)}
    files |= {role: data for role, data in (("instances", instances), ("depth", depth)) if data is not None}
    files |= {f"outlines-{index}": layer.outlines for index, layer in enumerate(outlines)}
    files |= {f"outline_depths-{index}": layer.depth for index, layer in enumerate(outlines) if layer.depth is not None}
    shot = Shot(
        images=tuple(pictures),
        instances=instance_map or _nothing_found(pictures[0]),
        camera=camera,
        camera_source="default" if known[0] is None else "request",
        depth=None if distances is None else values_at(distances, size),
        instance_source="map" if instance_map is not None else "found",
        hashes={role: hashlib.sha256(data).hexdigest() for role, data in files.items()},
        boxes={row.id: np.array(row.world_from_box) for row in request.instances if row.world_from_box is not None},
        photos=tuple(request.photos or [Photo()] * len(images)),
        cameras=tuple(
            None if taken is None else reduce_camera(taken, (picture.shape[1], picture.shape[0]))
            for taken, picture in zip(known, pictures, strict=True)
        ),
        outlines=_reduced_layers(layers, size),
        sizes={role: read[int(role[6:]) if role.startswith("image-") else 0].size for role in files},
        given_camera=None if camera == given else given,
        remarks=remarks,
    )
    return with_object(shot, request.name, background) if instance_map is None and find_object else shot


def shot_of(picture: Pixels) -> Shot:
    """The shot of a picture HxWx4 that nobody has taken: under an assumed camera, and no object is found in it yet."""
    height, width = picture.shape[:2]
    camera, nothing = default_camera(width, height), _nothing_found(picture)
    return Shot((picture,), nothing, camera, "default", instance_source="found", photos=(Photo(),))


def blank_shot() -> Shot:
    """What a request without pictures starts from: a white sheet."""
    return shot_of(np.full((SHEET, SHEET, 4), 255, np.uint8))


def with_object(shot: Shot, name: str, background: Way = "auto") -> Shot:
    """A shot in which no object was found yet, with the one that its first picture shows; see `make_shot`.

    Raises Problem as `find_the_object`.
    """
    cut = find_the_object(shot.image, _remover(background))
    remarks = _remarks_on_clearness(shot.image, cut.mask) if cut.source == "alpha" else ()
    return replace(
        shot,
        instances=InstanceMap(cut.mask.astype(np.uint16), {1: name.strip() or "Object"}),
        instance_source=cut.source,
        remarks=shot.remarks + remarks,
        cover=cut.cover,
        background=cut.record,
    )


def _nothing_found(picture: Pixels) -> InstanceMap:
    return InstanceMap(np.zeros(picture.shape[:2], np.uint16), {})


def _reduced_map(instance_map: InstanceMap, size: tuple[int, int]) -> tuple[InstanceMap, tuple[Warning, ...]]:
    """The map at the size (width, height) of its picture, and a word on what is too small to be left of it."""
    labels = values_at(instance_map.labels, size)
    if labels is instance_map.labels:
        return instance_map, ()
    left = set(np.flatnonzero(np.bincount(labels.ravel())).tolist())
    names = {number: name for number, name in instance_map.names.items() if number in left}
    gone = [
        Warning(
            code="instance-small",
            message=f"{instance_map.names[number] or f'Object {number}'} is smaller than a pixel of what is used.",
            hint=f"Send the picture with no more than {max(size)} pixels along its longer side, or cut it out.",
            instance=number,
        )
        for number in instance_map.names.keys() - left
    ]
    return InstanceMap(labels, names, instance_map.remarks), tuple(gone)


def _reduced_layers(layers: dict[int, OutlineLayer], size: tuple[int, int]) -> dict[int, OutlineLayer]:
    """The layers, of which several instances may share one, at the size (width, height) of the picture."""
    reduced = {
        id(layer): OutlineLayer(
            values_at(layer.labels, size), None if layer.depth is None else values_at(layer.depth, size)
        )
        for layer in layers.values()
    }
    return {number: reduced[id(layer)] for number, layer in layers.items()}


def _remarks_on_clearness(picture: Pixels, mask: NDArray[np.bool_]) -> tuple[Warning, ...]:
    share = left_out(picture, mask)
    if share < LEFT_OUT:
        return ()
    message = (
        f"Half-transparent pixels, {share:.0%} as many as the object has, were left out: shadows and what fades away "
        "do not become part of a prop."
    )
    hint = "Make them opaque if they belong to the object, or give an instance map."
    return (Warning(code="half-transparent", message=message, hint=hint),)


@dataclass(frozen=True)
class CutOut:
    """The one object of a picture.

    mask: HxW, True on the object.
    cover: HxW uint8, the same with soft rims; None where the picture's own alpha has them.
    source: what told it: the picture's alpha, what stands out from its background, or nothing: all of it.
    record: how the background was removed, for result.json.
    """

    mask: NDArray[np.bool_]
    source: Literal["alpha", "background", "whole"]
    cover: NDArray[np.uint8] | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    def on_nothing(self, picture: Pixels) -> Pixels:
        """A picture HxWx4, transparent where the object is not; its own transparency stays."""
        if self.cover is None:
            return picture
        cut = picture.copy()
        cut[..., 3] = np.minimum(picture[..., 3], self.cover)
        return cut


def find_the_object(picture: Pixels, remover: Remover) -> CutOut:
    """The one object of a picture HxWx4: what is opaque if the picture is cut out, otherwise what is left when the
    background is removed.

    Raises:
        Problem: image-empty, background-unclear, engine-missing, weights-damaged.
    """
    if picture[..., 3].max() < VISIBLE:
        raise _empty()
    opaque = covered(picture)
    if opaque is not None:
        return CutOut(opaque, "alpha")
    found = remover.find(picture)
    return CutOut(found.mask, "whole" if found.way == "none" else "background", found.cover, found.record)


def _remover(way: Way) -> Remover:
    from backend.imaging.background import Remover

    return Remover(way)


def read_job_folder(
    folder: Path,
    *,
    find_object: bool = True,
    side: Callable[[bool], int] | None = None,
    background: Way = "auto",
) -> tuple[GenerateRequest, Shot]:
    """The request and the shot of a job's folder: `request.json` and `inputs/`, as the server wrote them.

    find_object, side, background: see `make_shot`.

    Raises:
        Problem: as `make_shot`.
        OSError, pydantic.ValidationError: the folder is not a job's folder or was damaged.
    """
    request, images, instances, depth, outlines = read_stored_inputs(folder)
    shot = make_shot(
        request, images, instances, depth, outlines, find_object=find_object, side=side, background=background
    )
    return request, shot


def read_stored_inputs(
    folder: Path,
) -> tuple[GenerateRequest, list[bytes], bytes | None, bytes | None, list[OutlineFiles]]:
    """The request, pictures, instance map, depth and whole outlines of a job's folder, undecoded.

    Raises:
        OSError, pydantic.ValidationError: the folder is not a job's folder or was damaged.
    """
    request = GenerateRequest.model_validate_json((folder / "request.json").read_bytes())
    inputs = folder / "inputs"
    images, outlines = (
        sorted(inputs.glob(f"{role}-*.bin"), key=lambda path: int(path.stem.rpartition("-")[2]))
        for role in ("image", "outlines")
    )
    instances, depth = inputs / "instances.bin", inputs / "depth.npy"
    return (
        request,
        [path.read_bytes() for path in images],
        instances.read_bytes() if instances.exists() else None,
        depth.read_bytes() if depth.exists() else None,
        [OutlineFiles(path.read_bytes(), _beside(path)) for path in outlines],
    )


def _beside(outlines: Path) -> bytes | None:
    """The depth of a layer of outlines, undecoded."""
    path = outlines.with_name(outlines.stem.replace("outlines", "outline_depths") + ".npy")
    return path.read_bytes() if path.exists() else None


def _named(request: GenerateRequest, images: Sequence[bytes]) -> list[tuple[bytes, str]]:
    """The picture files with what to call them; as many as the request tells of."""
    if not images:
        raise Problem("request-invalid", "The request has no picture.", "Send at least one picture.")
    if request.photos and len(request.photos) != len(images):
        detail = f"The request tells of {len(request.photos)} photo(s) and {len(images)} picture(s) came."
        raise Problem("request-invalid", detail, "Give one row of 'photos' for each picture, or none at all.")
    if len(images) == 1:
        return [(images[0], "The picture")]
    return [(data, f"Picture {number}") for number, data in enumerate(images, 1)]


def _read(
    request: GenerateRequest,
    pictures: Sequence[Seen | Picture],
    instances: bytes | None,
    depth: bytes | None,
    outlines: Sequence[OutlineFiles],
) -> tuple[InstanceMap | None, NDArray[np.float32] | None, Camera, dict[int, OutlineLayer]]:
    """All but the pictures read, at the size of the first picture's file, and matched with that."""
    first = pictures[0]
    width, height = first.size
    known = request.cameras(len(pictures))
    camera = known[0] or default_camera(width, height)
    for number, (picture, taken) in enumerate(zip(pictures, [camera, *known[1:]], strict=True), 1):
        if taken is not None:
            _check_camera(taken, picture, "the picture" if len(pictures) == 1 else f"picture {number}")
    if instances is None and first.empty:
        raise _empty()
    instance_map = None
    if instances is not None:
        instance_map = read_instances(instances, request.instances, first.size, first.orientation)
    layers = read_outlines(outlines, instance_map, {row.id for row in request.instances}, first.size)
    if instance_map is not None and request.only:
        instance_map = chosen_instances(instance_map, request.only)
    return instance_map, None if depth is None else read_depth(depth, first.size), camera, layers


def _check_camera(camera: Camera, picture: Seen | Picture, called: str) -> None:
    """Raises Problem("camera-invalid"): the camera took a picture of another size."""
    width, height = picture.size
    if (camera.width, camera.height) == picture.size:
        return
    detail = f"The camera is for {camera.width} × {camera.height} pixels and {called} has {width} × {height}."
    hint = "Send the camera that took this picture at this size, or leave it out."
    if (camera.height, camera.width) == picture.size and picture.orientation != 1:
        detail += f" The picture is stored turned (Exif orientation {picture.orientation}) and counts upright."
        hint = "Send the camera of the upright picture, or leave it out."
    raise Problem("camera-invalid", detail, hint)


def _empty() -> Problem:
    return Problem("image-empty", "The picture is transparent everywhere.")


def chosen_instances(instance_map: InstanceMap, only: Sequence[int]) -> InstanceMap:
    """The map with the others as background. Raises Problem("instances-mismatch") for an id that it has not."""
    if unknown := sorted(set(only) - set(instance_map.names)):
        detail = f"Object {unknown[0]} is to be made and is not in the instance map."
        raise Problem("instances-mismatch", detail, f"Choose among {sorted(instance_map.names)}.")
    labels = np.where(np.isin(instance_map.labels, list(only)), instance_map.labels, np.uint16(0))
    names = {number: name for number, name in instance_map.names.items() if number in only}
    return replace(instance_map, labels=labels, names=names)
