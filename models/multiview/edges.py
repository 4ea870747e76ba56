"""Sharp edges that many outlines run through, and the convex body that they span.

Before a broad wall the hull of an orbit bulges, and it carries a roof on every top, but edges and corners it touches: a
sharp edge is the outline of all views that see one of its sides and not the other, so many outlines run through it, and
they lean every which way. Few run through any place of a bulge, and they lean alike. What such edges span is the box
that a cupboard is. What is round has no such edges and would be cut off, so what outlines show beside the box is added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor
from torch.nn import functional

from models.multiview.silhouettes import Lattice, apart, hull_field, zero_set
from models.multiview.views import Views

CELLS = 96
"""Of the lattice that edges are looked for on, along the longest side."""

NEAR = 0.004
"""How near to an edge an outline runs, by the longest side."""

MANY, LEANING = 6, math.cos(math.radians(50))
"""Outlines that run through an edge at least, and the largest cosine of the angle between two of them."""

SLACK = 0.008
"""How far beside the body a line may pass that it covers, by the longest side; the lattice cuts corners off."""

FEWEST, ROUNDS = 20, 3
"""Places that span a body at least, and how often it is looked whether it covers the outlines."""


@dataclass(frozen=True)
class Body:
    """A convex body: `[F, 4]`, normals and offsets of its planes; inside is where all are negative."""

    planes: Tensor

    @classmethod
    def of(cls, places: Tensor) -> Body | None:
        """What places `[P, 3]` span; None if they are too few, or on one plane."""
        if len(places) < FEWEST:
            return None
        try:
            hull = ConvexHull(places.cpu().double().numpy())
        except QhullError:
            return None
        scale = np.array([1.0, 1.0, 1.0, np.ptp(hull.points, axis=0).max()])
        planes = np.unique((hull.equations / scale).round(5), axis=0) * scale  # faces of a wall share its plane
        return cls(torch.from_numpy(planes).to(places))

    def outside(self, points: Tensor) -> Tensor:
        """`[P]`: how far points `[P, 3]` lie outside, negative inside; beside its edges less than the distance."""
        normals, offsets = self.planes[:, :3].T, self.planes[:, 3]
        return torch.cat([(piece @ normals + offsets).amax(1) for piece in torch.split(points, 2**14)])

    def met(self, origins: Tensor, points: Tensor, slack: float) -> Tensor:
        """`[P]`: whether the lines from `[P, 3]` through points `[P, 3]` come nearer than that to the body."""
        normals, offsets = self.planes[:, :3].T, self.planes[:, 3] - slack
        there = origins @ normals + offsets
        along = (points - origins) @ normals
        at = -there / torch.where(along.abs() < 1e-9, 1e-9, along)
        enters = torch.where(along < 0, at, -torch.inf).amax(1)
        leaves = torch.where(along >= 0, at, torch.inf).amin(1)
        return enters <= leaves


def body(
    distances: Tensor, views: Views, low: Tensor, high: Tensor, many: int = MANY, rounds: int = ROUNDS
) -> Body | None:
    """The least convex body that sharp edges span and that covers all outlines; None if there are no such edges.

    An outline that what the edges span does not cover is that of something round: there the hull's own surface belongs
    to the body. So of a ball nothing is taken away, and of a cupboard with a round lid the bulge of its walls is.

    Args:
        distances: of `outline_distances`.
        low, high: corners of the box around the hull, of `object_box`.
        many: outlines that run through an edge at least.
        rounds: how often it is looked whether it covers the outlines; 0: what the edges alone span.
    """
    longest = float((high - low).max())
    near = NEAR * longest
    points = _surface(distances, views, low, high, longest / CELLS)
    outlines = torch.cat([apart(distances, views.cameras, piece) for piece in torch.split(points, 2**16)], dim=1)
    through = outlines.abs() < near
    often = through.sum(0) >= many
    run = points[often]
    if not len(run):
        return None
    leaning = [
        _leaning(distances, views, piece, which, near)
        for piece, which in zip(torch.split(run, 2**14), torch.split(through[:, often], 2**14, 1), strict=True)
    ]
    places = run[torch.cat(leaning) < LEANING]
    found = Body.of(places)
    positions = views.cameras.positions.to(points)
    for _ in range(rounds):
        if found is None:
            return None
        view, point = (through & (found.outside(points) > near)).nonzero().unbind(1)
        bare = [
            ~found.met(positions[which], points[at], SLACK * longest)
            for which, at in zip(torch.split(view, 2**14), torch.split(point, 2**14), strict=True)
        ]
        needed = torch.unique(point[torch.cat(bare)])  # type: ignore[no-untyped-call, unused-ignore]
        if not len(needed):
            break
        places = torch.cat([places, points[needed]])
        found = Body.of(places)
    return found


def _surface(distances: Tensor, views: Views, low: Tensor, high: Tensor, spacing: float) -> Tensor:
    """`[P, 3]`: places on the surface of the hull."""
    lattice = Lattice.over(low, high, spacing)
    hull = hull_field(distances, views.cameras, lattice.points()).reshape(lattice.shape)
    return zero_set(hull, lattice)[0].to(low).float()


def _leaning(distances: Tensor, views: Views, points: Tensor, through: Tensor, near: float) -> Tensor:
    """`[P]`: the least cosine of the angle between two of the outlines that run through places `[P, 3]`.

    through: `[V, P]` bool, which of them do, no farther away than `near`.
    """
    steps = torch.eye(3, device=points.device) * near
    slopes = [
        apart(distances, views.cameras, points + step) - apart(distances, views.cameras, points - step)
        for step in steps
    ]
    normals = functional.normalize(torch.stack(slopes, dim=2), dim=2).transpose(0, 1)
    both = through.T[:, :, None] & through.T[:, None]
    return torch.where(both, normals @ normals.transpose(1, 2), 1.0).amin((1, 2))
