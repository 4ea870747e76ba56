"""How far each place is from a model's surface as it is seen from outside: what a prior of surfaces learns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from models.lrm.cameras import spherical_poses
from models.optimisation.chance import generator
from models.rendering.cameras import Camera
from models.rendering.rasteriser import rasterise
from training.measures import surface_samples

LOOKS, SIDE = 40, 192
"""Cameras on a sphere around a model, and the pixels along a side of what they see."""

POINTS = 150_000
SLACK = 0.004
"""How far behind what a camera sees a point of the surface may lie and still count as seen, by the longest side."""

SHEET = 0.004
"""Half the thickness, by the longest side, of what has none."""

CLOSE, ASKED = 0.03, 5
"""So near to the surface, by the longest side, as many of its points tell on which side of it a place is; farther away
it is told by whether a camera sees through it."""

SIDEWAYS = 0.1
"""Cosine of the angle to a surface from which on a camera is on one side of it."""


@dataclass(frozen=True)
class _Shell:
    """Points of the surface that are seen from outside: `[P, 3]` each, places and normals, which side of the latter is
    free (`[P]`, 1 or -1), and whether both are."""

    points: Tensor
    normals: Tensor
    free: Tensor
    sheet: Tensor

    def sides(self, places: Tensor, farthest: float, half: float) -> tuple[Tensor, Tensor]:
        """`[Q]` each, of places `[Q, 3]`: how far away the shell is, and how far outside of what it encloses they are
        as the nearest of its points say. What has no thickness encloses as much as `half` on either side.
        """
        tree = cKDTree(self.points.numpy())
        apart, nearest = tree.query(places.numpy(), k=ASKED, distance_upper_bound=farthest)
        near = torch.from_numpy(apart[:, 0]).float().clamp(max=farthest)
        which = torch.from_numpy(nearest).clamp(max=len(self.points) - 1)
        towards = places[:, None] - self.points[which]
        along = (towards * self.normals[which]).sum(2) * self.free[which]
        # The mean of several, since at an edge it is a matter of luck whose point is the nearest.
        outside = torch.where(along.mean(1) > 0, near, -near)
        sheet = self.sheet[which].float().mean(1) > 0.5
        return near, torch.where(sheet, near - half, outside)


def distances(vertices: Tensor, faces: Tensor, places: Tensor, farthest: float) -> Tensor:
    """`[P]`: signed distances of places `[P, 3]`, negative inside, no larger than `farthest` either way.

    Outside is what a camera somewhere on a sphere sees through; the surface is what one of them sees. So what lies
    within a model, and is in many, changes nothing, and models need not be closed. Near the surface, where cameras that
    are so few and see so coarsely do not tell, outside is the side of it that they look at. A surface that they look at
    from both is a sheet, `2 * SHEET` thick.
    """
    order = torch.arange(LOOKS) + 0.5
    elevations = torch.rad2deg(torch.asin(1 - 2 * order / LOOKS))
    azimuths = order * 180 * (1 + math.sqrt(5))
    low, high = vertices.amin(0), vertices.amax(0)
    middle, reach, longest = (low + high) / 2, float((high - low).norm()), float((high - low).max())
    points, normals = surface_samples(vertices - middle, faces, POINTS, generator(0, "surface"))
    fronts, backs = torch.zeros(len(points)), torch.zeros(len(points))
    free = torch.zeros(len(places), dtype=torch.bool)
    for pose in spherical_poses(azimuths, elevations, 2 * reach):
        camera = Camera.orthographic(pose, 1.02 * reach)
        hits = rasterise(camera.clip(vertices - middle), faces, SIDE, SIDE)
        front = hits.picture(camera.distance(hits.interpolate(vertices - middle, faces))[:, None], 1e3)[..., 0]
        nearest = -functional.max_pool2d(-front[None], 3, 1, 1)[0]
        shown = camera.distance(points) <= _at(front, camera, points) + SLACK * longest
        facing = normals @ pose[:3, 2].to(normals)
        fronts += shown & (facing > SIDEWAYS)
        backs += shown & (facing < -SIDEWAYS)
        left = (~free).nonzero()[:, 0]
        some = places[left] - middle
        free[left] = camera.distance(some) < _at(nearest, camera, some) - 0.25 * SLACK * longest
    seen = fronts + backs > 0
    both = torch.minimum(fronts, backs) > 0.2 * torch.maximum(fronts, backs)
    shell = _Shell(points[seen], normals[seen], torch.where(fronts >= backs, 1.0, -1.0)[seen], both[seen])
    near, outside = shell.sides(places - middle, farthest, SHEET * longest)
    found = torch.where(near < CLOSE * longest, outside, -near)
    # What a camera sees through is outside, whatever the points say, but for the thickness that sheets are given.
    return torch.where(free & (near > 2 * SHEET * longest), near, found)


def _at(picture: Tensor, camera: Camera, points: Tensor) -> Tensor:
    clip = camera.clip(points)
    column, row = ((clip[:, axis] * sign + 1) * SIDE / 2 for axis, sign in ((0, 1), (1, -1)))
    return picture[row.long().clamp(0, SIDE - 1), column.long().clamp(0, SIDE - 1)]
