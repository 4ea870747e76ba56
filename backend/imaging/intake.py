"""A request and its files become a shot.

The server calls `check_inputs`: everything is decoded and matched, so that a bad file is refused while the user
still waits for the answer. The worker calls `make_shot`, which does the same and then finds the object where no
instance map tells it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera, default_camera
from backend.contract import GenerateRequest, OutlineFiles, Photo
from backend.errors import Problem
from backend.imaging.depth import read_depth
from backend.imaging.instances import read_instances
from backend.imaging.outlines import read_outlines
from backend.imaging.reading import Pixels, read_image
from backend.shot import InstanceMap, OutlineLayer, Shot

MODEL_VARIABLE = "SET_DRESSER_BACKGROUND_MODEL"
"""Environment variable that names a background removal model for rembg; see `backend/imaging/background.py`."""

OPAQUE = 127
"""Alpha above this belongs to the object."""

CUT_OUT_SHARE = 0.001
"""From this share of transparent pixels on a picture counts as cut out; fewer are an accident."""


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
    instance_map = _read(request, images, instances, depth, outlines)[1]
    return None if instance_map is None else len(instance_map.names)


def make_shot(
    request: GenerateRequest,
    images: Sequence[bytes],
    instances: bytes | None,
    depth: bytes | None,
    outlines: Sequence[OutlineFiles] = (),
    *,
    find_object: bool = True,
) -> Shot:
    """The shot that a request and its files describe.

    Without an instance map the picture shows one object, named after the request: what is opaque if the picture is
    cut out, otherwise what stands out from the background. With `find_object` false the map stays empty: the objects
    are found later. Without a camera `default_camera` is assumed.

    Raises:
        Problem: as `check_inputs`, and background-unclear.
    """
    pictures, instance_map, distances, camera, layers = _read(request, images, instances, depth, outlines)
    source: Literal["map", "alpha", "background", "found"] = "map"
    if instance_map is None and not find_object:
        source = "found"
        instance_map = InstanceMap(np.zeros(pictures[0].shape[:2], np.uint16), {})
    elif instance_map is None:
        mask, source = find_the_object(pictures[0])
        instance_map = InstanceMap(mask.astype(np.uint16), {1: request.name.strip() or "Object"})
    files = {f"image-{index}": data for index, data in enumerate(images)}
    files |= {role: data for role, data in (("instances", instances), ("depth", depth)) if data is not None}
    files |= {f"outlines-{index}": layer.outlines for index, layer in enumerate(outlines)}
    files |= {f"outline_depths-{index}": layer.depth for index, layer in enumerate(outlines) if layer.depth is not None}
    return Shot(
        images=tuple(pictures),
        instances=instance_map,
        camera=camera,
        camera_source="default" if request.camera is None else "request",
        depth=distances,
        instance_source=source,
        hashes={role: hashlib.sha256(data).hexdigest() for role, data in files.items()},
        boxes={row.id: np.array(row.world_from_box) for row in request.instances if row.world_from_box is not None},
        photos=tuple(request.photos or [Photo()] * len(images)),
        outlines=layers,
    )


def find_the_object(picture: Pixels) -> tuple[NDArray[np.bool_], Literal["alpha", "background"]]:
    """The one object of a picture HxWx4, and how it was found: what is opaque if the picture is cut out, otherwise what
    stands out from the background.

    Raises:
        Problem: image-empty, background-unclear, weights-missing.
    """
    opaque = _cut_out(picture)
    if opaque is not None:
        return opaque, "alpha"
    from backend.imaging.background import remove_background

    model = os.environ.get(MODEL_VARIABLE)
    return remove_background(picture, Path(model) if model else None), "background"


def read_job_folder(folder: Path, *, find_object: bool = True) -> tuple[GenerateRequest, Shot]:
    """The request and the shot of a job's folder: `request.json` and `inputs/`, as the server wrote them.

    find_object: see `make_shot`.

    Raises:
        Problem: as `make_shot`.
        OSError, pydantic.ValidationError: the folder is not a job's folder or was damaged.
    """
    request, images, instances, depth, outlines = read_stored_inputs(folder)
    return request, make_shot(request, images, instances, depth, outlines, find_object=find_object)


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


def _read(
    request: GenerateRequest,
    images: Sequence[bytes],
    instances: bytes | None,
    depth: bytes | None,
    outlines: Sequence[OutlineFiles],
) -> tuple[list[Pixels], InstanceMap | None, NDArray[np.float32] | None, Camera, dict[int, OutlineLayer]]:
    """Everything read and matched with the first picture."""
    if not images:
        raise Problem("request-invalid", "The request has no picture.", "Send at least one picture.")
    if request.photos and len(request.photos) != len(images):
        detail = f"The request tells of {len(request.photos)} photo(s) and {len(images)} picture(s) came."
        raise Problem("request-invalid", detail, "Give one row of 'photos' for each picture, or none at all.")
    names = ["The picture"] if len(images) == 1 else [f"Picture {number}" for number in range(1, len(images) + 1)]
    pictures = [read_image(data, name) for data, name in zip(images, names, strict=True)]
    height, width = pictures[0].shape[:2]
    size = (width, height)
    camera = request.camera or default_camera(width, height)
    if (camera.width, camera.height) != size:
        detail = f"The camera is for {camera.width} × {camera.height} pixels and the picture has {width} × {height}."
        hint = "Send the camera that took this picture at this size, or leave it out."
        raise Problem("camera-invalid", detail, hint)
    if instances is None:
        _cut_out(pictures[0])
    instance_map = None if instances is None else read_instances(instances, request.instances, size)
    layers = read_outlines(outlines, instance_map, {row.id for row in request.instances}, size)
    if instance_map is not None and request.only:
        instance_map = chosen_instances(instance_map, request.only)
    return pictures, instance_map, None if depth is None else read_depth(depth, size), camera, layers


def chosen_instances(instance_map: InstanceMap, only: Sequence[int]) -> InstanceMap:
    """The map with the others as background. Raises Problem("instances-mismatch") for an id that it has not."""
    if unknown := sorted(set(only) - set(instance_map.names)):
        detail = f"Object {unknown[0]} is to be made and is not in the instance map."
        raise Problem("instances-mismatch", detail, f"Choose among {sorted(instance_map.names)}.")
    labels = np.where(np.isin(instance_map.labels, list(only)), instance_map.labels, np.uint16(0))
    return InstanceMap(labels, {number: name for number, name in instance_map.names.items() if number in only})


def _cut_out(picture: Pixels) -> NDArray[np.bool_] | None:
    """The object of a cut-out picture, HxW; None if the picture is opaque.

    Raises:
        Problem: image-empty.
    """
    opaque: NDArray[np.bool_] = picture[..., 3] > OPAQUE
    if not opaque.any():
        raise Problem("image-empty", "The picture is transparent everywhere.")
    return opaque if 1 - opaque.mean() >= CUT_OUT_SHARE else None
