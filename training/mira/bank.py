"""The views of all objects in files that are mapped into memory: read once from their folder, shared by all processes.

An object's pictures are kept as 8-bit RGBA with colours multiplied by alpha, so that they can be resampled and laid on
any background without a fringe. Of its solid the bits are kept. A folder of the cache belongs to one state of the
object's folder: changed files get a new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.config import DataError
from training.pixels import premultiplied

FORMAT = 1
OPAQUE = 8  # alpha, of 255, from which a pixel belongs to the object
FACTS = ("poses", "intrinsics", "boxes", "extent")


class Views(Protocol):
    """One object as `training.views` gives it."""

    @property
    def name(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def poses(self) -> NDArray[np.float64]: ...
    @property
    def intrinsics(self) -> NDArray[np.float64]: ...
    def picture(self, index: int) -> NDArray[Any]: ...
    def solid(self) -> NDArray[np.bool_] | None: ...


@dataclass(frozen=True)
class Shown:
    """One object, mapped.

    Attributes:
        name: of its folder. place: where it is mapped from.
        pictures: [V, H, W, 4] uint8, colours multiplied by alpha.
        poses: [V, 4, 4] float64, camera to world.
        intrinsics: [V, 3, 3] float64 in units of the picture.
        boxes: [V, 4] float64: left, top, right, bottom of what alpha covers, in units of the picture; all 0 if nothing.
        extent: [2, 3] float64, lower and upper corner of the solid in the world; all 0 if it is not known.
        bits: of the solid, packed; None if it is not known.
        solid_size: voxels along each side of the box [-1, 1]³.
    """

    name: str
    place: Path
    pictures: NDArray[np.uint8]
    poses: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    boxes: NDArray[np.float64]
    extent: NDArray[np.float64]
    bits: NDArray[np.uint8] | None
    solid_size: int

    def __reduce__(self) -> tuple[Any, ...]:
        return _mapped, (self.name, self.place)  # another process maps the same files

    @property
    def count(self) -> int:
        """Views."""
        return len(self.poses)

    @property
    def elevations(self) -> NDArray[np.float64]:
        """[V] degrees that each camera looks down by."""
        return np.degrees(np.arcsin(np.clip(self.poses[:, 2, 2], -1.0, 1.0)))

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points [P, 3] of the world are within the solid, which must be known."""
        assert self.bits is not None, "the solid is not known"
        size = self.solid_size
        cells = np.floor((points + 1.0) * (size / 2)).astype(np.int64)
        within = ((cells >= 0) & (cells < size)).all(1)
        x, y, z = cells[within].T
        number = (x * size + y) * size + z
        found = np.zeros(len(points), np.bool_)
        found[within] = (self.bits[number >> 3] >> (7 - (number & 7)).astype(np.uint8)) & 1
        return found

    def within(self, count: int, chance: np.random.Generator) -> NDArray[np.float64]:
        """Points [count, 3] of the world by chance within the solid, which must be known and not empty."""
        assert self.bits is not None, "the solid is not known"
        size = self.solid_size
        cells = np.flatnonzero(np.unpackbits(self.bits, count=size**3))
        chosen = cells[chance.integers(0, len(cells), count)]
        places = np.stack([chosen // size**2, chosen // size % size, chosen % size], axis=1)
        return (places + chance.random((count, 3))) * (2 / size) - 1.0


def keep(views: Views, source: Path, cache: Path, longest: int) -> Shown:
    """An object from the cache, put there first if need be.

    Args:
        views: of the object.
        source: its folder; what its files are called and when they were written decides whether the cache is current.
        cache: folder of all objects.
        longest: side of the kept pictures, pixels.

    Raises:
        DataError: a picture, a camera or the solid cannot be used.
        OSError: files cannot be read or written.
    """
    place = cache / f"{_stem(views.name)}-{_state(source, longest)}"
    if not place.is_dir():
        _fill(views, place, longest)
    return _mapped(views.name, place)


def _fill(views: Views, place: Path, longest: int) -> None:
    pictures = [premultiplied(views.picture(index), longest) for index in range(views.count)]
    if not pictures:
        raise DataError(f"{views.name} has no views")
    if len({each.shape for each in pictures}) > 1:
        raise DataError(f"{views.name}: its pictures are not all of one size")
    poses, intrinsics = np.asarray(views.poses, np.float64), np.asarray(views.intrinsics, np.float64)
    if poses.shape != (len(pictures), 4, 4) or intrinsics.shape != (len(pictures), 3, 3):
        raise DataError(f"{views.name}: {len(pictures)} pictures, but not as many poses and intrinsics")
    if not (np.isfinite(poses).all() and np.isfinite(intrinsics).all()):
        raise DataError(f"{views.name}: a camera is not finite")
    solid = views.solid()
    extent = np.zeros((2, 3))
    if solid is not None:
        if solid.ndim != 3 or len(set(solid.shape)) > 1:
            raise DataError(f"{views.name}: its solid has the shape {list(solid.shape)}, which is no cube")
        extent = extent_of(solid)
    beside = place.with_name(f".{place.name}.{os.getpid()}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        np.save(beside / "pictures.npy", np.stack(pictures))
        boxes = np.array([covered(each) for each in pictures])
        for name, array in zip(FACTS, (poses, intrinsics, boxes, extent), strict=True):
            np.save(beside / f"{name}.npy", array)
        if solid is not None:
            np.save(beside / f"solid-{len(solid)}.npy", np.packbits(solid.astype(np.bool_)))
        if place.is_dir():  # another process was faster
            shutil.rmtree(beside)
        else:
            beside.replace(place)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        if not place.is_dir():  # unless another process was faster by a hair
            raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _mapped(name: str, place: Path) -> Shown:
    poses, intrinsics, boxes, extent = (np.load(place / f"{fact}.npy") for fact in FACTS)
    pictures = np.load(place / "pictures.npy", mmap_mode="r")
    found = sorted(place.glob("solid-*.npy"))
    bits = np.load(found[0], mmap_mode="r") if found else None
    size = int(found[0].stem.partition("-")[2]) if found else 0
    return Shown(name, place, pictures, poses, intrinsics, boxes, extent, bits, size)


def extent_of(solid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[2, 3]: the corners of the box around what is inside, in the world; all 0 if nothing is."""
    spans = [np.flatnonzero(solid.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not len(spans[0]):
        return np.zeros((2, 3))
    return np.array([[each[0] for each in spans], [each[-1] + 1 for each in spans]]) * (2 / len(solid)) - 1.0


def covered(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Left, top, right, bottom of what alpha covers in [H, W, 4], in units of the picture; all 0 if it is nothing."""
    mask = picture[..., 3] >= OPAQUE
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros(4)
    height, width = mask.shape
    return np.array([columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height])


def _state(source: Path, longest: int) -> str:
    files = sorted(each for each in source.rglob("*") if each.is_file())
    facts = [(each.relative_to(source).as_posix(), (now := each.stat()).st_size, now.st_mtime_ns) for each in files]
    return hashlib.sha256(repr((FORMAT, longest, str(source), facts)).encode()).hexdigest()[:16]


def _stem(name: str) -> str:
    return "".join(each if each.isalnum() or each in "-_" else "_" for each in name)[:80]


def sources_of(shown: Sequence[Shown], elevations: tuple[float, float]) -> list[tuple[int, int]]:
    """(object, view) of all views that can be a source: something is seen, from an allowed elevation."""
    low, high = elevations
    return [
        (number, view)
        for number, each in enumerate(shown)
        for view in range(each.count)
        if each.boxes[view].any() and low <= each.elevations[view] <= high
    ]
