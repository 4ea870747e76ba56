"""Registered meshes as props: the block-out's axes or z up, origin at the bottom centre, scale applied."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.placement import on_its_foot
from backend.registration.fit import Registration
from backend.registration.pose import upright
from backend.registration.snap import Box, snap_to_bounds, snap_to_ground
from backend.scene import Mesh, Prop

Floats = NDArray[np.float64]
Snap = Literal["none", "bounds", "axes"]


def stand(
    instance: int,
    name: str,
    mesh: Mesh,
    registration: Registration,
    *,
    box: Box | None = None,
    snap: Snap = "none",
    to_ground: bool = False,
) -> Prop:
    """A mesh where the registration puts it.

    Args:
        instance, name: whose mesh it is.
        mesh: in the frame that was registered. Texture and uv are kept.
        box: its block-out's bounds; the prop's own axes are the box's.
        snap: fit it into `box`: not at all, with one factor for all axes, or with one for each of the box's axes.
        to_ground: stand its lowest point on z = 0, after fitting it into the box.
    """
    vertices = registration.apply(mesh.vertices)
    if box is not None and snap != "none":
        vertices = _moved(vertices, snap_to_bounds(vertices[np.unique(mesh.faces)], box, per_axis=snap == "axes"))
    if to_ground:
        vertices = _moved(vertices, snap_to_ground(vertices[np.unique(mesh.faces)]))
    # The prop's own axes are those of its block-out, else those that the method gave it, as far as they are upright.
    turn = upright(math.radians(registration.yaw)) if box is None else box.pose[:3, :3]
    matrix = on_its_foot(vertices[np.unique(mesh.faces)], turn)[1]
    local = (vertices - matrix[:3, 3]) @ turn
    return Prop(instance, name, replace(mesh, vertices=local), matrix, registration.scale_source)


def stand_all(
    meshes: Mapping[int, Mesh],
    names: Mapping[int, str],
    registration: Registration,
    *,
    bounds: Mapping[int, Box] | None = None,
    snap: Snap = "none",
    to_ground: bool = False,
) -> list[Prop]:
    """Props of all meshes, in the order of their ids; see `stand`."""
    return [
        stand(
            number,
            names.get(number, ""),
            mesh,
            registration,
            box=(bounds or {}).get(number),
            snap=snap,
            to_ground=to_ground,
        )
        for number, mesh in sorted(meshes.items())
    ]


def _moved(points: Floats, matrix: Floats) -> Floats:
    moved: Floats = points @ matrix[:3, :3].T + matrix[:3, 3]
    return moved
