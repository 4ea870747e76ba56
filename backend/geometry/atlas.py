"""Room for one small patch of texture per triangle, beside one picture that many triangles share.

A patch is a lattice of texels laid over its triangle, with texel centres exactly on the corners and along two sides.
Inside such a lattice bilinear filtering never reads a neighbour's texel, so patches need no padding, and two texels
along a side are enough for colours that change evenly, and one for a triangle far smaller than the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CHART_BORDER = 2
"""Texels around the shared picture, so that filtering at its rim reads the picture."""


@dataclass(frozen=True)
class Lattice:
    """Texels of all patches, one after the other. patch: (T,) whose. x, y: (T,) which texel of the texture.

    shares: (T, 3) weights of the triangle's corners; beyond the third side they extrapolate by one texel.
    """

    patch: Integers
    x: Integers
    y: Integers
    shares: Floats


@dataclass(frozen=True)
class Atlas:
    """The layout of a texture: the shared picture in the upper left corner, patches beside and below.

    order: (P, 3) the corners of each patch's triangle, the one between the two shorter sides first.
    places, sizes: (P, 2) left and top texel, width and height of each patch.
    """

    width: int
    height: int
    order: Integers
    places: Integers
    sizes: Integers

    def corner_uv(self) -> Floats:
        """(P, 3, 2) texture coordinates of the patches' triangles, in the triangles' own order of corners."""
        right, down = self.sizes[:, 0] - 1, self.sizes[:, 1] - 1
        texel = np.repeat(self.places[:, None, :] + 0.5, 3, axis=1)
        texel[:, 1, 0] += right
        texel[:, 2, 1] += down
        corners = np.empty_like(texel)
        np.put_along_axis(corners, self.order[..., None], texel, axis=1)
        result: Floats = corners / (self.width, self.height)
        return result

    def lattice(self) -> Lattice:
        """All texels of all patches."""
        counts = self.sizes.prod(axis=1)
        patch = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(patch)) - np.repeat(np.cumsum(counts) - counts, counts)
        row, column = np.divmod(number, self.sizes[patch, 0])
        steps = np.maximum(self.sizes - 1, 1)
        across, down = column / steps[patch, 0], row / steps[patch, 1]
        # Only texels next to the triangle are ever filtered in; those farther out repeat them.
        squeeze = np.minimum(1.0, (1.0 + (1.0 / steps).sum(axis=1))[patch] / np.maximum(across + down, 1e-9))
        across, down = across * squeeze, down * squeeze
        shares = np.empty((len(patch), 3))
        np.put_along_axis(shares, self.order[patch], np.stack([1 - across - down, across, down], axis=1), axis=1)
        return Lattice(patch, self.places[patch, 0] + column, self.places[patch, 1] + row, shares)


def lay_out(corners: Floats, density: Floats, chart: tuple[int, int], largest: int) -> tuple[Atlas, float]:
    """Find room for a shared picture and one patch per triangle.

    Args:
        corners: (P, 3, D) the triangles, in any units.
        density: (P,) texels wanted per unit of length.
        chart: width and height of the shared picture, without its border.
        largest: longest side of the texture. It is exceeded only if there are more triangles than texels in it.

    Returns:
        The layout, and the scale, at most 1, by which everything had to be made smaller.
    """
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # side k runs from corner k to corner k + 1
    order = ((sides.argmax(axis=1) + 2)[:, None] + np.arange(3)) % 3
    lengths = np.stack([np.take_along_axis(sides, order[:, :1], 1), np.take_along_axis(sides, order[:, 2:], 1)], axis=1)
    wanted = lengths[..., 0] * density[:, None]
    scale = 1.0
    while True:
        # Along less than half a step one colour is enough.
        sizes = np.minimum(1 + np.ceil(wanted * scale - 0.5).clip(0), largest).astype(np.int64)
        room = (max(1, round(chart[0] * scale)) + 2 * CHART_BORDER, max(1, round(chart[1] * scale)) + 2 * CHART_BORDER)
        area = room[0] * room[1] + int(sizes.prod(axis=1).sum())
        if area <= largest**2:
            atlas = _pack(order, sizes, room, max(math.isqrt(area) + 1, room[0], int(sizes[:, 0].max(initial=1))))
            if max(atlas.width, atlas.height) <= largest:
                return atlas, scale
            atlas = _pack(order, sizes, room, largest)
            if atlas.height <= largest and room[0] <= largest:
                return atlas, scale
        if scale < 0.01:
            largest *= 2
        else:
            scale *= 0.9


def _pack(order: Integers, sizes: Integers, chart: tuple[int, int], width: int) -> Atlas:
    """Shelf by shelf, the highest patches first; neighbours in the list stay neighbours where they are equally high."""
    places = np.empty_like(sizes)
    x, y, shelf = chart[0], 0, 0
    by_height = np.argsort(-sizes[:, 1], kind="stable")
    for patch, (across, down) in zip(by_height.tolist(), sizes[by_height].tolist(), strict=True):
        while x + across > width:
            y += shelf or max(chart[1] - y, 1)
            x, shelf = (chart[0] if y < chart[1] else 0), 0
        places[patch] = x, y
        x += across
        shelf = shelf or down
    return Atlas(width, max(y + shelf, chart[1]), order, places, sizes)
