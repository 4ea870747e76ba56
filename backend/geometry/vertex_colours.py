"""One colour for each vertex in place of a texture."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.scene import Mesh

Carrier = Literal["texture", "vertices", "none"]


def carried(mesh: Mesh, colour: Carrier) -> Mesh:
    """A mesh with a texture of its own as it is, with the same colours at its vertices instead, or without any."""
    if colour == "texture" or mesh.texture is None:
        return mesh
    bare = replace(mesh, uv=None, corner_uv=None, texture=None, alpha_cutoff=None)
    return bare if colour == "none" else replace(bare, colours=vertex_colours(mesh))


def vertex_colours(mesh: Mesh) -> NDArray[np.uint8]:
    """(V, 3) uint8 sRGB: of each vertex the mean of the texels at its corners; grey where no face uses it.

    Raises ValueError: the mesh has no texture, or no coordinates in it for the corners of its faces.
    """
    if mesh.texture is None or mesh.corner_uv is None:
        raise ValueError("the mesh has no texture that its corners refer to")
    height, width = mesh.texture.shape[:2]
    texels = np.floor(mesh.corner_uv.reshape(-1, 2) * (width, height)).astype(np.int64)
    columns, rows = np.clip(texels, 0, (width - 1, height - 1)).T
    colours = mesh.texture[rows, columns, :3].astype(np.float64)
    corners = mesh.faces.ravel()
    count = np.bincount(corners, minlength=len(mesh.vertices))
    sums = np.stack([np.bincount(corners, channel, len(mesh.vertices)) for channel in colours.T], axis=1)
    mean = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], 128)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8)
