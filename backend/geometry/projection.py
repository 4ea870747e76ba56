"""Colours from the picture: what the camera sees takes the picture's pixels, the rest is filled from them.

Three rules keep it good to look at. Only pixels that are certainly the instance's own give colour, so nothing of the
background or of another instance gets on a mesh. What is not seen takes its colour from a function of the place in
space (`colour_field.py`), so it has no seams. And wherever what is seen ends on a surface that goes on, by occlusion
or by turning away, the picture fades into that function, so there is no line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.camera import Camera
from backend.geometry.atlas import CHART_BORDER, Lattice, lay_out
from backend.geometry.colour_field import CELLS, ColourField
from backend.geometry.pyramid import push_pull
from backend.geometry.sight import Sight, centres, look, smoothstep
from backend.geometry.texture import CONTEXT, own_pixels, resized
from backend.scene import Mesh

Floats = NDArray[np.float64]
Values = NDArray[np.float32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

GREY = 150
"""sRGB of what nothing is known of."""

GRAZING = 0.1, 0.4
"""Cosine between surface and view from which the picture begins to count, and counts fully."""

FLATNESS = 0.08
"""How much depth counts against width when colours are carried over. It is small, so that colours go straight back
from where they are seen: the back of a chair looks like its front, only softer, and its side like the front's edge."""


def paint_scene(
    meshes: Mapping[int, Mesh],
    picture: Pixels,
    labels: NDArray[np.uint16],
    camera: Camera,
    texture_size: int,
    each: Callable[[list[int], Callable[[int], Mesh]], dict[int, Mesh]] | None = None,
) -> dict[int, Mesh]:
    """Give every mesh of a scene a texture. Vertices and triangles stay as they are.

    Args:
        meshes: instance -> mesh, vertices in the world.
        picture: HxWx4 uint8 sRGB, straight alpha.
        labels: HxW, which pixel belongs to which instance.
        camera: of the picture, HxW.
        texture_size: longest side of each texture; what needs less gets less. More only where a mesh has more
            triangles than the texture has texels.
        each: calls a function for one instance after the other and gives what came of each; it may report, and leave
            out what fails. None: a plain loop.

    Returns:
        instance -> mesh with `corner_uv` and `texture`. An instance that is seen nowhere has the mean colour of its
        mask, and is grey if it has none.
    """
    sights = {instance: look(mesh, camera) for instance, mesh in meshes.items()}
    nearest = np.zeros((camera.height, camera.width))
    for sight in sights.values():
        nearest[sight.window] = np.maximum(nearest[sight.window], sight.nearness)

    def paint(instance: int) -> Mesh:
        mesh, sight = meshes[instance], sights[instance]
        mask = (labels == instance) & (picture[..., 3] > 127)
        visible = mask.copy()
        visible[sight.window] &= sight.in_front(nearest[sight.window])
        own = _own_colours(picture, visible, sight.window)
        fade = sight.fade(sight.seen(visible[sight.window], nearest[sight.window]))
        share = np.zeros(fade.shape)
        share[sight.drawn] = fade[sight.drawn] * _turned(sight.facing_of_pixels())
        if own is not None and share.any():
            return _paint(mesh, sight, own, fade, share, texture_size)
        return _plain(mesh, picture[mask, :3])

    return each(list(meshes), paint) if each else {instance: paint(instance) for instance in meshes}


def _plain(mesh: Mesh, colours: Pixels) -> Mesh:
    """The mesh in the mean of (N, 3) colours."""
    colour = np.rint(colours.mean(axis=0)) if len(colours) else np.full(3, GREY)
    texture = np.broadcast_to(colour.astype(np.uint8), (4, 4, 3)).copy()
    return replace(mesh, uv=None, corner_uv=np.full((len(mesh.faces), 3, 2), 0.5), texture=texture)


def _own_colours(picture: Pixels, mask: Mask, window: tuple[slice, slice]) -> Values | None:
    """h x w x 3, the picture where it shows the instance, continued with the instance's own colours elsewhere.

    None if the window shows nothing of it.
    """
    around = tuple(slice(max(side.start - CONTEXT, 0), side.stop + CONTEXT) for side in window)
    within = tuple(
        slice(side.start - outer.start, side.stop - outer.start) for side, outer in zip(window, around, strict=True)
    )
    if not mask[window].any():
        return None
    own = own_pixels(picture[around], mask[around])[within]
    if not own.any():
        return None
    sums = np.concatenate([picture[window][..., :3] * own[..., None], own[..., None]], axis=2, dtype=np.float32)
    return push_pull(sums)[0]


def _paint(mesh: Mesh, sight: Sight, own: Values, fade: Floats, share: Floats, texture_size: int) -> Mesh:
    """The mesh with a texture: one chart, a part of the picture, and patches for all that cannot share it.

    Args:
        own: h x w x 3, the instance's colours in the window. fade: h x w, see `Sight.fade`.
        share: h x w, how much the picture counts at each pixel, 0 to 1, somewhere more than 0.
    """
    shared = sight.shares_the_picture()
    left, top, right, bottom = _bounds(sight.pixels[sight.faces[shared]], sight)
    apart = np.flatnonzero(~shared)
    corners = sight.points[sight.faces[apart]]
    density = _density(sight, share)[apart]
    atlas, scale = lay_out(corners, density, (right - left, bottom - top), texture_size)
    lattice = atlas.lattice()
    patches = _Patches(sight, own, fade, apart, lattice)

    known = share > 0
    field = ColourField(
        _flattened(sight.points[sight.points[:, 2] > 0]), _flattened(_places(sight, known)), own[known], share[known]
    )
    faded = sight.drawn & (share < 1)
    chart = own.copy()
    chart[faded] = _mixed(own[faded], share[faded], field.at(_flattened(_places(sight, faded))))
    chart = chart[top:bottom, left:right]

    texture = np.empty((atlas.height, atlas.width, 3), dtype=np.float32)
    texture[:] = own[known].mean(axis=0)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    if chart.size:
        bands = [resized(np.ascontiguousarray(chart[..., band]), size) for band in range(3)]
        border = (CHART_BORDER, CHART_BORDER)
        bordered = np.pad(np.dstack(bands), (border, border, (0, 0)), mode="edge")
        texture[: bordered.shape[0], : bordered.shape[1]] = bordered
    texture[lattice.y, lattice.x] = _mixed(patches.colours, patches.share, field.at(_flattened(patches.points)))

    corner_uv = np.empty((len(mesh.faces), 3, 2))
    corner_uv[apart] = atlas.corner_uv()
    stretch = np.array(size) / np.maximum((right - left, bottom - top), 1)
    texels = (sight.pixels[sight.faces[shared]] - (left, top)) * stretch + CHART_BORDER
    corner_uv[shared] = texels / (atlas.width, atlas.height)
    return replace(mesh, uv=None, corner_uv=corner_uv, texture=np.rint(texture).clip(0, 255).astype(np.uint8))


class _Patches:
    """All texels of the patches: where they are in space, and what the picture says about them.

    points: (T, 3) camera coordinates. colours: (T, 3) of the picture there.
    share: (T,) how much the picture counts.
    """

    def __init__(self, sight: Sight, own: Values, fade: Floats, faces: Integers, lattice: Lattice) -> None:
        face = faces[lattice.patch]
        self.points = np.einsum("ti,tij->tj", lattice.shares, sight.points[sight.faces[face]])
        ahead = self.points[:, 2] > 1e-9
        safe = np.where(ahead[:, None], self.points, (0.0, 0.0, 1.0))
        pixels = sight.lens.project(safe)
        height, width = fade.shape
        inside = ahead & ((pixels >= 0) & (pixels < (width, height))).all(axis=1)
        column, row = np.floor(np.where(inside[:, None], pixels, 0.0)).astype(np.int64).T
        flat, facing = sight.flat[face], np.einsum("ti,ti->t", lattice.shares, sight.facing[face])
        before = sight.nearness[row, column]
        # Within its pixel the surface may come nearer by as much as it is steep.
        slack = 1 + 2 / (sight.lens.fx * np.maximum(flat, 0.1))
        visible = inside & (flat > 0) & (before > 0) & (slack / safe[:, 2] >= before)
        places = pixels.T[::-1] - 0.5
        places = np.where(inside, places, 0.0)
        bands = [ndimage.map_coordinates(own[..., band], places, order=1, mode="nearest") for band in range(3)]
        self.colours = np.stack(bands, axis=1)
        fading = ndimage.map_coordinates(fade, places, order=1, mode="nearest")
        self.share = np.where(visible, fading * _turned(facing), 0.0)


def _turned(facing: Floats) -> Floats:
    """How much the picture counts on a surface that turns away from it."""
    return smoothstep((facing - GRAZING[0]) / (GRAZING[1] - GRAZING[0]))


def _density(sight: Sight, share: Floats) -> Floats:
    """(F,) texels per unit of length: the picture's pixels where it is seen, the field's cells elsewhere."""
    depth = np.maximum(sight.points[sight.faces, 2].mean(axis=1), 1e-9)
    of_picture = sight.lens.fx / depth
    of_field = CELLS / max(float(np.ptp(sight.points, axis=0).max()), 1e-12)
    seen = np.bincount(sight.triangle[share > 0], minlength=len(sight.faces)) > 0
    density: Floats = np.where(seen, of_picture, np.minimum(of_picture, of_field))
    return density


def _bounds(pixels: Floats, sight: Sight) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the window that triangles (N, 3, 2) touch; all 0 for none."""
    if not len(pixels):
        return 0, 0, 0, 0
    low, high = np.floor(pixels.min(axis=(0, 1))), np.ceil(pixels.max(axis=(0, 1)))
    (left, top), (right, bottom) = low.astype(int).tolist(), high.astype(int).tolist()
    return left, top, min(max(right, left + 1), sight.lens.width), min(max(bottom, top + 1), sight.lens.height)


def _places(sight: Sight, mask: Mask) -> Floats:
    """(N, 3) camera coordinates of what is seen at a mask's pixels."""
    return sight.lens.unproject(centres(mask), 1 / sight.nearness[mask])


def _flattened(points: Floats) -> Floats:
    """Camera coordinates (N, 3) so that one ray is one line, with little depth."""
    depth = np.maximum(points[:, 2:], 1e-9)
    flattened: Floats = np.concatenate([points[:, :2] / depth, FLATNESS * np.log(depth)], axis=1)
    return flattened


def _mixed(colours: Values, share: Floats, others: Values) -> Values:
    return (others + (colours - others) * share[:, None]).astype(np.float32)
