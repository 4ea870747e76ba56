"""What a job keeps beside its props, as the published programs write it: a video of the field, and each mesh as .ply.

The published program takes OpenLRM's colours beyond 0 to 1 as they are when it makes 8 bits of them, and draws random
depths along every ray; here colours are limited, and a video is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray

from backend.pipelines import film
from backend.pipelines.base import Context
from backend.pipelines.running import Tell
from models.isosurface import FieldError, Triangles
from models.lrm.cameras import LENS, Orbit, camera_rays, orbit_poses
from models.lrm.fields import DensityField
from models.lrm.volume import render_rays
from models.rendering.colours import ask

VIEWS, RATE = 160, 40
"""Pictures of an orbit, and how many of them a second shows, as published."""

ORBITS: dict[str, Orbit] = {"mira": "mira", "openlrm": "openlrm-1.1"}


def keep_video(
    number: int, field: DensityField, orbit: str, side: int, samples: int, context: Context, tell: Tell
) -> str:
    """Render the field from all round and keep the video; returns its name.

    Args:
        number: of the instance.
        orbit: a key of `ORBITS`.
        side: pixels of a picture. samples: along each of its rays.

    Raises:
        Problem: "video-failed".
        FieldError: the field has no numbers.
    """
    name = f"orbit-{number}.mp4"

    def pictures() -> Iterator[film.Pixels]:
        for index, pose in enumerate(orbit_poses(ORBITS[orbit], VIEWS)):
            tell(index / VIEWS)
            yield view(field, pose, side, samples)

    context.keep(name, film.encoded(pictures(), side, RATE, "video"))
    return name


def view(field: DensityField, pose: torch.Tensor, side: int, samples: int) -> film.Pixels:
    """A picture of the field, side x side x 3, on white.

    Args:
        pose: [4, 4]. side, samples: see `keep_video`.

    Raises:
        FieldError: the field has no numbers.
    """
    origins, directions = (each[0].to(field.planes) for each in camera_rays(pose[None], LENS, side, side))
    colour = render_rays(field, origins, directions, samples).colour
    if not bool(colour.isfinite().all()):
        raise FieldError("The network gave a colour that is not a finite number.")
    return (colour.clamp(0, 1) * 255).round().to(torch.uint8).reshape(side, side, 3).cpu().numpy()


def keep_ply(number: int, drawn: Triangles, field: DensityField, context: Context, tell: Tell) -> str:
    """Keep a surface with the field's colours at its vertices; returns the name of the file.

    Raises:
        FieldError: the field has no numbers.
    """
    name = f"mesh-{number}.ply"
    points = torch.from_numpy(drawn.vertices).to(field.planes.device)
    colours = (ask(field.colour, points, progress=tell) * 255).round().to(torch.uint8).cpu().numpy()
    context.keep(name, ply(drawn.vertices, drawn.faces, colours))
    return name


def ply(vertices: NDArray[np.float32], faces: NDArray[np.int32], colours: NDArray[np.uint8]) -> bytes:
    """A binary PLY. vertices: (V, 3). faces: (F, 3). colours: (V, 3)."""
    mesh = trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False)
    data: bytes = mesh.export(file_type="ply")
    return data
