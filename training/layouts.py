"""Where things lie in a data set: the published layouts of MIRA, OpenLRM and Hi3D, written.

Each object is a folder. Beside what is published, every layout gets a `metadata.json` that has everything, cameras
included, so that nothing has to be known beforehand. Poses are camera-to-world in all of them.

- `mira`: `000.png …`, `000.npy …` (3×4 pose). As published the poses are world-to-camera although training takes them
  for camera-to-world; here they are what training takes them for.
- `openlrm`: `rgba/000.png …`, `pose/000.npy …` (3×4), `intrinsics.npy` (3×2: focal lengths, centre, size in pixels),
  or `intrinsics/000.npy …` where the views have different lenses, which is no part of the published layout.
- `hi3d`: `000.png …`, ring after ring. The layout has no poses; they are in `metadata.json` alone.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Layout = Literal["mira", "openlrm", "hi3d"]
LAYOUTS: tuple[Layout, ...] = ("mira", "openlrm", "hi3d")
HI3D_ELEVATIONS = (-10.0, 0.0, 10.0, 20.0, 30.0, 40.0)
HI3D_AZIMUTHS = 16

METADATA, SOLID = "metadata.json", "solid.npz"
FORMAT, VERSION = "set-dresser-views", 1


def picture_name(layout: Layout, index: int) -> str:
    """Where the picture of a view lies in an object's folder."""
    return f"rgba/{index:03d}.png" if layout == "openlrm" else f"{index:03d}.png"


def write_cameras(
    folder: Path, layout: Layout, poses: NDArray[np.float64], intrinsics: NDArray[np.float64], size: int
) -> None:
    """Writes the files of a layout that tell of cameras.

    Args:
        poses: [V, 4, 4] camera-to-world, OpenGL axes.
        intrinsics: [V, 3, 3] in units of the picture's size.
        size: of the pictures, in pixels.
    """
    if layout == "mira":
        for index, pose in enumerate(poses):
            np.save(folder / f"{index:03d}.npy", pose[:3])
    elif layout == "openlrm":
        (folder / "pose").mkdir()
        for index, pose in enumerate(poses):
            np.save(folder / "pose" / f"{index:03d}.npy", pose[:3])
        lenses = [np.array([[k[0, 0], k[1, 1]], [k[0, 2], k[1, 2]], [1, 1]]) * size for k in intrinsics]
        if all(np.array_equal(lens, lenses[0]) for lens in lenses):
            np.save(folder / "intrinsics.npy", lenses[0])
        else:
            (folder / "intrinsics").mkdir()
            for index, lens in enumerate(lenses):
                np.save(folder / "intrinsics" / f"{index:03d}.npy", lens)


def write_solid(folder: Path, cells: NDArray[np.bool_]) -> None:
    """Writes the solid of an object in its own box [−1, 1]³: one bit for each cell."""
    np.savez_compressed(folder / SOLID, cells=np.packbits(cells), shape=np.array(cells.shape))


def read_solid(data: bytes) -> NDArray[np.bool_]:
    """[n, n, n] of what `write_solid` wrote.

    Raises:
        ValueError, KeyError, OSError: it is something else.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        shape = tuple(int(side) for side in stored["shape"])
        return np.unpackbits(stored["cells"], count=int(np.prod(shape))).astype(bool).reshape(shape)


def write_metadata(
    folder: Path,
    layout: Layout,
    poses: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    more: dict[str, Any],
) -> None:
    """Writes `metadata.json`: the cameras of all views, and whatever else is known."""
    views = [
        {"picture": picture_name(layout, index), "pose": pose.tolist(), "intrinsics": lens.tolist()}
        for index, (pose, lens) in enumerate(zip(poses, intrinsics, strict=True))
    ]
    content = {
        "format": FORMAT,
        "version": VERSION,
        "layout": layout,
        "poses": "camera-to-world",
        **more,
        "views": views,
    }
    (folder / METADATA).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
