"""Where a prop stands in the world.

Every vertex of a `Lens` stays on the ray of its own pixel and only gets a depth, so the prop's silhouette from the
camera is the mask by construction. A flat middle surface lies at some inverse depth; the front lies before and the
back behind it by the same amount of inverse depth, which makes the lens of a disc an exact ball in perspective too.
Both are kept within bounds.

*With depth* (a capture of the block-out): where a ray grazes a convex block-out, on the contour of the mask, it
enters and leaves at the same depth; so the contour lies on the middle surface, and what is seen inside lies before it
by the half thickness. Inverse depth of a plane is linear in the pixel: one robust linear fit finds both,

    1 / depth(x, y) = middle + thickness * middle * half(x, y) / focal,   middle = plane . (x, y, 1),

iteratively reweighted with Huber's weights (Holland & Welsch 1977). The bounds come from what the
depth shows of the block-out, completed by its box where that is known; see `geometry/blockout.py`.

*Without depth* the lowest point of the mask stands on the ground, z = 0, and the middle surface is upright and faces
the camera. Where nothing of the mask points down to the ground the prop stands `ASSUMED_DISTANCE` away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.camera import Camera
from backend.geometry.blockout import GROUND, NOWHERE, Bounds, box_axes, known_bounds, visible_bounds
from backend.geometry.lens import Lens
from backend.geometry.planar import triangle_areas

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Depth = NDArray[np.floating[Any]]
How = Literal["depth", "ground", "assumed"]

ASSUMED_DISTANCE = 4.0
"""Metres of planar depth for a prop whose mask does not reach down to the ground."""

NEAREST, FARTHEST = 0.05, 100.0
"""Metres on the ground from the camera; a foot nearer or farther than that is not believed."""

STEEP = 0.35
"""Sine of the least angle between a ray and the upright middle surface; under it the surface faces the camera."""

FEWEST_PIXELS = 30
"""Fewer known depths than that give a distance, but no slope and no thickness."""

SNUG, FILLED = 1.6, 4.0
"""How much thicker than its bounds a bounded prop is made before they cut it: more fills the corners better. What is
its box is to fill it."""

STOUT = 0.9
"""Share of the greatest thickness from which a part takes full part in a thickening; thinner ones take less."""

ROUNDNESS, SHARP = 8, 32
"""Exponents of `_rounded_minimum`; the higher, the sharper the edges of boxes. What only touches its bounds, as a ball
its box, is hardly to be cut by them."""

ROUNDS = 8
HUBER = 1.345
"""Times the standard deviation: 95 % efficiency on clean data."""

REACH = 0.98
"""Quantile: the prop is made so thick that it reaches what is seen, a few stray pixels aside."""

DEEPEST = 0.75
"""Share of the middle surface's inverse depth that the back may lose: it lies at most four times as far away."""

THINNEST, THICKEST = 0.05, 4.0
"""Bounds of the factor on the inflated thickness that the depth may ask for."""


@dataclass(frozen=True)
class _Body:
    """Middle depth (N,) at every lens vertex, factors on the lens's half thickness before and behind it, bounds."""

    middle: Floats
    front: float
    back: float
    bounds: Bounds


def place(
    lens: Lens, camera: Camera, mask: Mask, depth: Depth | None = None, world_from_box: Floats | None = None
) -> tuple[Floats, How, dict[str, Any]]:
    """Give every vertex of a lens its depth.

    Args:
        lens: made from `mask`.
        camera: of the picture that the mask belongs to.
        mask: HxW bool, the instance.
        depth: HxW planar metres, at least where the instance is; NaN or not positive where unknown.
        world_from_box: the block-out's box, 4x4, if it is known; used together with depth.

    Returns:
        World vertices (N, 3) in metres; how they were found: "depth", "ground", or "assumed" where neither depth nor
        ground was there to stand on; and how well. With depth: "shape" (see geometry/blockout.py) and "thickness"
        (factor on the inflated thickness of the front) as fitted, "residual" (median distance in depth between the
        prop's front and what is seen, metres), "known" (share of the mask that has depth). Without: nothing.
    """
    known = np.zeros_like(mask) if depth is None else mask & (depth > 0) & np.isfinite(depth)
    how: How
    quality: dict[str, Any] = {}
    if depth is None or not known.any():
        how, body = _on_ground(lens, camera)
        depths = _depths(lens, camera, body)
    else:
        how = "depth"
        visible = np.where(known, depth, np.nan).astype(np.float64)
        body, quality = _on_depth(lens, camera, mask, visible, world_from_box)
        depths = _depths(lens, camera, body)
        measured = _sample(lens, visible)
        error = np.abs(depths - measured)[np.isfinite(measured)]
        quality["residual"] = round(float(np.median(error)), 5) if len(error) else None
        quality["known"] = round(float(np.count_nonzero(known) / np.count_nonzero(mask)), 4)
    return camera.unproject(lens.pixels, depths), how, quality


def stand_up(vertices: Floats, camera: Camera, world_from_box: Floats | None = None) -> tuple[Floats, Floats]:
    """Split world vertices into a mesh in its own axes and its place.

    Args:
        vertices: (N, 3), world, metres.
        world_from_box: the block-out's box, 4x4, if it is known.

    Returns:
        The same vertices in the prop's axes, and world_from_prop, rigid 4x4. The axes are those of the box, whatever
        its turn; without a box Z is up and -Y points towards the camera (Blender's front view). See `on_its_foot`.
    """
    if world_from_box is not None:
        return on_its_foot(vertices, box_axes(world_from_box)[0])
    towards = camera.position[:2] - (vertices[:, :2].min(axis=0) + vertices[:, :2].max(axis=0)) / 2
    if np.linalg.norm(towards) < 1e-6 * (1 + np.linalg.norm(np.ptp(vertices, axis=0))):
        towards = -camera.matrix[:2, 1]  # seen from straight above: what is low in the picture is the front
    angle = math.atan2(towards[1], towards[0]) + math.pi / 2 if towards.any() else 0.0
    cos, sin = math.cos(angle), math.sin(angle)
    return on_its_foot(vertices, np.array(((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))))


def on_its_foot(vertices: Floats, turn: Floats) -> tuple[Floats, Floats]:
    """World vertices (N, 3) in the axes of a rotation (3, 3), and the rigid 4x4 that takes them back.

    The origin is the middle of that side of the bounding box along these axes which looks down most: the bottom centre
    of whatever stands, and of a pillar that lies the middle of the side it lies on.
    """
    local = vertices @ turn
    low, high = local.min(axis=0), local.max(axis=0)
    origin = (low + high) / 2
    down = int(np.argmax(np.abs(turn[2])))
    origin[down] = low[down] if turn[2, down] > 0 else high[down]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, turn @ origin
    return local - origin, matrix


def _depths(lens: Lens, camera: Camera, body: _Body) -> Floats:
    """Planar depth (N,) of every vertex: middle surface and half thickness, both kept within the bounds."""
    enter, leave = body.bounds.chord(camera, lens.pixels)
    middle = np.clip(body.middle, enter, np.maximum(enter, leave))
    # A ray of the rim may miss the bounds by a fraction of a pixel; where they are all but along it, only one of its
    # points is nearly right.
    missed = enter > leave
    if missed.any():
        middle[missed] = body.bounds.least_outside(camera, lens.pixels[missed], leave[missed], enter[missed])
    half = np.abs(lens.offset) / _focal(camera)
    if body.bounds.shape == "block":
        ahead, behind = half * body.front, half * body.back  # nothing of it is thin
        enter, leave = (middle + min(lens.thickness, 1.0) * (side - middle) for side in (enter, leave))
    else:
        ahead, behind = _thickened(half, body.front), _thickened(half, body.back)
    behind = np.minimum(behind, DEEPEST)
    roundness = SHARP if body.bounds.shape == "free" else ROUNDNESS
    towards = _rounded_minimum(middle * ahead / (1 + ahead), middle - enter, roundness)
    away = _rounded_minimum(middle * behind / (1 - behind), leave - middle, roundness)
    # However tight the bounds, front and back stay apart.
    least = 0.005 * middle * np.minimum(half, 1.0)
    result: Floats = middle + np.where(lens.offset < 0, -np.maximum(towards, least), np.maximum(away, least))
    return result


def _thickened(half: Floats, factor: float) -> Floats:
    """Half thickness times a factor. A factor above 1 is for the body alone: thin legs stay as thick as wide."""
    stout = STOUT * max(float(np.quantile(half, REACH)), 1e-9)
    body = np.clip(half / stout, 0.0, 1.0) ** 2
    return half * np.where(factor > 1, 1 + (factor - 1) * body, factor)


def _rounded_minimum(first: Floats, second: Floats, roundness: int) -> Floats:
    """The smaller of both where they differ much, less where they are alike: no crease where they cross. Never
    below 0."""
    first, second = np.maximum(first, 1e-9), np.maximum(second, 1e-9)
    small, large = np.minimum(first, second), np.maximum(first, second)
    result: Floats = small * (1 + (small / large) ** roundness) ** (-1 / roundness)
    return result


def _focal(camera: Camera) -> float:
    return math.sqrt(camera.fx * camera.fy)


def _rays(camera: Camera, pixels: Floats) -> Floats:
    """(N, 3) as x, y, 1: the points of planar depth 1."""
    return np.stack(
        [(pixels[:, 0] - camera.cx) / camera.fx, (pixels[:, 1] - camera.cy) / camera.fy, np.ones(len(pixels))], axis=1
    )


def _sample(lens: Lens, visible: Floats) -> Floats:
    """(N,) the visible depth at the pixels of the front sheet's vertices; NaN where unknown and on the back."""
    column, row = (
        np.clip(np.floor(lens.pixels[:, axis]).astype(np.int64), 0, visible.shape[1 - axis] - 1) for axis in (0, 1)
    )
    return np.where(lens.offset <= 0, visible[row, column], np.nan)


def _on_depth(
    lens: Lens, camera: Camera, mask: Mask, visible: Floats, world_from_box: Floats | None
) -> tuple[_Body, dict[str, Any]]:
    """Fit middle surface and thickness to the visible side.

    Args:
        mask: see `place`.
        visible: HxW planar depth of the instance, metres, NaN elsewhere.
        world_from_box: see `place`.
    """
    seen = visible[np.isfinite(visible)]
    measured = _sample(lens, visible)
    sampled = np.isfinite(measured)
    if len(seen) < FEWEST_PIXELS or np.count_nonzero(sampled & (lens.offset < 0)) < FEWEST_PIXELS:
        middle = np.full(len(lens.pixels), np.median(seen))
        return _Body(middle, 1.0, 1.0, NOWHERE), {"shape": "few pixels", "thickness": 1.0}
    pixels, measured = lens.pixels[sampled], measured[sampled]
    half = -lens.offset[sampled] / lens.thickness / _focal(camera)
    weight = _areas(lens)[sampled]
    if world_from_box is None:
        bounds = visible_bounds(camera, visible)
    else:
        bounds = known_bounds(camera, mask, visible, world_from_box)
    if bounds.shape in ("block", "box"):
        # A box does not bulge as the lens does; what its contour says about the middle surface counts as much.
        rim = half == 0
        weight[rim] += weight.sum() / max(np.count_nonzero(rim), 1)
    plane, factor = _fit(_rays(camera, pixels), half, measured, weight)
    nearest, farthest = 0.5 * seen.min(), 2.0 * seen.max()

    def middle_at(at: Floats) -> Floats:
        inverse = _rays(camera, at) @ plane
        result: Floats = np.clip(1 / np.maximum(inverse, 1 / farthest), nearest, farthest)
        return result

    middle = middle_at(pixels)
    front = back = factor
    fill, thickest = (FILLED, FILLED * THICKEST) if bounds.shape == "block" else (SNUG, THICKEST)
    if bounds.shape != "free":
        leave = bounds.chord(camera, pixels)[1]
        reach = np.quantile(half, REACH) / fill
        front, back = (np.quantile(side, REACH) / reach for side in (middle / measured - 1, 1 - middle / leave))
    front, back = (float(np.clip(side, THINNEST, thickest)) for side in (front, back))
    return _Body(middle_at(lens.pixels), front, back, bounds), {"shape": bounds.shape, "thickness": round(front, 4)}


def _areas(lens: Lens) -> Floats:
    """(N,) square pixels of the front sheet that belong to each vertex."""
    faces = lens.faces[~lens.back_faces]
    share = np.abs(triangle_areas(lens.pixels, faces)) / 3
    return np.bincount(faces.ravel(), weights=share.repeat(3), minlength=len(lens.pixels)).astype(np.float64)


def _fit(rays: Floats, half: Floats, depth: Floats, weight: Floats) -> tuple[Floats, float]:
    """Plane (3,) in inverse depth and thickness factor; the model of this module's docstring.

    Args:
        rays: (N, 3); half: (N,) half thickness over focal length; depth: (N,) metres; weight: (N,).
    """
    middle, used = depth, weight
    solution = np.zeros(4)
    for _ in range(ROUNDS):
        columns = np.column_stack([rays, half / middle])
        root = np.sqrt(used)
        solution = np.linalg.lstsq(columns * root[:, None], root / depth, rcond=None)[0]
        inverse = rays @ solution[:3]
        middle = np.where(inverse > 0, 1 / np.maximum(inverse, 1e-9), depth)
        error = np.abs(1 / depth - columns @ solution) * middle
        usual = HUBER * 1.4826 * np.median(error) + 1e-9
        used = weight * np.minimum(1, usual / np.maximum(error, 1e-12))
    return solution[:3], float(solution[3])


def _on_ground(lens: Lens, camera: Camera) -> tuple[How, _Body]:
    """An upright middle surface through the point where the lowest ray of the mask meets z = 0."""
    directions = camera.directions(lens.pixels)
    height = camera.position[2]
    ahead = directions.mean(axis=0)[:2]
    level = ahead / max(np.linalg.norm(ahead), 1e-9)
    onward = directions[:, :2] @ level
    upright = bool((onward > STEEP * np.linalg.norm(directions, axis=1)).all())
    # Depth, as a multiple of that of the surface, at which each ray meets it; and how far each ray sinks on that way.
    relative = 1 / onward if upright else np.ones(len(directions))
    sink = -(directions[:, 2] * relative).min()
    distance = height / sink if sink > 0 and height > 0 else math.inf
    if NEAREST <= distance <= FARTHEST:
        return "ground", _Body(distance * relative, 1.0, 1.0, GROUND)
    return "assumed", _Body(np.full(len(directions), ASSUMED_DISTANCE), 1.0, 1.0, NOWHERE)
