"""Ground that is seen through an object: between the legs of a chair, between the spindles of its back.

A small network fills such openings in, and is sure of it. Two witnesses must agree before one is opened:

1. *Colour*. Inside of what the network took for object, spots that are smooth or in the ground's colour are compared
   with the ground nearby, continued across the thin part between (normalised convolution, as on a plain ground). A
   spot that looks like it is ground from then on, and bears witness for those behind it.
2. *A closer look*. Shown the spot and what is around it alone, the network itself doubts that there is an object.
   So a white door before a white wall stays.

Along the rim of what is opened a pixel is explained as a mixture of the object's and the ground's colour nearby.
All lengths are in pixels at reduced size, all colours in CIELAB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.background.fields import change_of, enlarged, nearby, scaled, spread_out, to_lab

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

WORKING_SIZE = 448
"""Longer side of the object's box at which openings are found; a smaller one is not enlarged."""

COVERED = 0.1
"""Cover from which on a pixel may be object; below, and two pixels away from it, ground is known."""

SMOOTH, ALIKE = 4.0, 9.0
"""Change from pixel to pixel inside a spot; difference from the ground that still is the ground."""

ACROSS = 14
"""Width of the parts that the ground is continued across."""

DEEP = 5
"""A spot that is nowhere as far from the network's ground belongs to the outline, and is left to the network."""

OUTLINE, OPEN = 3, 0.2
"""A spot is no opening if more than this share of its border is nearer than OUTLINE to the network's ground: then no
part of the object stands between the two."""

SMALLEST, BORDER, WITNESSES = 12, 0.15, 0.75
"""Pixels of a spot; share of its border that must be near known ground; share of what is near that must be alike."""

ROUNDS = 6
"""How many spots, one behind the other, are opened."""

LOOKS, WORTH, DOUBTED = 3, 0.003, 0.85
"""Closer looks, at the largest groups of spots, none of them at a smaller share of the object than WORTH; a spot opens
if its mean cover in them is less than DOUBTED."""

TOGETHER = 5
"""Spots that are as near to each other are looked at together."""

APART = 10.0
"""Difference between the object's and the ground's colour below which a mixture says nothing."""


def open_holes(colours: Pixels, cover: Floats, box: Box, look: Callable[[Pixels, Box], Floats]) -> Floats:
    """The cover without the ground that is seen through the object.

    colours: HxWx3 uint8 sRGB.
    cover: HxW, 0 to 1, by a network.
    box: the object's, with room around.
    look: the cover of the whole picture as it is seen in a part of it.
    """
    left, top, right, bottom = box
    part, crop = cover[top:bottom, left:right], colours[top:bottom, left:right]
    small = scaled(crop, min(WORKING_SIZE, max(crop.shape)))
    covered = enlarged(part, small.shape)
    lab = to_lab(small)
    holes, ground = _like_ground(lab, covered)
    if not holes.any():
        return cover
    holes = _doubted(holes, _closer(colours, box, holes, WORTH * (covered > 0.5).sum(), look))
    if not holes.any():
        return cover
    opened = cover.copy()
    opened[top:bottom, left:right] = _with_rims(crop, part, holes, ground)
    return opened


def _like_ground(lab: Floats, covered: Floats) -> tuple[Mask, Mask]:
    """Spots inside the object that look like the ground, and the ground outside of it, HxW each."""
    from scipy import ndimage

    inside = covered > COVERED
    ground = np.asarray(ndimage.distance_transform_edt(~inside) > 2) & ~inside
    holes = np.zeros_like(inside)
    if not ground.any() or not inside.any():
        return holes, ground
    depth = ndimage.distance_transform_edt(inside)
    smooth = change_of(lab) < SMOOTH
    for _ in range(ROUNDS):
        known = ground | holes
        difference = np.linalg.norm(lab - spread_out(lab, known), axis=-1)
        near = ndimage.distance_transform_edt(~known) <= ACROSS
        found = inside & ~holes & (smooth | (difference < 0.6 * ALIKE))
        new = _spots(ndimage.binary_opening(found, np.ones((2, 2))), near, difference < ALIKE, depth)
        if not new.any():
            break
        holes |= new
    return holes, ground


def _spots(found: Mask, near: Mask, alike: Mask, depth: Floats) -> Mask:
    """Those connected spots whose part that is near the known ground is like it."""
    from scipy import ndimage

    labels, _ = ndimage.label(found)
    like: Mask = np.zeros_like(found)
    for number, around in enumerate(ndimage.find_objects(labels), start=1):
        spot = labels[around] == number
        if spot.sum() < SMALLEST or depth[around][spot].max() < DEEP:
            continue
        border = spot & ~ndimage.binary_erosion(spot)
        if (border & near[around]).sum() < max(4, BORDER * border.sum()):
            continue
        if (depth[around][border] < OUTLINE).mean() > OPEN:
            continue
        if alike[around][spot & near[around]].mean() >= WITNESSES:
            like[around] |= spot
    return like


def _closer(colours: Pixels, box: Box, holes: Mask, smallest: float, look: Callable[[Pixels, Box], Floats]) -> Floats:
    """The least cover that closer looks at the largest groups of spots show, at the size of `holes`; 1 elsewhere.

    smallest: pixels of a group that is worth a look.
    """
    from scipy import ndimage

    left, top, right, bottom = box
    height, width = colours.shape[:2]
    scale = max(right - left, bottom - top) / max(holes.shape)
    groups, _ = ndimage.label(ndimage.binary_dilation(holes, iterations=TOGETHER))
    sizes = np.bincount(groups[holes], minlength=1)
    least: Floats = np.ones(holes.shape, np.float32)
    for number in np.argsort(-sizes, kind="stable")[:LOOKS]:
        if sizes[number] < max(SMALLEST, smallest):
            break
        rows, columns = np.nonzero(groups == number)
        room = 0.5 * max(np.ptp(rows), np.ptp(columns)) + TOGETHER
        near = (
            max(int(left + scale * (columns.min() - room)), 0),
            max(int(top + scale * (rows.min() - room)), 0),
            min(int(left + scale * (columns.max() + room)) + 1, width),
            min(int(top + scale * (rows.max() + room)) + 1, height),
        )
        seen = np.ones((height, width), np.float32)
        inner = slice(near[1], near[3]), slice(near[0], near[2])
        seen[inner] = look(colours, near)[inner]
        least = np.minimum(least, enlarged(seen[top:bottom, left:right], holes.shape))
    return least


def _doubted(holes: Mask, seen: Floats) -> Mask:
    """Those spots that the network doubts from near."""
    from scipy import ndimage

    labels, count = ndimage.label(holes)
    mean = ndimage.mean(seen, labels, np.arange(count + 1))
    doubted: Mask = holes & (np.asarray(mean)[labels] < DOUBTED)
    return doubted


def _with_rims(colours: Pixels, cover: Floats, holes: Mask, ground: Mask) -> Floats:
    """The cover at full size with the holes opened, of which the rims are soft."""
    from scipy import ndimage

    scale = max(cover.shape) / max(holes.shape)
    fine = to_lab(colours)
    opened = enlarged(holes.astype(np.float32), cover.shape) > 0.5
    theirs = nearby(fine, enlarged((ground | ndimage.binary_erosion(holes)) * 1.0, cover.shape) > 0.5, 4 * scale)
    ours = nearby(fine, (cover > 0.5) & ~opened & (np.linalg.norm(fine - theirs, axis=-1) > APART), 3 * scale)
    apart = ours - theirs
    square = (apart**2).sum(axis=-1)
    mixture = np.clip(((fine - theirs) * apart).sum(axis=-1) / np.maximum(square, 1e-9), 0, 1)
    rim = (ndimage.distance_transform_edt(~opened) <= (ACROSS / 2 + 1) * scale) & (square > APART**2)
    mixed: Floats = np.where(opened, 0, np.where(rim, np.minimum(cover, mixture), cover))
    return mixed
