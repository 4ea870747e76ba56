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
from backend.geometry.blockout import GROUND, NOWHERE, Bounds, known_bounds, visible_bounds
from backend.geometry.lens import Lens
from backend.geometry.planar import triangle_areas
from backend.shot import Shot

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
How = Literal["depth", "ground", "assumed"]

ASSUMED_DISTANCE = 4.0
"""Metres of planar depth for a prop whose mask does not reach down to the ground."""

NEAREST, FARTHEST = 0.05, 100.0
"""Metres on the ground from the camera; a foot nearer or farther than that is not believed."""

STEEP = 0.35
"""Sine of the least angle between a ray and the upright middle surface; under it the surface faces the camera."""

FEWEST_PIXELS = 30
"""Fewer known depths than that give a distance, but no slope and no thickness."""

SNUG = 1.6
"""How much thicker than its bounds a bounded prop is made before they cut it: more fills the corners better."""

STOUT = 0.9
"""Share of the greatest thickness from which a part takes full part in a thickening; thinner ones take less."""

ROUNDNESS = 8
"""Exponent of `_rounded_minimum`; the higher, the sharper the edges of boxes."""

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
    lens: Lens, shot: Shot, mask: Mask, world_from_box: Floats | None = None
) -> tuple[Floats, How, dict[str, Any]]:
    """Give every vertex of a lens its depth.

    Args:
        lens: made from `mask`.
        shot: its camera, and its depth if it has one.
        mask: HxW bool, the instance.
        world_from_box: the block-out's box, 4x4, if it is known; used together with depth.

    Returns:
        World vertices (N, 3) in metres; how they were found: "depth", "ground", or "assumed" where neither depth nor
        ground was there to stand on; and how well. With depth: "shape" (see geometry/blockout.py) and "thickness"
        (factor on the inflated thickness of the front) as fitted, "residual" (median distance in depth between the
        prop's front and what is seen, metres), "known" (share of the mask that has depth). Without: nothing.
    """
    camera = shot.camera
    known = np.zeros_like(mask) if shot.depth is None else mask & (shot.depth > 0) & np.isfinite(shot.depth)
    how: How
    quality: dict[str, Any] = {}
    if shot.depth is None or not known.any():
        how, body = _on_ground(lens, camera)
        depths = _depths(lens, camera, body)
    else:
        how = "depth"
        visible = np.where(known, shot.depth, np.nan).astype(np.float64)
        body, quality = _on_depth(lens, camera, visible, world_from_box)
        depths = _depths(lens, camera, body)
        measured = _sample(lens, visible)
        error = np.abs(depths - measured)[np.isfinite(measured)]
        quality["residual"] = round(float(np.median(error)), 5) if len(error) else None
        quality["known"] = round(float(np.count_nonzero(known) / np.count_nonzero(mask)), 4)
    return camera.unproject(lens.pixels, depths), how, quality


def stand_up(vertices: Floats, camera: Camera) -> tuple[Floats, Floats]:
    """Split world vertices into a mesh in its own axes and its place.

    Args:
        vertices: (N, 3), world, metres.

    Returns:
        The same vertices in the prop's axes: Z up, -Y towards the camera (Blender's front view), origin at the
        bottom centre of the bounding box; and world_from_prop, rigid 4x4.
    """
    towards = camera.position[:2] - (vertices[:, :2].min(axis=0) + vertices[:, :2].max(axis=0)) / 2
    if np.linalg.norm(towards) < 1e-6 * (1 + np.linalg.norm(np.ptp(vertices, axis=0))):
        towards = -camera.matrix[:2, 1]  # seen from straight above: what is low in the picture is the front
    angle = math.atan2(towards[1], towards[0]) + math.pi / 2 if towards.any() else 0.0
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.eye(4)
    matrix[:3, :3] = ((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))
    local = vertices @ matrix[:3, :3]
    low, high = local.min(axis=0), local.max(axis=0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    matrix[:3, 3] = matrix[:3, :3] @ origin
    return local - origin, matrix


def _depths(lens: Lens, camera: Camera, body: _Body) -> Floats:
    """Planar depth (N,) of every vertex: middle surface and half thickness, both kept within the bounds."""
    enter, leave = body.bounds.chord(camera, lens.pixels)
    # A ray of the rim may miss the bounds by a fraction of a pixel; between the two planes it just misses is right.
    middle = np.clip(body.middle, np.minimum(enter, leave), np.maximum(enter, leave))
    half = np.abs(lens.offset) / _focal(camera)
    ahead, behind = _thickened(half, body.front), _thickened(half, body.back)
    behind = np.minimum(behind, DEEPEST)
    towards = _rounded_minimum(middle * ahead / (1 + ahead), middle - enter)
    away = _rounded_minimum(middle * behind / (1 - behind), leave - middle)
    # However tight the bounds, front and back stay apart.
    least = 0.005 * middle * np.minimum(half, 1.0)
    result: Floats = middle + np.where(lens.offset < 0, -np.maximum(towards, least), np.maximum(away, least))
    return result


def _thickened(half: Floats, factor: float) -> Floats:
    """Half thickness times a factor. A factor above 1 is for the body alone: thin legs stay as thick as wide."""
    stout = STOUT * max(float(np.quantile(half, REACH)), 1e-9)
    body = np.clip(half / stout, 0.0, 1.0) ** 2
    return half * np.where(factor > 1, 1 + (factor - 1) * body, factor)


def _rounded_minimum(first: Floats, second: Floats) -> Floats:
    """The smaller of both where they differ much, less where they are alike: no crease where they cross. Never
    below 0."""
    first, second = np.maximum(first, 1e-9), np.maximum(second, 1e-9)
    small, large = np.minimum(first, second), np.maximum(first, second)
    result: Floats = small * (1 + (small / large) ** ROUNDNESS) ** (-1 / ROUNDNESS)
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
    lens: Lens, camera: Camera, visible: Floats, world_from_box: Floats | None
) -> tuple[_Body, dict[str, Any]]:
    """Fit middle surface and thickness to the visible side.

    Args:
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
    bounds = visible_bounds(camera, visible)
    if world_from_box is not None:
        bounds = known_bounds(bounds, world_from_box)
    if bounds.shape == "box":
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
    if bounds.shape != "free":
        leave = bounds.chord(camera, pixels)[1]
        reach = np.quantile(half, REACH) / SNUG
        front, back = (np.quantile(side, REACH) / reach for side in (middle / measured - 1, 1 - middle / leave))
    front, back = (float(np.clip(side, THINNEST, THICKEST)) for side in (front, back))
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
