"""What a job keeps beside its props, as the published programs write it: a video of the field, and each mesh as .ply.

The published programs draw random depths along every ray, and make 8 bits of colours beyond 0 to 1 as they are; here a
video is the same every time, colours are limited, and empty space is not asked for (`models/lrm/occupancy.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray

from backend.pipelines import film
from backend.pipelines.context import Context
from backend.pipelines.running import Tell
from models.isosurface import Triangles
from models.lrm import pictures
from models.lrm.cameras import ORBIT_VIEWS, Orbit, orbit_poses
from models.lrm.fields import DensityField
from models.rendering.colours import ask

VIEWS, RATE = ORBIT_VIEWS, 40
"""Pictures of an orbit, and how many of them a second shows, as published."""

ORBITS: dict[str, Orbit] = {"mira": "mira", "openlrm": "openlrm-1.1"}

TRIED = 4096
"""Vertices whose colours are looked at before a video is made."""


def keep_video(
    number: int,
    drawn: Triangles,
    field: DensityField,
    orbit: str,
    side: int,
    samples: int,
    context: Context,
    tell: Tell,
) -> str:
    """Render the field from all round and keep the video; returns its name.

    Args:
        number: of the instance.
        drawn: its surface.
        orbit: a key of `ORBITS`.
        side: pixels of a picture. samples: along each of its rays.

    Raises:
        Problem: "video-failed".
        FieldError: the field has no numbers.
    """
    name = f"orbit-{number}.mp4"
    ask(field.colour, torch.from_numpy(drawn.vertices[:TRIED]).to(field.planes.device))

    def all_round() -> Iterator[film.Pixels]:
        tell(0.0)
        for index, picture in enumerate(pictures.film(field, orbit_poses(ORBITS[orbit], VIEWS), side, samples)):
            yield picture.numpy()
            tell((index + 1) / VIEWS)

    context.keep(name, film.encoded(all_round(), side, RATE, "video"))
    return name


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
    return cast(bytes, mesh.export(file_type="ply"))
