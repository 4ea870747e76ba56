"""A short video all round a prop."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from backend.geometry.cleanup import Cleaned
from backend.pipelines import film
from backend.pipelines.context import Context
from backend.pipelines.instantmesh.reconstruct import Solid
from models.lrm.cameras import circular_poses
from models.rendering import Camera, preview

FRAMES, RATE = 60, 20
"""Pictures all round, and how many of them a second shows."""

SIDE, SAMPLES = 512, 2
DISTANCE, ELEVATION, FIELD_OF_VIEW = 4.5, 20.0, 30.0
"""Of the camera from the middle of the reconstruction, as published: its units, and degrees."""


def keep_turntable(
    solid: Solid, shape: Cleaned, coloured: bool, context: Context, tell: Callable[[float], None]
) -> str:
    """Render the video and keep it with the job; returns its name. The camera goes once round the prop.

    Raises:
        Problem: "video-failed" if it cannot be encoded.
    """
    name = f"turntable-{solid.picked.subject.instance}.mp4"
    device = solid.field.planes.device
    vertices, faces = torch.from_numpy(shape.vertices).float().to(device), torch.from_numpy(shape.faces).to(device)

    def pictures() -> Iterator[film.Pixels]:
        for index, pose in enumerate(circular_poses(FRAMES, DISTANCE, ELEVATION)):
            tell(index / FRAMES)
            camera = Camera.perspective(pose, FIELD_OF_VIEW)
            field = solid.field.colour if coloured else None
            seen = preview(vertices, faces, camera, field, width=SIDE, samples=SAMPLES)
            yield (seen.colour * 255).round().to(torch.uint8).cpu().numpy()

    context.keep(name, film.encoded(pictures(), SIDE, RATE, "turntable"))
    return name
