"""Textured meshes as a camera sees them, one ray per pixel: what a renderer would show without any light."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.camera import Camera
from backend.geometry.sight import look
from backend.scene import Mesh

Floats = NDArray[np.float64]


def sample(texture: NDArray[np.uint8], uv: Floats) -> Floats:
    """(N, 3) colours 0 to 255 at (N, 2) coordinates of glTF's convention, with bilinear filtering."""
    height, width = texture.shape[:2]
    places = (uv * (width, height) - 0.5).T[::-1]
    bands = [
        ndimage.map_coordinates(texture[..., band].astype(float), places, order=1, mode="nearest") for band in range(3)
    ]
    return np.stack(bands, axis=1)


def photograph(meshes: Mapping[int, Mesh], camera: Camera) -> tuple[NDArray[np.int64], Floats]:
    """Labels HxW (0 = nothing) and colours HxWx3 (NaN = nothing)."""
    labels = np.zeros((camera.height, camera.width), dtype=np.int64)
    colours = np.full((camera.height, camera.width, 3), np.nan)
    nearest = np.zeros((camera.height, camera.width))
    for instance, mesh in meshes.items():
        sight = look(mesh, camera)
        wins = sight.nearness > nearest[sight.window]
        rows, columns = np.nonzero(wins)
        rows, columns = rows + sight.window[0].start, columns + sight.window[1].start
        which = sight.triangle[wins]
        rays = camera.directions(np.stack([columns, rows], axis=1) + 0.5)
        # position + t * ray = start + a * one + b * two
        start, one, two = (mesh.vertices[mesh.faces[which, corner]] for corner in range(3))
        one, two = one - start, two - start
        solved = np.linalg.solve(np.stack([one, two, -rays], axis=2), (camera.position - start)[..., None])[..., 0]
        shares = np.column_stack([1 - solved[:, 0] - solved[:, 1], solved[:, :2]])
        uv = np.einsum("nc,ncd->nd", shares, mesh.corner_uv[which])
        colours[rows, columns] = sample(mesh.texture, uv)
        labels[rows, columns] = instance
        nearest[rows, columns] = sight.nearness[wins]
    return labels, colours
