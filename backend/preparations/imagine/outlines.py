"""How well a picture keeps the outlines of an instance map: a number from 0 (chance) to 1 (every outline is an edge).

An outline pixel is kept if the picture has an edge within a few pixels that runs the same way, give or take half a
right angle.
Texture has edges everywhere, so the share that would be kept by chance is measured too, with the same outlines moved
about (the mean and one standard deviation of it), and taken off: (kept - chance) / (1 - chance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 768
"""Longer side in pixels at which pictures are compared; larger ones are scaled down."""

SMOOTHING = 1.5
"""Standard deviation in pixels of the Gaussian whose derivative finds the edges."""

REACH = 3 / 768
"""Between an outline and its edge, at most, in longer sides; but one and a half pixels at least."""

FAINTEST = 1.0
"""Change of colour per pixel, CIE Lab 1976, below which nothing is an edge. A step of 2.3 is just seen."""

MOVED = 12 * REACH
"""How far outlines are moved for the share of chance, in longer sides; but ten pixels at least."""

FEWEST = 24
"""Outline pixels below which nothing can be said about an instance."""

LOST = 0.4
"""An instance that agrees less has vanished. Measured on eight pictures of scenes with exact maps: 0.72 is the least of
any instance with its own picture, 0.20 the most with another one."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Agreement:
    """overall: of all outline pixels; of each instance with enough of an outline to tell: its own."""

    overall: float
    instances: dict[int, float]


def agreement(picture: NDArray[np.uint8], labels: NDArray[np.uint16]) -> Agreement:
    """Compare a picture (HxWx3 or x4 uint8, sRGB) with an instance map (HxW).

    The border of the picture is no outline. An instance map without any outline agrees with nothing: 0.
    """
    picture, labels = _reduced(picture[..., :3], labels)
    near = _edges_nearby(picture)
    kept_all, chance_all, count_all = 0.0, 0.0, 0
    found: dict[int, float] = {}
    for instance in np.unique(labels[labels > 0]):
        rows, columns, ways = _outline(labels == instance)
        kept, chance = _share(near, rows, columns, ways, (0, 0)), _by_chance(near, rows, columns, ways)
        kept_all, chance_all = kept_all + kept * len(rows), chance_all + chance * len(rows)
        count_all += len(rows)
        if len(rows) >= FEWEST:
            found[int(instance)] = _beyond_chance(kept, chance)
    return Agreement(_beyond_chance(kept_all / count_all, chance_all / count_all) if count_all else 0.0, found)


def _beyond_chance(kept: float, chance: float) -> float:
    return float(np.clip((kept - chance) / max(1.0 - chance, 1e-3), 0.0, 1.0))


def _reduced(picture: NDArray[np.uint8], labels: NDArray[np.uint16]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    height, width = labels.shape
    scale = SIDE / max(height, width)
    if scale >= 1:
        return picture, labels
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BOX))
    rows = ((np.arange(size[1]) + 0.5) * height / size[1]).astype(int)
    columns = ((np.arange(size[0]) + 0.5) * width / size[0]).astype(int)
    return small, labels[np.ix_(rows, columns)]


def _edges_nearby(picture: NDArray[np.uint8]) -> Bools:
    """(4, H, W): whether there is an edge of each way of running (see `_ways`) within reach."""
    from scipy import ndimage
    from skimage.color import rgb2lab

    lab = rgb2lab(picture)
    down = np.stack([ndimage.gaussian_filter(lab[..., channel], SMOOTHING, order=(1, 0)) for channel in range(3)])
    right = np.stack([ndimage.gaussian_filter(lab[..., channel], SMOOTHING, order=(0, 1)) for channel in range(3)])
    # The direction in which the three channels together change most (Di Zenzo 1986), and by how much.
    xx, yy, xy = (right**2).sum(axis=0), (down**2).sum(axis=0), (right * down).sum(axis=0)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    strength = np.sqrt(np.maximum(0.5 * (xx + yy + np.hypot(xx - yy, 2 * xy)), 0))
    crest = (strength >= FAINTEST) & _is_crest(strength, angle)
    radius = max(REACH * max(strength.shape), 1.5)
    window = np.arange(-math.ceil(radius), math.ceil(radius) + 1)
    reach = np.hypot(window[:, None], window) <= radius + 0.5
    way = _ways(angle)
    return np.stack([ndimage.binary_dilation(crest & _alike(way, number), reach) for number in range(4)])


def _is_crest(strength: NDArray[np.float64], angle: NDArray[np.float64]) -> Bools:
    """Whether a pixel changes more than its neighbours before and behind it (Canny 1986)."""
    from scipy import ndimage

    rows, columns = np.mgrid[: strength.shape[0], : strength.shape[1]]
    across, along = np.cos(angle), np.sin(angle)
    crest: Bools = np.ones(strength.shape, dtype=bool)
    for side in (-1, 1):
        place = [rows + side * along, columns + side * across]
        crest &= strength >= ndimage.map_coordinates(strength, place, order=1, mode="nearest")
    return crest


def _ways(angle: NDArray[np.float64]) -> NDArray[np.int64]:
    """Directions (radians; opposite ones are one way) as eighths of a half turn, 0 to 7."""
    eighths: NDArray[np.int64] = np.floor(np.mod(angle, np.pi) / np.pi * 8).astype(np.int64) % 8
    return eighths


def _alike(way: NDArray[np.int64], number: int) -> Bools:
    """Whether a way is at most about 45 degrees off the middle of quarter `number` of a half turn."""
    centre = 2 * number + 0.5
    off = np.abs((way - centre + 4) % 8 - 4)
    alike: Bools = off <= 2
    return alike


def _outline(mask: Bools) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, columns and quarter of the half turn of the direction across, of the pixels just inside an outline."""
    from scipy import ndimage

    inner = mask & ~ndimage.binary_erosion(mask, border_value=1)
    rows, columns = np.nonzero(inner)
    if not len(rows):
        return rows, columns, rows
    top, left = max(rows.min() - 8, 0), max(columns.min() - 8, 0)
    part = mask[top : rows.max() + 9, left : columns.max() + 9].astype(np.float64)
    down = ndimage.gaussian_filter(part, 2.0, order=(1, 0), mode="nearest")[rows - top, columns - left]
    right = ndimage.gaussian_filter(part, 2.0, order=(0, 1), mode="nearest")[rows - top, columns - left]
    return rows, columns, _ways(np.arctan2(down, right)) // 2


def _share(
    near: Bools, rows: NDArray[np.int64], columns: NDArray[np.int64], ways: NDArray[np.int64], move: tuple[int, int]
) -> float:
    """Part of the outline pixels, moved and still in the picture, that have their edge; 0 if none is left."""
    rows, columns = rows + move[0], columns + move[1]
    inside = (rows >= 0) & (rows < near.shape[1]) & (columns >= 0) & (columns < near.shape[2])
    return float(near[ways[inside], rows[inside], columns[inside]].mean()) if inside.any() else 0.0


def _by_chance(near: Bools, rows: NDArray[np.int64], columns: NDArray[np.int64], ways: NDArray[np.int64]) -> float:
    far = max(MOVED * max(near.shape), 10)
    turns = np.arange(12) * np.pi / 6
    moves = [(round(far * np.sin(turn)), round(far * np.cos(turn))) for turn in turns]
    shares = np.array([_share(near, rows, columns, ways, move) for move in moves])
    return min(float(shares.mean() + shares.std()), 1.0)
