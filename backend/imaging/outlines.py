"""Whole outlines: what a capture knows of objects that stand behind others.

A layer is a grey PNG as large as the picture. It holds some instances as if each stood alone; outlines that overlap
are in different layers, and each instance is in one layer at most. The depth of a layer tells how far away its objects
are, also where others hide them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.contract import OutlineFiles
from backend.errors import Problem
from backend.imaging.depth import read_depth
from backend.imaging.headers import Blame, open_header
from backend.imaging.reading import DECODING, upright
from backend.shot import InstanceMap, OutlineLayer

MAXIMUM_LAYERS = 64
MAXIMUM_PIXELS = 256_000_000
"""Of all layers together."""

LAYER = Blame(unreadable="instances-unreadable", truncated="instances-unreadable")

ELSEWHERE = 0.5
"""An outline that holds less than this share of what is seen of its object belongs to another camera."""

STRAY = 100
"""Pixels of an object that may all lie outside its outline, where renderers round differently."""


def pair_outlines(outlines: Sequence[bytes], depths: Sequence[bytes]) -> list[OutlineFiles]:
    """Each layer with its depth, in order; `depths` may be empty. Raises Problem("request-invalid")."""
    if depths and len(depths) != len(outlines):
        detail = f"{len(outlines)} layer(s) of outlines came with {len(depths)} depth(s)."
        raise Problem("request-invalid", detail, "Send one depth for each layer, in the same order, or none at all.")
    return [OutlineFiles(layer, depths[index] if depths else None) for index, layer in enumerate(outlines)]


def read_outlines(
    files: Sequence[OutlineFiles], instances: InstanceMap | None, hidden: set[int], size: tuple[int, int]
) -> dict[int, OutlineLayer]:
    """Read all layers and match them with the instance map.

    Args:
        files: the layers, in order.
        instances: the map of what is seen.
        hidden: further ids that an outline may have: objects of which nothing is seen. They are passed over.
        size: (width, height) of the picture.

    Returns:
        Of each instance that is in a layer, that layer.

    Raises:
        Problem: outlines-mismatch, request-invalid (outlines without an instance map, too many of them),
            request-too-large, and the codes of instance maps and depth for a file that cannot be read or has another
            size.
    """
    if not files:
        return {}
    if instances is None:
        detail = "Whole outlines came without the instance map that they belong to."
        raise Problem("request-invalid", detail, "Send the instance map too, or leave the outlines out.")
    if len(files) > MAXIMUM_LAYERS:
        detail = f"{len(files)} layers of outlines came; {MAXIMUM_LAYERS} are the limit."
        raise Problem("request-invalid", detail, "Put outlines that do not overlap into one layer.")
    if len(files) * size[0] * size[1] > MAXIMUM_PIXELS:
        megapixels = len(files) * size[0] * size[1] / 1e6
        detail = f"The {len(files)} layers of outlines have {megapixels:.0f} megapixels together."
        hint = f"Render smaller, or put outlines into fewer layers; {MAXIMUM_PIXELS // 10**6} megapixels are the limit."
        raise Problem("request-too-large", detail, hint)
    found: dict[int, OutlineLayer] = {}
    for number, file in enumerate(files, 1):
        called = "The outlines" if len(files) == 1 else f"Layer {number} of the outlines"
        layer = OutlineLayer(_read_labels(file.outlines, called, size), _read_distances(file.depth, called, size))
        for instance in np.flatnonzero(np.bincount(layer.labels.ravel()))[1 if (layer.labels == 0).any() else 0 :]:
            _check(int(instance), layer, called, instances, hidden, found)
            found[int(instance)] = layer
    return {number: layer for number, layer in found.items() if number in instances.names}


def _read_labels(data: bytes, called: str, size: tuple[int, int]) -> NDArray[np.uint16]:
    """The ids of a grey PNG of 8 or 16 bits: the stored value is the id."""
    file = open_header(data, called, LAYER)
    if file.size != tuple(size):
        detail = f"{called}: {file.size[0]} × {file.size[1]} pixels, and the picture has {size[0]} × {size[1]}."
        raise Problem("instances-mismatch", detail)
    with DECODING.hold(file.pixels):
        image = file.decode()
    if file.format != "PNG" or not (image.mode == "L" or image.mode.startswith("I;16")):
        detail = f"{called}: a {file.format} with pixels of the kind {image.mode}, not a grey PNG."
        raise Problem("instances-unreadable", detail, "Save it as a grey PNG of 8 or 16 bits, each value an id.")
    labels = np.ascontiguousarray(upright(np.asarray(image).astype(np.uint16), image))
    if labels.shape != tuple(size)[::-1]:
        raise Problem("instances-mismatch", f"{called}: turned on its side, unlike the picture.")
    if not labels.any():
        raise Problem("instances-empty", f"{called}: nothing but background.", "Leave an empty layer out.")
    return labels


def _read_distances(data: bytes | None, called: str, size: tuple[int, int]) -> NDArray[np.float32] | None:
    if data is None:
        return None
    try:
        return read_depth(data, size)
    except Problem as problem:
        raise Problem(problem.code, f"{called}: {problem.detail}", problem.hint, **problem.extra) from problem


def _check(
    instance: int,
    layer: OutlineLayer,
    called: str,
    instances: InstanceMap,
    hidden: set[int],
    found: dict[int, OutlineLayer],
) -> None:
    """Raise Problem("outlines-mismatch") for an outline that is nobody's, or comes twice, or lies elsewhere."""
    if instance not in instances.names:
        if instance in hidden:
            return
        detail = f"{called}: object {instance} is not in the instance map."
        raise Problem("outlines-mismatch", detail)
    if instance in found:
        detail = f"{called}: object {instance} has its outline in another layer already."
        raise Problem("outlines-mismatch", detail, "Give each object one whole outline.")
    seen = instances.mask(instance)
    pixels = int(np.count_nonzero(seen))
    within = int(np.count_nonzero(seen & (layer.labels == instance)))
    if pixels > STRAY and within < ELSEWHERE * pixels:
        detail = f"{called}: the outline of object {instance} does not lie where the object is seen."
        raise Problem("outlines-mismatch", detail)
