"""Small data sets in every layout, ours and as published, written from known cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.layouts import Layout, picture_name, write_cameras, write_metadata, write_solid
from training.render.drawing import Cameras, draw_cameras
from training.render.settings import DEFAULTS, Settings

SIZE = 16


def cameras(count: int = 5, **choices: Any) -> Cameras:
    """Some cameras around the origin."""
    return draw_cameras(Settings(views=count, size=SIZE, **choices), "known", np.zeros((1, 3)))


def picture(index: int) -> Image.Image:
    """A picture that is told apart by its red."""
    values = np.zeros((SIZE, SIZE, 4), np.uint8)
    values[4:12, 4:12] = (index, 100, 50, 255)
    values[3, 4:12] = (index, 100, 50, 128)
    return Image.fromarray(values)


def write_pictures(folder: Path, layout: Layout, count: int) -> Path:
    """Numbered pictures where the layout wants them."""
    for index in range(count):
        file = folder / picture_name(layout, index)
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(index).save(file)
    return folder


def write_ours(folder: Path, layout: Layout, known: Cameras, solid: np.ndarray | None = None) -> Path:
    """An object as `training.render` writes it."""
    write_pictures(folder, layout, len(known.poses))
    write_cameras(folder, layout, known.poses, known.intrinsics, SIZE)
    if solid is not None:
        write_solid(folder, solid)
    settings = {"span": DEFAULTS[layout].span}
    write_metadata(folder, layout, known.poses, known.intrinsics, {"settings": settings, "name": folder.name})
    return folder


def write_published_mira(folder: Path, known: Cameras) -> Path:
    """As MIRA's own script leaves it: world-to-camera, metadata that says nothing of cameras."""
    write_pictures(folder, "mira", len(known.poses))
    for index, pose in enumerate(known.poses):
        np.save(folder / f"{index:03d}.npy", np.linalg.inv(pose)[:3])
    (folder / "metadata.json").write_text('{"mesh_count": 1}')
    return folder
