"""Views to a surface: what all outlines leave over, less what furniture is likely not to fill of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional

from models.multiview.appearance import vertex_colours
from models.multiview.edges import body
from models.multiview.known import lattice_over
from models.multiview.plates import plates
from models.multiview.prior import CLIPPED, FEWEST, Prior, likely
from models.multiview.silhouettes import Lattice, hull_field, object_box, outline_distances, strangers, zero_set
from models.multiview.views import Views
from models.optimisation.hooks import Hooks

THIN = 0.98 * CLIPPED
"""The prior's cells: what it says of thin parts of the hull is that they are farther inside."""

WIDER, WHOLE = 1.4, 0.5
"""Cells that a ray is wide where it is asked whether it meets something, and the alpha from which on it has to."""


@dataclass(frozen=True)
class Settings:
    """How a surface is made.

    cells: along the longest side of the box around the visual hull.
    smallest: share of the area that a separate piece has at least.
    """

    cells: int = 144
    smallest: float = 0.002


@dataclass(frozen=True)
class Surface:
    """A closed, coloured mesh.

    vertices: `[N, 3]` float32 in the cameras' world. faces: `[F, 3]` int64, counter-clockwise seen from outside.
    colours: `[N, 3]` float32, 0 … 1, sRGB. seen: `[N]` bool, whether a view sees the vertex.
    report: see `reconstruct`.
    """

    vertices: Tensor
    faces: Tensor
    colours: Tensor
    seen: Tensor
    report: dict[str, Any]


def reconstruct(
    views: Views, settings: Settings | None = None, prior: Prior | None = None, hooks: Hooks | None = None
) -> Surface:
    """A mesh of what the views show.

    Args:
        views: two or more, of an object that all of them show as a whole; sixteen all round are what it is made for.
        settings: None for the usual ones.
        prior: takes away of the visual hull what is likely not there; None: the hull as it is. It is not asked about
            less than `FEWEST` views.
        hooks: `tell` hears of views that were left out. Nothing else of it is used.

    Returns:
        The mesh, on the device of the views. Its report has `left_out` (numbers of views that show something else),
        `learned` (whether the prior was asked), `lattice` (points along x, y, z) and `seen` (share of the vertices).

    Raises:
        ValueError: the outlines have nothing in common, or nothing is left.
    """
    settings, hooks = settings or Settings(), hooks or Hooks()
    apart = outline_distances(views.alpha)
    strange = strangers(apart, views)
    left_out = strange.nonzero()[:, 0].tolist()
    if hooks.tell is not None and left_out:
        hooks.tell(f"Views {left_out} show something else than the others: they are left out. The first is 0.")
    kept = (~strange).nonzero()[:, 0]
    views, apart = views.chosen(kept), apart[kept]
    low, high = object_box(apart, views)
    lattice = Lattice.over(low, high, float((high - low).max()) / settings.cells)
    points = lattice.points()
    distance = hull_field(apart, views.cameras, points)
    learned = prior is not None and len(views) >= FEWEST
    if prior is not None and learned:
        cell = lattice_over(low, high).spacing
        said = likely(prior, views, low, high, points)
        spanned = body(apart, views, low, high)
        if spanned is not None:  # thin parts are the hull's
            said = torch.where(said > -THIN * cell, torch.maximum(said, spanned.outside(points)), said)
        less = torch.maximum(distance, said)
        less = plates(less.reshape(lattice.shape), distance.reshape(lattice.shape), lattice.spacing, cell).flatten()
        distance = covering(less, distance, views, points, lattice.spacing)
    vertices, faces = closed_triangles(distance.reshape(lattice.shape), lattice, settings.smallest)
    colours, seen = vertex_colours(vertices, faces, views)
    report = {
        "left_out": left_out,
        "learned": learned,
        "lattice": list(lattice.shape),
        "seen": float(seen.float().mean()),
    }
    return Surface(vertices, faces, colours, seen, report)


def covering(distance: Tensor, hull: Tensor, views: Views, points: Tensor, spacing: float) -> Tensor:
    """`[P]`: a field in which the surface covers the outlines again, as far as the visual hull does.

    Where a ray of a pixel that is all the object's meets nothing any more, the places on it that were nearest to being
    inside are put back.

    Args:
        distance, hull: `[P]`, fields at points `[P, 3]` of a lattice; the first is nowhere below the second.
        spacing: of the lattice.
    """
    inside = (hull < 0).nonzero()[:, 0]
    found = distance[inside]
    pixels, depth = views.cameras.project(points[inside])
    focal, width, height = float(views.cameras.intrinsics[0, 0, 0]), views.cameras.width, views.cameras.height
    share = min(1.0, float(depth.mean()) / (focal * spacing * WIDER))
    size = max(8, round(height * share)), max(8, round(width * share))
    wanted = functional.adaptive_avg_pool2d(views.alpha, size).flatten(1) > WHOLE
    scale = pixels.new_tensor([size[1] / width, size[0] / height])
    for place, asked in zip(pixels * scale, wanted, strict=True):
        column, row = place.long().unbind(1)
        ray = row.clamp(0, size[0] - 1) * size[1] + column.clamp(0, size[1] - 1)
        least = torch.full((size[0] * size[1],), torch.inf, device=found.device).scatter_reduce(0, ray, found, "amin")
        bare = asked & (least > 0)
        found = torch.where(bare[ray] & (found <= least[ray] + 0.5 * spacing), -0.25 * spacing, found)
    covered = distance.clone()
    covered[inside] = found
    return covered


def closed_triangles(distance: Tensor, lattice: Lattice, smallest: float) -> tuple[Tensor, Tensor]:
    """Vertices and faces of the zero set, closed at the border, without pieces of less than a share of the area."""
    vertices, faces = zero_set(distance, lattice)
    if not len(faces):
        raise ValueError("Nothing is left of the object: the views do not agree on any of it.")
    edges = faces[:, [0, 1, 1, 2]].reshape(-1, 2).numpy()
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2)
    piece = torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))[faces[:, 0]]
    corners = vertices[faces]
    areas = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
    shares = torch.zeros(int(piece.max()) + 1).double().index_add(0, piece, areas) / areas.sum()
    faces = faces[shares[piece] >= smallest]
    used, numbers = torch.unique(faces, return_inverse=True)
    return vertices[used].float().to(distance.device), numbers.reshape(-1, 3).to(distance.device)
