"""What a camera sees of one mesh: which triangle at which pixel, how squarely, and where what is seen ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.camera import Camera
from backend.geometry.gltf import vertex_normals
from backend.geometry.raster import Lens, fragments
from backend.scene import Mesh

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

SMOOTHNESS = 0.2
"""Most by which the cosine to the view is smoothed over a triangle's neighbours; beyond it an edge is an edge."""

FADE = 4
"""Pixels over which the picture fades where what is seen ends on a surface that goes on."""

OUTSIDE = 3
"""Pixels by which a mesh may reach out of its mask and still count as seen."""

IN_FRONT = 0.01
"""Share of the distance by which another mesh must be nearer to hide a pixel that has the instance's label."""

STEEPEST = 10.0
"""Pixels of depth per pixel: neighbours that differ by more are not one surface."""

BEND = 0.5
"""Pixels by which a triangle that shares the picture may bend it: texture coordinates are linear on the triangle,
perspective is not. On others every texel is projected by itself."""


@dataclass(frozen=True)
class Sight:
    """A mesh in the picture.

    window: rows and columns that it touches, h x w. lens: the camera's for that window.
    points: (V, 3) camera coordinates (x right, y down, z ahead). faces: (F, 3).
    pixels: (V, 2) in the window, NaN behind the camera.
    facing: (F, 3) cosine between surface and view at each corner, smooth over smooth surfaces; flat: (F,) the
        triangle's own, negative where the camera sees its back.
    triangle: h x w the nearest triangle, -1 for none. nearness: h x w, 1 / depth, 0 for none.
    hidden: (F,) True where something of the mesh itself lies before one of the triangle's pixels.
    """

    window: tuple[slice, slice]
    lens: Lens
    points: Floats
    faces: Integers
    pixels: Floats
    facing: Floats
    flat: Floats
    triangle: Integers
    nearness: Floats
    hidden: Mask

    @property
    def drawn(self) -> Mask:
        """h x w, True where the mesh is."""
        drawn: Mask = self.triangle >= 0
        return drawn

    def in_front(self, nearest: Floats) -> Mask:
        """h x w, True where no other mesh lies clearly before this one, nor where this one is not.

        Args:
            nearest: h x w, 1 / depth of the nearest of all meshes.
        """
        in_front: Mask = self.nearness * (1 + IN_FRONT) >= nearest
        return in_front

    def seen(self, mask: Mask, nearest: Floats) -> Mask:
        """h x w, True where the picture shows this mesh: it has the label, give or take `OUTSIDE` pixels, and nothing
        lies clearly in front.

        Args:
            mask: h x w, the instance's label. nearest: as in `in_front`.
        """
        near_mask = ndimage.binary_dilation(mask, iterations=OUTSIDE)
        seen: Mask = self.drawn & near_mask & self.in_front(nearest)
        return seen

    def fade(self, seen: Mask) -> Floats:
        """h x w, 0 where nothing is seen, 1 where it is, rising over `FADE` pixels along the surface.

        It does not fall towards the outline, where the surface turns away by itself or breaks off.
        """
        distance = np.where(self.drawn & ~seen, 0.0, FADE)
        ways = [
            (np.s_[1:, :], np.s_[:-1, :]),
            (np.s_[:-1, :], np.s_[1:, :]),
            (np.s_[:, 1:], np.s_[:, :-1]),
            (np.s_[:, :-1], np.s_[:, 1:]),
        ]
        for here, there in ways:
            # Behind an edge of its own the surface goes on unseen; its last pixel is a mixture.
            behind = self.nearness[there] > self.nearness[here] * (1 + STEEPEST / self.lens.fx)
            distance[here][behind & self.drawn[here]] = 0.0
        joined = [self._joined(self.nearness[here], self.nearness[there]) for here, there in ways]
        for _ in range(FADE):
            for (here, there), one_surface in zip(ways, joined, strict=True):
                np.minimum(distance[here], distance[there] + np.where(one_surface, 1, FADE), out=distance[here])
        return smoothstep(distance / FADE)

    def _joined(self, one: Floats, other: Floats) -> Mask:
        joined: Mask = np.abs(one - other) <= STEEPEST / self.lens.fx * np.minimum(one, other)
        return joined

    def facing_of_pixels(self) -> Floats:
        """(N,) the cosine to the view at every drawn pixel."""
        which = self.triangle[self.drawn]
        start, one, two = (self.pixels[self.faces[which, corner]] for corner in range(3))
        one, two, here = one - start, two - start, centres(self.drawn) - start
        area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
        across = ((here[:, 0] * two[:, 1] - here[:, 1] * two[:, 0]) / area).clip(0, 1)
        down = ((one[:, 0] * here[:, 1] - one[:, 1] * here[:, 0]) / area).clip(0, 1 - across)
        corner = self.facing[which]
        facing: Floats = corner[:, 0] * (1 - across - down) + corner[:, 1] * across + corner[:, 2] * down
        return facing

    def shares_the_picture(self) -> Mask:
        """(F,) True where a triangle can use the picture as its texture: all of it is seen, from outside, and so
        small or so level that linear texture coordinates do."""
        pixels, depth = self.pixels[self.faces], self.points[self.faces, 2]
        with np.errstate(invalid="ignore"):
            inside = ((pixels >= 0) & (pixels <= (self.lens.width, self.lens.height))).all(axis=(1, 2))
        shared = inside & (self.flat > 0) & ~self.hidden
        pixels, depth = pixels[shared], depth[shared]
        # The middle of an edge is seen at the share z0 / (z0 + z1) of its length instead of at one half.
        length = np.linalg.norm(pixels - np.roll(pixels, 1, axis=1), axis=2)
        other = np.roll(depth, 1, axis=1)
        bend = (length * np.abs(depth - other) / (2 * (depth + other))).max(axis=1)
        # One too small to cover a pixel centre is judged by the pixel in which its middle lies.
        column, row = np.floor(pixels.mean(axis=1)).astype(np.int64).T
        before = self.nearness[row.clip(0, self.lens.height - 1), column.clip(0, self.lens.width - 1)]
        not_behind = (1 / depth).mean(axis=1) * (1 + STEEPEST / self.lens.fx) >= before
        shared[shared] = (bend <= BEND) & not_behind
        return shared


def look(mesh: Mesh, camera: Camera) -> Sight:
    """Draw a mesh, vertices in the world, as the camera sees it; triangles that reach behind it are left out."""
    to_camera = camera.matrix[:3, :3] * (1.0, -1.0, -1.0)
    points = (mesh.vertices - camera.position) @ to_camera
    pixels, depth = camera.project(mesh.vertices)
    size = np.array([camera.width, camera.height])
    low, high = np.zeros(2, dtype=np.int64), size * bool((depth > 0).any())
    if (depth > 0).all() and len(depth):
        low = np.floor(pixels.min(axis=0)).clip(0, size).astype(np.int64)
        high = np.ceil(pixels.max(axis=0)).clip(low, size).astype(np.int64)
    (left, top), (width, height) = low.tolist(), (high - low).tolist()
    lens = Lens(camera.fx, camera.fy, camera.cx - left, camera.cy - top, width, height)

    drawn = fragments(points, mesh.faces, np.zeros(len(mesh.faces), dtype=bool), lens)
    nearness = np.zeros(width * height)
    np.maximum.at(nearness, drawn.pixel, drawn.nearness)
    wins = drawn.nearness == nearness[drawn.pixel]
    triangle = np.full(width * height, -1)
    triangle[drawn.pixel[wins]] = drawn.triangle[wins]
    hidden = np.zeros(len(mesh.faces), dtype=bool)
    hidden[drawn.triangle[drawn.nearness < 0.999 * nearness[drawn.pixel]]] = True

    one, two, three = (points[mesh.faces[:, corner]] for corner in range(3))
    flat = _cosine(np.cross(two - one, three - one), one + two + three)
    smooth = _cosine(vertex_normals(mesh) @ to_camera, points)[mesh.faces]
    return Sight(
        window=(slice(top, top + height), slice(left, left + width)),
        lens=lens,
        points=points,
        faces=mesh.faces,
        pixels=pixels - low,
        facing=smooth.clip(flat[:, None] - SMOOTHNESS, flat[:, None] + SMOOTHNESS),
        flat=flat,
        triangle=triangle.reshape(height, width),
        nearness=nearness.reshape(height, width),
        hidden=hidden,
    )


def centres(mask: Mask) -> Floats:
    """(N, 2) pixel coordinates of the centres of a mask's pixels."""
    rows, columns = np.nonzero(mask)
    return np.stack([columns, rows], axis=1).astype(np.float64) + 0.5


def smoothstep(share: Floats) -> Floats:
    """0 below 0, 1 above 1, level at both ends."""
    share = share.clip(0, 1)
    smooth: Floats = share * share * (3.0 - 2.0 * share)
    return smooth


def _cosine(normals: Floats, points: Floats) -> Floats:
    """(N,) between normals and the directions from points to the origin, where the camera is."""
    lengths: Floats = np.sqrt((normals**2).sum(axis=1) * (points**2).sum(axis=1))
    cosine: Floats = -(normals * points).sum(axis=1) / np.maximum(lengths, 1e-300)
    return cosine
