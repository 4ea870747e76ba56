"""Data sets of views, read: whatever the layout, every object comes as pictures, camera-to-world poses and lenses.

An object's longest side spans 2 here, in the box [−1, 1]³ that the networks' fields cover: a set in which it spans 1
(Hi3D, MIRA as published) is scaled up, cameras and all, which changes no picture. World: right-handed, z up, the front
faces −y. Poses have OpenGL axes: x right, y up, −z ahead.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from models.lrm.cameras import spherical_poses
from training.layouts import (
    FORMAT,
    HI3D_AZIMUTHS,
    HI3D_ELEVATIONS,
    LAYOUTS,
    METADATA,
    SOLID,
    VERSION,
    Layout,
    picture_name,
    read_solid,
)

Poses = Literal["camera-to-world", "world-to-camera"]
SPAN = 2.0
PUBLISHED_SPANS: dict[Layout, float] = {"mira": 1.0, "openlrm": 2.0, "hi3d": 1.0}
PUBLISHED_FOCAL = 35 / 32
"""Of the renderers of MIRA and of Hi3D: 35 mm on a sensor of 32 mm. MIRA's training says 0.75 all the same."""

HI3D_DISTANCE = 1.5


class ViewsError(Exception):
    """A data set cannot be read; the sentence says what is wrong, and where."""


@dataclass(frozen=True)
class ObjectViews:
    """V views of an object. Nothing but cameras is in memory.

    Attributes:
        name: of its folder.
        folder: where it is.
        files: of the pictures, relative to the folder.
        poses: [V, 4, 4] float64, camera-to-world.
        intrinsics: [V, 3, 3] float64, in units of the picture's size.
        metadata: what `metadata.json` says; {} where there is none.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    poses: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Of views."""
        return len(self.files)

    def picture(self, index: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """[H, W, 4] as it is stored: 8 or 16 bits, colour not multiplied by alpha. A picture without alpha is opaque.

        Raises:
            ViewsError: it is missing, cut, or of another kind.
        """
        return read_picture(self.folder / self.files[index])

    def solid(self) -> NDArray[np.bool_] | None:
        """[n, n, n], by x, y, z: which cells of [−1, 1]³ are inside; None where that is not known.

        Raises:
            ViewsError: the file is none of ours.
        """
        file = self.folder / SOLID
        if not file.is_file():
            return None
        try:
            return read_solid(file.read_bytes())
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ViewsError(f"{file} is not a solid, or cut: {error}. Render the object again.") from error


def open_views(
    root: Path,
    left_out: Callable[[str], None] | None = None,
    layout: Layout | None = None,
    poses: Poses | None = None,
) -> list[ObjectViews]:
    """All objects of a data set, by name. What a run has not finished yet, and what is no folder, is not among them.

    What wrote the set says in `metadata.json` how to read it. Of a set without that the layout is seen from its files;
    what MIRA's poses are is seen from where they put the cameras: all that look at the origin are at (0, 0, −distance)
    in their own axes, which is what the last column of a world-to-camera matrix says.

    Args:
        left_out: is told a sentence of each object that cannot be read, and the others are given; None: it is raised.
        layout, poses: what a set without `metadata.json` of ours is, where it cannot be seen.

    Raises:
        ViewsError: there is no object, or none that can be read, or one that cannot and nobody is told.
    """
    root = Path(root)
    if not root.is_dir():
        raise ViewsError(f"{root} is not a folder.")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise ViewsError(
            f"There is no object in {root}. A data set has a folder for each; `python -m training.render` makes one."
        )
    found: list[ObjectViews] = []
    for folder in folders:
        try:
            found.append(_open(folder, layout, poses))
        except ViewsError as error:
            if left_out is None or (folder == folders[-1] and not found):
                raise
            left_out(f"{folder.name} is left out: {error}")
    return found


def composed(picture: NDArray[np.uint8] | NDArray[np.uint16], background: float = 1.0) -> NDArray[np.float32]:
    """[H, W, 3] in 0…1: a stored picture on a plain background, white if nothing is said."""
    values = picture.astype(np.float32) / np.iinfo(picture.dtype).max
    alpha = values[:, :, 3:]
    return np.asarray(values[:, :, :3] * alpha + background * (1 - alpha), np.float32)


def read_picture(file: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """[H, W, 4]; see `ObjectViews.picture`."""
    try:
        with Image.open(file) as image:
            deep = _deep(file, image)
            if deep is not None:
                return deep
            if image.mode not in ("RGBA", "RGB", "L", "LA", "P"):
                raise ViewsError(f"{file} is a picture of the kind {image.mode}; views are RGB or RGBA, 8 or 16 bits.")
            return np.asarray(image.convert("RGBA"))
    except FileNotFoundError as error:
        raise ViewsError(f"{file} is missing.") from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise ViewsError(f"{file} is not a picture, or cut: {error}") from error


def _deep(file: Path, image: Image.Image) -> NDArray[np.uint16] | None:
    """A picture of 16 bits with colour, of which Pillow keeps one byte of two: the high ones are read, then the low."""
    mode = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else None
    if mode not in ("RGBA;16B", "RGB;16B"):
        return None
    high = np.asarray(image).astype(np.uint16)
    with Image.open(file) as again:
        assert isinstance(again, ImageFile.ImageFile)
        again.tile = [again.tile[0]._replace(args=str(mode).replace("16B", "16L"))]
        low = np.asarray(again)
    values: NDArray[np.uint16] = (high << 8) | low
    if values.shape[2] == 4:
        return values
    return np.concatenate([values, np.full_like(values[:, :, :1], 65535)], axis=2)


def _open(folder: Path, layout: Layout | None, poses: Poses | None) -> ObjectViews:
    try:
        return _read(folder, layout, poses)
    except OSError as error:
        raise ViewsError(f"{error.filename or folder} cannot be read: {error.strerror or error}.") from error


def _read(folder: Path, layout: Layout | None, poses: Poses | None) -> ObjectViews:
    metadata = _metadata(folder)
    if metadata.get("format") == FORMAT:
        return _ours(folder, metadata)
    kind = layout or _layout(folder)
    if kind == "hi3d":
        return _hi3d(folder, metadata)
    files = tuple(
        path.relative_to(folder).as_posix() for path in sorted((folder / picture_name(kind, 0)).parent.glob("*.png"))
    )
    matrices = _matrices(folder, kind)
    if len(files) != len(matrices) or not files:
        raise ViewsError(f"{folder} has {len(files)} pictures and {len(matrices)} poses. Render it again.")
    if kind == "openlrm":
        return ObjectViews(folder.name, folder, files, matrices, _openlrm_lenses(folder, len(files)), metadata)
    if (poses or _kind_of_poses(folder, matrices)) == "world-to-camera":
        matrices = np.asarray(np.linalg.inv(matrices), np.float64)
    lens = _lens(PUBLISHED_FOCAL)
    return ObjectViews(
        folder.name, folder, files, _scaled(matrices, PUBLISHED_SPANS[kind]), _repeated(lens, files), metadata
    )


def _ours(folder: Path, metadata: dict[str, Any]) -> ObjectViews:
    if metadata.get("version") != VERSION:
        raise ViewsError(f"{folder / METADATA} is of version {metadata.get('version')}; this one reads {VERSION}.")
    try:
        views = metadata["views"]
        files = tuple(str(view["picture"]) for view in views)
        poses = np.array([view["pose"] for view in views], np.float64)
        lenses = np.array([view["intrinsics"] for view in views], np.float64)
        span = float(metadata["settings"]["span"])
        if poses.shape != (len(files), 4, 4) or lenses.shape != (len(files), 3, 3) or not files:
            raise ValueError(f"{len(files)} views with poses {poses.shape} and intrinsics {lenses.shape}")
        if any(PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts for file in files):
            raise ValueError("a picture in it lies outside the folder")
        if not (np.isfinite(poses).all() and np.isfinite(lenses).all() and span > 0):
            raise ValueError("a camera in it is not finite")
    except (KeyError, TypeError, ValueError) as error:
        raise ViewsError(
            f"{folder / METADATA} does not tell of its views: {error}. Render the object again."
        ) from error
    return ObjectViews(folder.name, folder, files, _scaled(poses, span), lenses, metadata)


def _hi3d(folder: Path, metadata: dict[str, Any]) -> ObjectViews:
    """As published: no poses, but it is known where the cameras were, the first of each ring on the +x axis."""
    files = tuple(path.name for path in sorted(folder.glob("*.png")))
    count = len(HI3D_ELEVATIONS) * HI3D_AZIMUTHS
    if len(files) != count:
        raise ViewsError(f"{folder} has {len(files)} pictures and no cameras; of the layout hi3d it would be {count}.")
    azimuths = np.tile(np.arange(HI3D_AZIMUTHS) * (360 / HI3D_AZIMUTHS), len(HI3D_ELEVATIONS))
    poses = spherical_poses(azimuths.tolist(), np.repeat(HI3D_ELEVATIONS, HI3D_AZIMUTHS).tolist(), HI3D_DISTANCE)
    matrices = _scaled(np.asarray(poses.numpy(), np.float64), PUBLISHED_SPANS["hi3d"])
    return ObjectViews(folder.name, folder, files, matrices, _repeated(_lens(PUBLISHED_FOCAL), files), metadata)


def _metadata(folder: Path) -> dict[str, Any]:
    file = folder / METADATA
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ViewsError(f"{file} is not JSON: {error}. Render the object again.") from error
    if not isinstance(content, dict):
        raise ViewsError(f"{file} is not an object of JSON. Render it again.")
    return content


def _layout(folder: Path) -> Layout:
    if (folder / "rgba").is_dir():
        return "openlrm"
    if any(folder.glob("*.npy")):
        return "mira"
    if any(folder.glob("*.png")):
        return "hi3d"
    raise ViewsError(f"{folder} has no views of a layout that is known: {', '.join(LAYOUTS)}.")


def _matrices(folder: Path, layout: Layout) -> NDArray[np.float64]:
    """[V, 4, 4] of files that hold 3×4 or 4×4 numbers."""
    files = sorted(((folder / "pose") if layout == "openlrm" else folder).glob("[0-9]*.npy"))
    matrices = np.tile(np.eye(4), (len(files), 1, 1))
    for matrix, file in zip(matrices, files, strict=True):
        values = _numbers(file)
        if values.shape not in ((3, 4), (4, 4)):
            raise ViewsError(f"{file} holds {values.shape} numbers; a pose has 3×4.")
        matrix[:3] = values[:3]
    return matrices


def _openlrm_lenses(folder: Path, count: int) -> NDArray[np.float64]:
    """Focal lengths, centre and size in pixels, one for all views or one for each → [V, 3, 3]."""
    one = folder / "intrinsics.npy"
    files = [one] * count if one.is_file() else sorted((folder / "intrinsics").glob("[0-9]*.npy"))
    if len(files) != count:
        raise ViewsError(f"{folder} has {count} views and {len(files)} intrinsics. Render it again.")
    lenses = []
    for file in files:
        values = _numbers(file)
        if values.shape != (3, 2) or not (values[2] > 0).all():
            raise ViewsError(f"{file} holds {values.shape} numbers; intrinsics are focal lengths, centre and size.")
        (fx, fy), (cx, cy) = values[0] / values[2], values[1] / values[2]
        lenses.append([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return np.array(lenses)


def _numbers(file: Path) -> NDArray[np.float64]:
    try:
        values = np.asarray(np.load(file, allow_pickle=False), np.float64)
    except (OSError, ValueError, EOFError) as error:
        raise ViewsError(f"{file} is not a file of numbers: {error}") from error
    if not np.isfinite(values).all():
        raise ViewsError(f"{file} has a number that is not finite.")
    return values


def _kind_of_poses(folder: Path, matrices: NDArray[np.float64]) -> Poses:
    places = matrices[:, :3, 3]
    distances = np.linalg.norm(places, axis=1, keepdims=True)
    ahead = np.allclose(places, distances * [0, 0, -1], atol=1e-3 * distances.max())
    towards = np.allclose(places, distances * matrices[:, :3, 2], atol=1e-3 * distances.max())
    if ahead == towards:
        raise ViewsError(f"{folder}: whether its poses are camera-to-world cannot be seen. Say it: poses=….")
    return "world-to-camera" if ahead else "camera-to-world"


def _scaled(poses: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    scaled = poses.copy()
    scaled[:, :3, 3] *= SPAN / span
    return scaled


def _lens(focal: float) -> NDArray[np.float64]:
    return np.array([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]])


def _repeated(lens: NDArray[np.float64], files: tuple[str, ...]) -> NDArray[np.float64]:
    return np.tile(lens, (len(files), 1, 1))
