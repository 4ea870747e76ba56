"""Views to a surface: what all outlines leave over, less what furniture is likely not to fill of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from models.multiview.appearance import vertex_colours
from models.multiview.covering import covering
from models.multiview.edges import body
from models.multiview.known import lattice_over
from models.multiview.plates import plates
from models.multiview.prior import CLIPPED, FEWEST, Prior, likely
from models.multiview.silhouettes import Lattice, hull_field, object_box, outline_distances, strangers, zero_set
from models.multiview.tops import level_tops
from models.multiview.views import Views
from models.optimisation.hooks import Hooks

THIN = 0.98 * CLIPPED
"""The prior's cells: what it says of thin parts of the hull is that they are farther inside."""


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
    distance = hull_field(apart, views.cameras, lattice.points())
    learned = prior is not None and len(views) >= FEWEST
    if prior is not None and learned:
        less = _likely_left(prior, views, apart, low, high, lattice, distance)
        distance = covering(less, distance, views, lattice)
    vertices, faces = closed_triangles(distance.reshape(lattice.shape), lattice, settings.smallest)
    colours, seen = vertex_colours(vertices, faces, views)
    report = {
        "left_out": left_out,
        "learned": learned,
        "lattice": list(lattice.shape),
        "seen": float(seen.float().mean()),
    }
    return Surface(vertices, faces, colours, seen, report)


def _likely_left(
    prior: Prior, views: Views, apart: Tensor, low: Tensor, high: Tensor, lattice: Lattice, hull: Tensor
) -> Tensor:
    """`[P]`: the field of the visual hull, less what furniture is likely not to fill of that.

    Args:
        apart: of `outline_distances`. low, high: corners of the box around the hull.
        lattice: hull, `[P]`, is the field on its points.
    """
    points, cell = lattice.points(), lattice_over(low, high).spacing
    said = likely(prior, views, low, high, points)
    spanned = body(apart, views, low, high)
    outside = None if spanned is None else spanned.outside(points)
    if outside is not None:  # thin parts are the hull's
        said = torch.where(said > -THIN * cell, torch.maximum(said, outside), said)
    within = hull.reshape(lattice.shape)
    left = plates(torch.maximum(hull, said).reshape(lattice.shape), within, lattice.spacing, cell)
    if spanned is not None and outside is not None:
        left = level_tops(left, within, spanned, outside.reshape(lattice.shape), views.cameras, lattice, cell)
    return left.flatten()


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
