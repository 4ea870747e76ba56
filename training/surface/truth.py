"""How far each place is from a model's surface as it is seen from outside: what a prior of surfaces learns."""

from __future__ import annotations

import math

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from models.lrm.cameras import spherical_poses
from models.optimisation.chance import generator
from models.rendering.cameras import Camera
from models.rendering.rasteriser import rasterise
from training.measures import surface_points

LOOKS, SIDE = 40, 192
"""Cameras on a sphere around a model, and the pixels along a side of what they see."""

POINTS = 150_000
SLACK = 0.004
"""How far behind what a camera sees a point of the surface may lie and still count as seen, by the longest side."""

SHEET = 0.004
"""Half the thickness, by the longest side, of what has none."""


def distances(vertices: Tensor, faces: Tensor, places: Tensor, farthest: float) -> Tensor:
    """`[P]`: signed distances of places `[P, 3]`, negative inside, no larger than `farthest` either way.

    Outside is what a camera somewhere on a sphere sees through; the surface is what one of them sees. So what lies
    within a model, and is in many, changes nothing, and models need not be closed.
    """
    order = torch.arange(LOOKS) + 0.5
    elevations = torch.rad2deg(torch.asin(1 - 2 * order / LOOKS))
    azimuths = order * 180 * (1 + math.sqrt(5))
    low, high = vertices.amin(0), vertices.amax(0)
    middle, reach, longest = (low + high) / 2, float((high - low).norm()), float((high - low).max())
    points = surface_points(vertices, faces, POINTS, generator(0, "surface"))
    shown = torch.zeros(len(points), dtype=torch.bool)
    free = torch.zeros(len(places), dtype=torch.bool)
    for pose in spherical_poses(azimuths, elevations, 2 * reach):
        camera = Camera.orthographic(pose, 1.02 * reach)
        hits = rasterise(camera.clip(vertices - middle), faces, SIDE, SIDE)
        front = hits.picture(camera.distance(hits.interpolate(vertices - middle, faces))[:, None], 1e3)[..., 0]
        nearest = -functional.max_pool2d(-front[None], 3, 1, 1)[0]
        shown |= camera.distance(points - middle) <= _at(front, camera, points - middle) + SLACK * longest
        left = (~free).nonzero()[:, 0]
        some = places[left] - middle
        free[left] = camera.distance(some) < _at(nearest, camera, some) - 0.25 * SLACK * longest
    apart = cKDTree(points[shown].numpy()).query(places.numpy(), distance_upper_bound=farthest)[0]
    found = torch.from_numpy(apart).float().clamp(max=farthest)
    return torch.where(free, found, -found).minimum(found - SHEET * longest)


def _at(picture: Tensor, camera: Camera, points: Tensor) -> Tensor:
    clip = camera.clip(points)
    column, row = ((clip[:, axis] * sign + 1) * SIDE / 2 for axis, sign in ((0, 1), (1, -1)))
    return picture[row.long().clamp(0, SIDE - 1), column.long().clamp(0, SIDE - 1)]
