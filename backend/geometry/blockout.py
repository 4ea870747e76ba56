"""How far a block-out extends, also on the side that is not seen: from its box, or from what one depth picture tells.

The bounds are slabs: pairs of parallel planes. Which slabs can be trusted depends on the shape, which the normals of
the visible surface give away:

* "block": what is seen lies on the faces of the block-out's box, which is known: the thing is that box.
* "box": the horizontal directions of its walls fall into two that are perpendicular. A box shows its full extent
  along each of its own axes as soon as two of its faces are seen; so three slabs along those axes bound it.
* "round": upright walls in all directions: a pillar, taken to be as deep as it is wide.
* "top": no common wall direction, but a flat top, which shows the full outline: slabs in many horizontal directions.
* "free": anything else; only the ground bounds it.

A known box may have any turn. Whatever does not lie on its faces stays inside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.silhouette import mask_iou, silhouette

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
UP = np.array([0.0, 0.0, 1.0])

WALL = 0.5
"""A surface is a wall if its unit normal is at least this long horizontally."""

SQUARE = 0.9
"""Agreement of the walls' directions modulo 90 degrees, 0 to 1, from which a thing counts as a box. A cylinder has
0.07."""

LEAST_WALL, LEAST_TOP = 0.03, 0.005
"""Share of the visible pixels from which walls, or a flat top, are believed. Half a ball
shows 0.002 flat top."""

ROUND = 0.9
"""Share of upright surface from which a thing without wall directions counts as a round pillar."""

DIRECTIONS = 12
"""Horizontal slabs around a thing without wall directions."""

THINNEST = 0.005
"""A slab is at least this share of the visible extent's diagonal wide."""

ON_FACES, FACE = 0.95, 0.01
"""Share of the visible surface that lies on the faces of a known box, and how near to them as a share of its diagonal,
from which the thing is that box."""

ALIGNED = 0.996
"""Cosine of 5 degrees: walls that differ less from a box's own directions are the box's."""

AS_OUTLINED = 0.9
"""Overlap of a thing's outline with that of its box from which it may be the box: a table has 0.6."""

CLOSEST = 40
"""Steps of the search for the point of a ray that is least outside; each leaves two thirds of the uncertainty."""

UNSEEN = 0.5
"""A box seen from straight ahead hides how deep it is: taken as this share of the smaller side that is seen."""


@dataclass(frozen=True)
class Bounds:
    """Slabs low <= axis . point <= high. axes: (K, 3) unit vectors; low, high: (K,) metres, may be infinite."""

    shape: Literal["block", "box", "round", "top", "free"]
    axes: Floats
    low: Floats
    high: Floats

    def chord(self, camera: Camera, pixels: Floats) -> tuple[Floats, Floats]:
        """Planar depths (N,) where the rays of `pixels` (N, 2) enter and leave; where a ray misses, enter > leave."""
        slope = camera.directions(pixels) @ self.axes.T
        slope = np.where(np.abs(slope) < 1e-9, 1e-9, slope)
        start = self.axes @ camera.position
        first, second = (self.low - start) / slope, (self.high - start) / slope
        return np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)

    def least_outside(self, camera: Camera, pixels: Floats, near: Floats, far: Floats) -> Floats:
        """Planar depths (N,) between `near` and `far` at which rays that miss the bounds leave them least: the greatest
        of the distances beyond each slab, as a share of its width, is smallest. All slabs must be finite."""
        slope = camera.directions(pixels) @ self.axes.T
        width = self.high - self.low
        start = (self.axes @ camera.position - (self.low + self.high) / 2) / width
        slope = slope / width
        for _ in range(CLOSEST):
            third = (far - near) / 3
            one, two = (np.abs(start + at[:, None] * slope).max(axis=1) for at in (near + third, far - third))
            near, far = np.where(one > two, near + third, near), np.where(one > two, far, far - third)
        middle: Floats = (near + far) / 2
        return middle


GROUND = Bounds("free", UP[None], np.zeros(1), np.full(1, np.inf))
NOWHERE = Bounds("free", UP[None], np.full(1, -np.inf), np.full(1, np.inf))
"""No bounds at all."""


def box_axes(world_from_box: Floats) -> tuple[Floats, Floats]:
    """A box's axes as the columns of a rotation (3, 3), and its lengths along them (3,), metres.

    world_from_box: 4x4, it takes the cube from -0.5 to 0.5 to the world; a mirrored box is the same box.
    """
    sides = world_from_box[:3, :3]
    lengths = np.linalg.norm(sides, axis=0)
    axes: Floats = sides / lengths
    if np.linalg.det(axes) < 0:
        axes = axes * (1.0, 1.0, -1.0)
    return axes, lengths


def box_mesh(world_from_box: Floats) -> tuple[Floats, Integers]:
    """A box, 4x4, as vertices (8, 3) in the world and faces (12, 3) without a certain direction."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    sides = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
    faces = np.array([triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))], dtype=np.int64)
    return corners @ world_from_box[:3, :3].T + world_from_box[:3, 3], faces


def known_bounds(camera: Camera, mask: Mask, visible: Floats, world_from_box: Floats) -> Bounds:
    """What is seen of a thing, as `visible_bounds`, completed by its box, 4x4.

    A thing is its box whose outline is the box's and whose visible surface lies on the faces of the box. One with the
    walls of a box fills it. Anything else reaches as far behind the box's centre as before it, and nowhere out of it.

    Args:
        mask: HxW, the outline.
        visible: HxW planar depth of the thing, metres, NaN elsewhere; at least one pixel must be known.
    """
    axes, lengths = box_axes(world_from_box)
    centre = world_from_box[:3, 3]
    reach = np.maximum(lengths, THINNEST * np.linalg.norm(lengths)) / 2
    place = axes.T @ centre
    box = Bounds("box", axes.T, place - reach, place + reach)
    known = np.isfinite(visible)
    rows, columns = np.nonzero(known)
    points = camera.unproject(np.stack([columns, rows], axis=1) + 0.5, visible[known])
    outside = np.abs((points - centre) @ axes) - lengths / 2
    on_faces = np.abs(outside.max(axis=1)) < FACE * np.linalg.norm(lengths)
    if on_faces.mean() > ON_FACES and mask_iou(silhouette(*box_mesh(world_from_box), camera), mask) > AS_OUTLINED:
        return replace(box, shape="block")
    seen = visible_bounds(camera, visible)
    if seen.shape == "box" and np.abs(seen.axes @ axes).max(axis=1).min() > ALIGNED:
        return box
    if seen.shape == "free":
        return Bounds("free", box.axes, box.low, box.high)
    middle = seen.axes @ centre
    half = np.abs(seen.axes @ axes * lengths).sum(axis=1) / 2
    if seen.shape != "box":
        half[1:] = np.minimum(half, np.maximum(seen.high - middle, middle - seen.low))[1:]
        low, high = middle - half, middle + half
    else:
        low, high = np.maximum(seen.low, middle - half), np.minimum(seen.high, middle + half)
    low, high = _thick_enough(low, high)
    return Bounds(
        seen.shape,
        np.concatenate([seen.axes, box.axes]),
        np.concatenate([low, box.low]),
        np.concatenate([high, box.high]),
    )


def visible_bounds(camera: Camera, visible: Floats) -> Bounds:
    """The bounds of a thing of which one side is seen.

    Args:
        visible: HxW planar depth of the thing, metres, NaN elsewhere; at least one pixel must be known.
    """
    points, normals = _surface(camera, visible)
    horizontal = np.hypot(normals[:, 0], normals[:, 1])
    wall = np.where(horizontal > WALL, horizontal, 0.0)
    # Four times the angle is the same for all four walls of a box (directional statistics, Mardia & Jupp 2000).
    turned = ((normals[:, 0] + 1j * normals[:, 1]) / np.maximum(horizontal, 1e-9)) ** 4
    agreement = (wall * turned).sum() / max(wall.sum(), 1e-9)
    count = max(len(normals), 1)
    top = np.count_nonzero(normals[:, 2] > 0.999) / count
    if abs(agreement) > SQUARE and wall.sum() / count > LEAST_WALL:
        angle = float(np.angle(agreement)) / 4
        return _box(camera, points, np.array([UP, _level(angle), _level(angle + math.pi / 2)]))
    around = np.array([UP, *(_level(turn * math.pi / DIRECTIONS) for turn in range(DIRECTIONS))])
    if np.count_nonzero(horizontal > 0.98) > ROUND * len(normals) > 0:
        return _round(camera, points, around)
    if top > LEAST_TOP:
        return Bounds("top", around, *_thick_enough(*_extent(points, around)))
    low = points[:, 2].min()
    standing = low > -0.05 * np.linalg.norm(np.ptp(points, axis=0))
    return GROUND if standing else NOWHERE


def _surface(camera: Camera, visible: Floats) -> tuple[Floats, Floats]:
    """World points of the known pixels and unit normals of the surface between three neighbours, towards the camera."""
    known = np.isfinite(visible)
    rows, columns = np.nonzero(known.any(axis=1))[0], np.nonzero(known.any(axis=0))[0]
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    x, y = np.meshgrid(np.arange(columns[0], columns[-1] + 1) + 0.5, np.arange(rows[0], rows[-1] + 1) + 0.5)
    points = camera.unproject(np.stack([x, y], axis=-1), visible[window])
    normals = np.cross(points[1:, :-1] - points[:-1, :-1], points[:-1, 1:] - points[:-1, :-1]).reshape(-1, 3)
    length = np.linalg.norm(normals, axis=1)
    whole = length > 0  # false for NaN: a neighbour is missing
    return points[known[window]], normals[whole] / length[whole, None]


def _level(angle: float) -> Floats:
    return np.array([math.cos(angle), math.sin(angle), 0.0])


def _extent(points: Floats, axes: Floats) -> tuple[Floats, Floats]:
    along = points @ axes.T
    return along.min(axis=0), along.max(axis=0)


def _thick_enough(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Widen slabs that are all but flat, so that a rug keeps some thickness: the first, upright one upwards, the
    others to both sides."""
    lack = np.maximum(THINNEST * np.linalg.norm((high - low)[:3]) - (high - low), 0.0)
    lower, upper = low - lack / 2, high + lack / 2
    lower[0], upper[0] = low[0], high[0] + lack[0]
    return lower, upper


def _box(camera: Camera, points: Floats, axes: Floats) -> Bounds:
    low, high = _extent(points, axes)
    place = axes @ camera.position
    beside = (place < low) | (place > high)
    for axis, other in ((1, 2), (2, 1)):
        # Only from beside or above another face can the depth along this axis have been seen.
        if not (beside[0] or beside[other]):
            hidden = UNSEEN * min(high[0] - low[0], high[other] - low[other])
            if place[axis] > high[axis]:
                low[axis] -= hidden
            else:
                high[axis] += hidden
    return Bounds("box", axes, *_thick_enough(low, high))


def _round(camera: Camera, points: Floats, axes: Floats) -> Bounds:
    """An upright round pillar: as deep as it is wide, and no nearer than what is seen of it."""
    away = points.mean(axis=0) - camera.position
    angle = math.atan2(away[1], away[0])
    facing, aside = _level(angle), _level(angle + math.pi / 2)
    low, high = _extent(points, np.array([UP, facing, aside]))
    radius = (high[2] - low[2]) / 2
    centre = facing * (low[1] + radius) + aside * (low[2] + radius)
    middle = axes @ centre
    lowest, highest = middle - radius, middle + radius
    lowest[0], highest[0] = low[0], high[0]
    return Bounds("round", axes, *_thick_enough(lowest, highest))
