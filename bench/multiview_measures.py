"""How near a reconstructed surface is to the true one, and its pictures to the true pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional

from models.lrm.cameras import spherical_poses
from models.multiview.surface import Surface
from models.multiview.views import Views
from models.optimisation.chance import generator
from models.rendering.cameras import Camera
from models.rendering.rasteriser import rasterise
from training.measures import signal_to_noise, surface_points

POINTS, DENSITY = 60_000, 12
"""Points of a surface whose distance to the other one is asked for, and how many times as many stand for that other
one: with no more than are asked for, a surface would be farther than one hundredth from itself in places."""

NEAR = (0.01, 0.02)
"""Distances of the F-scores, by the longest side of the true model's box."""

LOOKS, SIDE, SLACK = 64, 384, 0.004
"""Cameras all round, above and below, that decide what can be seen from outside; their pixels; by how much a point may
lie behind what they see, by the longest side."""


@dataclass(frozen=True)
class FScore:
    """precision: share of the result near the truth. recall: share of the truth near the result."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Their harmonic mean."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def seen_from_outside(vertices: Tensor, faces: Tensor, points: Tensor) -> Tensor:
    """`[P]`: which points of a surface a camera somewhere on a sphere around it sees, from above and below too.

    Models have insides that nobody ever sees, drawers in cupboards and surfaces in one another.
    """
    order = torch.arange(LOOKS) + 0.5
    elevations = torch.rad2deg(torch.asin(1 - 2 * order / LOOKS))
    azimuths = order * 180 * (1 + math.sqrt(5))
    low, high = vertices.amin(0), vertices.amax(0)
    middle, reach = (low + high) / 2, float((high - low).norm())
    seen = torch.zeros(len(points), dtype=torch.bool)
    slack = SLACK * float((high - low).max())
    for pose in spherical_poses(azimuths, elevations, 2 * reach):
        camera = Camera.orthographic(pose, reach)
        left = (~seen).nonzero()[:, 0]  # what has been seen need not be looked at again
        moved = points[left] - middle
        hits = rasterise(camera.clip(vertices - middle), faces, SIDE, SIDE)
        front = hits.picture(camera.distance(hits.interpolate(vertices - middle, faces))[:, None], math.inf)[..., 0]
        clip = camera.clip(moved)
        column, row = ((clip[:, axis] * sign + 1) * SIDE / 2 for axis, sign in ((0, 1), (1, -1)))
        there = front[row.long().clamp(0, SIDE - 1), column.long().clamp(0, SIDE - 1)]
        seen[left] = camera.distance(moved) <= there + slack
    return seen


@dataclass(frozen=True)
class Sampled:
    """Points `[P, 3]` of a surface; shown: `[P]` bool, which are seen from outside; longest: side of its box."""

    points: Tensor
    shown: Tensor
    longest: float

    @classmethod
    def of(cls, vertices: Tensor, faces: Tensor, points: int = POINTS) -> Sampled:
        """Of a mesh, with `DENSITY` times as many points as are asked for."""
        some = surface_points(vertices, faces, points * DENSITY, generator(0, "surface"))
        longest = float((vertices.amax(0) - vertices.amin(0)).max())
        return cls(some, seen_from_outside(vertices, faces, some), longest)


def f_scores(found: Sampled, truth: Sampled) -> tuple[list[FScore], list[FScore]]:
    """At the distances `NEAR`: of what is seen from outside, of both surfaces; and of all of both."""
    shown = _scores(found.points[found.shown], truth.points[truth.shown], truth.longest)
    return shown, _scores(found.points, truth.points, truth.longest)


def _scores(some: Tensor, others: Tensor, longest: float) -> list[FScore]:
    if not len(some) or not len(others):
        return [FScore(0.0, 0.0) for _ in NEAR]
    there = cKDTree(others.numpy()).query(some[::DENSITY].numpy())[0]
    back = cKDTree(some.numpy()).query(others[::DENSITY].numpy())[0]
    return [FScore(float(np.mean(there <= d * longest)), float(np.mean(back <= d * longest))) for d in NEAR]


def picture_noise(surface: Surface, views: Views, samples: int = 2) -> float:
    """Mean PSNR in dB of the surface, drawn with its own colours on white from where the views were taken."""
    width, height = views.cameras.width, views.cameras.height
    found = []
    for index in range(len(views)):
        clip = views.cameras.camera(index).clip(surface.vertices)
        hits = rasterise(clip, surface.faces, width * samples, height * samples)
        drawn = hits.picture(hits.interpolate(surface.colours, surface.faces), 1.0)
        found.append(functional.avg_pool2d(drawn.movedim(2, 0), samples))
    wanted = views.on(1.0).movedim(3, 1)
    return float(signal_to_noise(torch.stack(found), wanted).mean())


def is_watertight(faces: Tensor) -> bool:
    """Every edge has one triangle on either side, turned the same way."""
    one = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ways, counts = torch.unique(one, dim=0, return_counts=True)
    back = torch.unique(ways.flip(1), dim=0)
    return bool((counts == 1).all()) and torch.equal(back, ways)
