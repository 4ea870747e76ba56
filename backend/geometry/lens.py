"""A closed surface over a mask: a front and a back sheet that share the outline, like a lens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.geometry.inflation import inflate
from backend.geometry.planar import mesh_mask

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Lens:
    """A closed triangle mesh in the picture: every vertex lies on the ray of a pixel, only its depth is relative.

    pixels: (N, 2) pixel coordinates x, y; first the front sheet with the rim, then the inside of the back sheet.
    offset: (N,) signed half thickness in pixels: negative towards the camera, positive away from it, 0 on the rim.
    faces: (M, 3) counter-clockwise seen from outside, in the picture (x right, y down, depth away from the viewer).
    back_faces: (M,) True on the back sheet.
    thickness: the factor contained in `offset`.
    """

    pixels: Floats
    offset: Floats
    faces: Integers
    back_faces: Mask
    thickness: float = 1.0


def make_lens(mask: Mask, detail: int = 256, speck: int = 32, thickness: float = 1.0) -> Lens:
    """Inflate a mask: one closed body per component, with a tunnel for every hole.

    Args:
        mask: HxW bool.
        detail, speck: see `mesh_mask`.
        thickness: see `inflate`.

    Raises:
        ValueError: the mask is empty.
    """
    planar = mesh_mask(mask, detail, speck)
    half = inflate(planar, thickness)
    inner = np.nonzero(~planar.boundary)[0]
    front = len(half)
    behind = np.arange(front)
    behind[inner] = front + np.arange(len(inner))
    # With y down, a planar face of positive area runs clockwise for the viewer: the back sheet keeps its sense.
    return Lens(
        pixels=np.concatenate([planar.vertices, planar.vertices[inner]]),
        offset=np.concatenate([-half, half[inner]]),
        faces=np.concatenate([planar.faces[:, ::-1], behind[planar.faces]]),
        back_faces=np.repeat([False, True], len(planar.faces)),
        thickness=thickness,
    )
