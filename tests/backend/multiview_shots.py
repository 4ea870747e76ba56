"""Pictures of a stool with the cameras that took them, for `multiview`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from backend.camera import Camera
from backend.contract import GenerateRequest, Photo
from models.lrm.cameras import spherical_poses
from models.multiview.views import Cameras
from models.rendering import preview
from tests.models.rendering.solids import Mesh, box, joined

WIDTH, HEIGHT = 160, 120
PLACE = (2.0, -1.0, 0.5)
"""Metres: where the middle of the stool stands."""


@cache
def stool() -> Mesh:
    """A seat on a foot, metres: 0.8 wide, 0.6 deep, 1 high."""
    return joined(box((0.4, 0.3, 0.1), (2.0, -1.0, 0.9)), box((0.12, 0.2, 0.4), (2.0, -1.0, 0.4)))


def shades(points: torch.Tensor) -> torch.Tensor:
    """Colours of the stool."""
    return (0.5 + 0.3 * torch.sin(5 * points) + 0.1 * torch.sin(23 * points[:, [1, 2, 0]])).clamp(0.05, 0.95)


def cameras(count: int, elevations: Sequence[float] = (5.0, 35.0), width: int = WIDTH) -> list[Camera]:
    """Around the stool, above and below in turns; the pictures are not square."""
    angles = [360.0 * index / count - 90.0 for index in range(count)]
    tilts = [elevations[index % len(elevations)] for index in range(count)]
    found = []
    for pose in spherical_poses(angles, tilts, 3.2).double().numpy():
        pose[:3, 3] += PLACE
        size = {"width": width, "height": width * HEIGHT // WIDTH}
        lens = {"fx": 1.2 * width, "fy": 1.2 * width, "cx": 0.5 * width + 3.0, "cy": 0.375 * width}
        found.append(Camera.model_validate({**lens, **size, "world_from_camera": pose.tolist()}))
    return found


def picture(camera: Camera, mesh: Mesh | None = None) -> NDArray[np.uint8]:
    """HxWx4, straight alpha: what a camera sees."""
    lens = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    taken = Cameras(torch.tensor(camera.matrix)[None], torch.tensor(lens)[None], camera.width, camera.height)
    view = preview(
        *(mesh or stool()), taken.camera(0), shades, width=camera.width, height=camera.height, samples=3, background=0.0
    )
    straight = view.colour / view.mask.clamp(min=1e-6)[..., None]
    both = torch.cat([straight.clamp(0, 1), view.mask[..., None].clamp(0, 1)], dim=2)
    return (both * 255).round().to(torch.uint8).numpy()


def as_file(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def request_of(
    taken: Sequence[Camera | None], parameters: dict[str, Any], seed: int = 0, **others: Any
) -> GenerateRequest:
    photos = [Photo(name=f"Photo {number}", camera=camera) for number, camera in enumerate(taken, 1)]
    fields = {"pipeline": "multiview", "name": "Stool", **others}
    return GenerateRequest(parameters=parameters, seed=seed, photos=photos, **fields)


def write_views(folder: Path, count: int, parameters: dict[str, Any], seed: int, **others: Any) -> Path:
    """A job of the stool's views as the server writes it down."""
    taken = cameras(count)
    (folder / "inputs").mkdir(parents=True)
    request = request_of(taken, parameters, seed, **others)
    (folder / "request.json").write_text(request.model_dump_json(), encoding="utf-8")
    for index, camera in enumerate(taken):
        (folder / "inputs" / f"image-{index}.bin").write_bytes(as_file(picture(camera)))
    return folder
