"""What one generation starts from: pictures, an instance map, depth, a camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.contract import Photo, Warning


@dataclass(frozen=True)
class InstanceMap:
    """Which pixel belongs to which object.

    `labels` is HxW uint16, 0 = background; `names` maps every id that occurs in `labels`, in ascending
    order, to its name ("" if it has none). `remarks` is what the user should know of how it was read.
    """

    labels: NDArray[np.uint16]
    names: dict[int, str]
    remarks: tuple[Warning, ...] = ()

    def mask(self, instance: int) -> NDArray[np.bool_]:
        """HxW, True where the instance is seen."""
        mask: NDArray[np.bool_] = self.labels == instance
        return mask


@dataclass(frozen=True)
class OutlineLayer:
    """The whole outlines of some instances, each as if it stood alone; no two of them overlap.

    labels: HxW uint16, 0 = background.
    depth: HxW float32, planar metres, NaN where nothing is; None if it is not known.
    """

    labels: NDArray[np.uint16]
    depth: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Word:
    """A word that means one very object, learned from its picture (textual inversion).

    text: how it stands in a sentence. embedding: [width] float32, for the text encoder of Stable Diffusion 1.5.
    """

    text: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """One generation's input, read and checked: instances, depth and camera have the size of the first picture.

    images: HxWx4 uint8, sRGB, straight alpha; the first is the picture that instances, depth and camera belong to.
    depth: HxW float32, planar metres, NaN where nothing is seen; None if not given.
    camera: always there; `camera_source` says whether it was given or assumed.
    instance_source: where the instances come from; "found" is an empty map while they still have to be found.
    boxes: of some instances the block-out's box, 4x4, which takes the cube from -0.5 to 0.5 to the world.
    photos: what is known of each picture, as many as there are.
    cameras: of each picture, at the size that it has here; None where it is not known.
    outlines: of the instances that others hide in part the layer with their whole outline. Where there are any, an
        instance without one is wholly seen; where there are none, as of a photograph, nobody knows.
    sizes: (width, height) of each hashed file, by the same name, before anything was reduced; of the shot's own size
        where it is not told.
    given_camera: the camera for the picture at its own size, where `camera` is for a reduced one.
    remarks: what the user should know of how it was read.
    cover: HxW uint8, how much of each pixel the one object covers, where the background of the first picture was
        removed: its mask with soft rims.
    background: how that was done, for result.json.
    words: of some instances a word that was learned from this picture.
    """

    images: tuple[NDArray[np.uint8], ...]
    instances: InstanceMap
    camera: Camera
    camera_source: Literal["request", "default"] = "request"
    depth: NDArray[np.float32] | None = None
    instance_source: Literal["map", "alpha", "background", "whole", "found"] = "map"
    hashes: dict[str, str] = field(default_factory=dict)
    boxes: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    photos: tuple[Photo, ...] = ()
    cameras: tuple[Camera | None, ...] = ()
    outlines: dict[int, OutlineLayer] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    given_camera: Camera | None = None
    remarks: tuple[Warning, ...] = ()
    cover: NDArray[np.uint8] | None = None
    background: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[int, Word] = field(default_factory=dict)

    @property
    def image(self) -> NDArray[np.uint8]:
        """The first picture, HxWx4."""
        return self.images[0]

    def whole_mask(self, instance: int) -> NDArray[np.bool_]:
        """HxW, True where the instance is seen, or would be if nothing stood before it (as far as that is known)."""
        seen = self.instances.mask(instance)
        layer = self.outlines.get(instance)
        return seen if layer is None else seen | (layer.labels == instance)

    def whole_depth(self, instance: int) -> NDArray[np.float32] | None:
        """HxW, planar metres of the instance alone, hidden parts too where they are known; NaN elsewhere. None if
        neither shot nor outline has depth."""
        layer = self.outlines.get(instance)
        depth = None
        if self.depth is not None:
            depth = np.where(self.instances.mask(instance), self.depth, np.float32(np.nan))
        if layer is not None and layer.depth is not None:
            behind = np.where(layer.labels == instance, layer.depth, np.float32(np.nan))
            depth = behind if depth is None else np.where(np.isnan(behind), depth, behind)
        return depth

    def seen(self, instance: int) -> float | None:
        """The share of an instance's whole outline that can be seen, 0 to 1; None where the whole is unknown."""
        if not self.outlines:
            return None
        whole = int(np.count_nonzero(self.whole_mask(instance)))
        return int(np.count_nonzero(self.instances.mask(instance))) / whole if whole else None

    def title(self, instance: int) -> str:
        """How to speak of an instance: its name in quotation marks, or its number."""
        name = self.instances.names.get(instance)
        return f"'{name}'" if name else f"Object {instance}"
