"""One object on a plain ground, cut out without a network.

Background is what the border of the picture looks like, and what can be reached from the border without crossing an
outline. All distances are in CIELAB, all steps but the last at reduced size:

1. *Reach*: geodesic distance from the border, where a step costs what the colour changes beyond the usual noise
   (Wei, Wen, Zhu, Sun: Geodesic Saliency Using Background Priors, ECCV 2012). Gradients and soft shadows are cheap
   to cross, outlines are not; but what an outline encloses is far, too, be it object or hole.
2. *Difference*: the background that is reached cheaply is spread over the whole picture (normalised convolution,
   coarse to fine), and each pixel is compared with what is expected at its place. Holes show, but so do parts of
   the object in the background's colour.
3. *Seeds*: far and different is object; near is background, and so are the shadows and reflections that change
   softly from there, and sharply bounded spots of background colour inside the object.
4. *Random walks* from the seeds decide the rest (Grady: Random Walks for Image Segmentation, PAMI 2006).
5. *Rim*, at full size: along the outline a pixel is explained as a mixture of the object's and the background's
   colour nearby, and belongs to the object if that has the greater share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import Problem
from backend.imaging.background.fields import change_of, enlarged, nearby, scaled, spread_out, to_lab

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]

WORKING_SIZE = 320
"""Longer side at which the object is found; the figures below hold at this size."""

RIM_SIZE = 2048
"""Longest side at which the rim is found; a larger picture gets an enlarged mask."""

BACKGROUND, OBJECT = 1, 2
"""Seeds."""

NEAR, FAR, VERY_FAR = 2.0, 15.0, 40.0
"""Reach (CIELAB units of colour change on the way from the border) of background, outlines, and all but shadows."""

DIFFERENT = 15.0
FAINT = 6.0
SHADOW_WEIGHT = 0.6
"""A pixel that is merely darker than the background may lie in a shadow: its difference in lightness counts less."""

BUSY = 15.0
"""Mean change from pixel to pixel along the border that no background has which could be called plain."""

DARKEST_SHADOW = 60.0
"""Darker than the background by more than this, in L*, is no shadow."""

SHARP = 4.0
"""Change from one pixel to the next that is too much for the inside of a shadow."""

RING = 0.03
"""Width of the border that is looked at, as a share of the longer side."""

BORDER_SIZE = 96
MOSTLY, PLAIN = 0.8, 6.0
"""A ground is plain if this share of its border differs less than so much (CIELAB) from a smooth gradient."""

SMALLEST_SIDE = 8
SMALLEST_HOLE = 12
"""Pixels at reduced size."""

SMALLEST_PART = 0.02
"""Separate parts smaller than this, as a share of the largest, are dropped."""


def cover_by_border(colours: Pixels) -> Floats:
    """How much of each pixel the object covers, HxW from 0 to 1, of a picture HxWx3 uint8 sRGB.

    Raises:
        Problem: background-unclear if the border is no plain ground, or nothing stands out from it.
    """
    if min(colours.shape[:2]) < SMALLEST_SIDE:
        raise Problem("background-unclear", "The picture is too small to tell an object from its background.")
    small = scaled(colours, WORKING_SIZE)
    if min(small.shape[:2]) < SMALLEST_SIDE:
        raise Problem("background-unclear", "The picture is too narrow to tell an object from its background.")
    lab = to_lab(small)
    change = change_of(lab)
    reach = _reach(change)
    expected, spread = _expected_background(lab, reach)
    difference = _difference(lab, expected)
    seeds = _seeds(lab - expected, change, reach, difference, max(3.0, 1.5 * spread))
    if not (seeds == OBJECT).any() or not (seeds == BACKGROUND).any():
        raise Problem("background-unclear", "Nothing in the picture stands out from what its border looks like.")
    share = _sensible_parts(_walk(lab, seeds))
    return _refine_rim(colours, share)


def is_plain(colours: Pixels) -> bool:
    """Whether the border of a picture HxWx3 uint8 sRGB looks like one ground: one colour, or a smooth gradient."""
    if min(colours.shape[:2]) < SMALLEST_SIDE:
        return False
    lab = to_lab(scaled(colours, BORDER_SIZE))
    rows, columns = (axis.ravel() for axis in np.mgrid[-1 : 1 : lab.shape[0] * 1j, -1 : 1 : lab.shape[1] * 1j])
    ring = np.maximum(abs(rows), abs(columns)) > 1 - 2 * RING
    rows, columns, seen = rows[ring], columns[ring], lab.reshape(-1, 3)[ring]
    terms = np.stack([np.ones_like(rows), rows, columns, rows * columns, rows**2, columns**2], axis=-1)
    smooth = terms @ np.linalg.lstsq(terms, seen, rcond=None)[0]
    return bool(np.quantile(np.linalg.norm(seen - smooth, axis=-1), MOSTLY) < PLAIN)


def _reach(change: Floats) -> Floats:
    """Geodesic distance from the border of the picture, HxW. Raises Problem if the border is no plain background."""
    from skimage.graph import MCP

    width = max(2, round(RING * max(change.shape)))
    ring = np.ones(change.shape, dtype=bool)
    ring[width:-width, width:-width] = False
    if change[ring].mean() > BUSY:
        raise Problem("background-unclear", "The picture is too busy along its border to tell what is background.")
    noise = float(np.median(change[ring]))
    cost = np.maximum(change - 1.5 * noise - 0.15, 0) + 1e-3
    edge = np.ones(change.shape, dtype=bool)
    edge[1:-1, 1:-1] = False
    distance: Floats = MCP(cost).find_costs(list(zip(*np.nonzero(edge), strict=True)))[0]
    return distance


def _expected_background(lab: Floats, reach: Floats) -> tuple[Floats, float]:
    """The background's colour at every place, HxWx3, and how far the visible background differs from it."""
    known = reach < NEAR
    spread = 0.0
    expected = lab
    for _ in range(3):
        expected = spread_out(lab, known)
        difference = _difference(lab, expected)
        spread = float(np.quantile(difference[known], 0.9))
        known = (reach < 3 * NEAR) & (difference < max(FAINT, 2 * spread)) | (reach < NEAR / 2)
    return expected, spread


def _difference(lab: Floats, expected: Floats) -> Floats:
    """CIELAB distance, HxW, in which being darker counts less."""
    delta = lab - expected
    delta[..., 0] *= np.where(delta[..., 0] < 0, SHADOW_WEIGHT, 1.0)
    distance: Floats = np.linalg.norm(delta, axis=-1)
    return distance


def _seeds(delta: Floats, change: Floats, reach: Floats, difference: Floats, alike: float) -> NDArray[np.int64]:
    """BACKGROUND, OBJECT, or 0 where neither is certain; `delta` is what differs from the expected background."""
    from scipy import ndimage

    near = (reach < 3 * NEAR) & (difference < max(FAINT, 2 * alike)) | (reach < NEAR / 2)
    shadow = (delta[..., 0] < 0) & (np.hypot(delta[..., 1], delta[..., 2]) < FAINT)
    tinted = np.hypot(delta[..., 1], delta[..., 2]) < 2 * FAINT  # light that the object throws back
    soft = tinted & (delta[..., 0] < FAINT) & (delta[..., 0] > -DARKEST_SHADOW) & (change < SHARP)
    soft = ndimage.binary_propagation(near & ~ndimage.binary_erosion(near), mask=soft | near) & ~near
    certain = ((reach > VERY_FAR) | (reach > FAR) & ~shadow) & ~soft
    inner = ndimage.binary_erosion(certain & (difference > DIFFERENT))
    found = inner | certain & (difference > 2 * DIFFERENT)
    found |= (reach > VERY_FAR) & (difference > max(FAINT, 2 * alike)) & ~soft
    ground = ndimage.binary_erosion(near | soft, border_value=1) | _holes(difference, near, alike)
    seeds = np.zeros(reach.shape, dtype=np.int64)
    seeds[ground] = BACKGROUND
    seeds[found & ~ground] = OBJECT
    return seeds


def _holes(difference: Floats, near: Mask, alike: float) -> Mask:
    """Enclosed spots that look like the background and end sharply.

    A spot where the object's shading happens to pass through the background's colour has a soft outline instead.
    """
    from scipy import ndimage

    spots = ndimage.binary_opening((difference < alike) & ~near, np.ones((2, 2)))
    labels, _ = ndimage.label(spots)
    holes: Mask = np.zeros(spots.shape, dtype=bool)
    reach = 3
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        around = tuple(slice(max(side.start - reach - 1, 0), side.stop + reach + 1) for side in box)
        spot = labels[around] == number
        ring = ndimage.binary_dilation(spot, iterations=reach) & ~ndimage.binary_dilation(spot, iterations=reach - 1)
        sharp = difference[around][ring] > max(2.5 * alike, 0.6 * DIFFERENT)
        if spot.sum() >= SMALLEST_HOLE and sharp.sum() > 0.6 * ring.sum():
            holes[around] |= spot
    return holes


def _walk(lab: Floats, seeds: NDArray[np.int64]) -> Floats:
    """Probability, HxW, that a random walk which shuns edges meets the object first."""
    from skimage.segmentation import random_walker

    if (seeds > 0).all():
        return np.where(seeds == OBJECT, 1.0, 0.0)
    both: Floats = random_walker(
        lab / 100,
        seeds,
        beta=3000,
        mode="cg_j",
        tol=1e-3,
        prob_tol=1.0,
        channel_axis=-1,
        return_full_prob=True,
    )
    share: Floats = np.clip(both[1], 0, 1)
    return share


def _sensible_parts(share: Floats) -> Floats:
    """The object's share without crumbs: small separate parts, and pin holes."""
    from scipy import ndimage

    inside = share > 0.5
    labels, count = ndimage.label(inside)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    crumbs = inside & (sizes[labels] < max(6, SMALLEST_PART * sizes.max(initial=0)))
    labels, _ = ndimage.label(~inside)
    pins = ~inside & (np.bincount(labels.ravel())[labels] < 6)
    sensible: Floats = np.where(crumbs, 0.0, np.where(pins, 1.0, share))
    return sensible


def _refine_rim(colours: Pixels, share: Floats) -> Floats:
    """The object at full size, from its share at reduced size."""
    from scipy import ndimage

    fine = scaled(colours, min(RIM_SIZE, max(colours.shape)))
    scale = max(fine.shape) / max(share.shape)
    full = enlarged(share, fine.shape)
    inside = full > 0.5
    distance = np.where(inside, ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside))
    # The outline may be off by the width of a reduced pixel or so; the colours that mix are taken from beyond that.
    band = max(1.5 * scale, 1.0)
    rim = distance <= band + 0.5
    lab = to_lab(fine)
    ours = nearby(lab, (full > 0.97) | (full > 0.9) & ~rim, 2 * band)
    theirs = nearby(lab, (full < 0.1) & (distance > 1), 2 * band)
    apart = ours - theirs
    square = (apart**2).sum(axis=-1)
    mixture = np.clip(((lab - theirs) * apart).sum(axis=-1) / np.maximum(square, 1e-9), 0, 1)
    trust = square / (square + DIFFERENT**2)
    result: Floats = np.where(rim, trust * mixture + (1 - trust) * full, full)
    return enlarged(_sensible_parts(result), colours.shape)
