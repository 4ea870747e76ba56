"""Where the dual vertices lie, and how quads are split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.isosurface.flexicubes.field import WEIGHTS
from models.isosurface.flexicubes.tables import tables
from models.isosurface.flexicubes.topology import SurfaceCells, Topology, connect, surface_cells

WEIGHT_SCALE = 0.5
"""How far weights may go from their middle, in InstantMesh. The published library's default is 0.99."""


@dataclass(frozen=True)
class DualMesh:
    """Triangles and what they were made of.

    Attributes:
        vertices: `[V, 3]`, in the units of the grid. Those at the border of the grid may belong to no face.
        faces: `[F, 3]` int64, counter-clockwise seen from outside. Open where the surface leaves the grid.
        deviation: L_dev, the paper's regulariser, one value per dual vertex and crossed edge, `[D]`.
        cells: the cells that the surface passes.
    """

    vertices: Tensor
    faces: Tensor
    deviation: Tensor
    cells: SurfaceCells


@dataclass(frozen=True)
class Weights:
    """The weights of S cells within their bounds: beta `[S, 12]`, alpha `[S, 8]`, gamma `[S]`, all positive."""

    beta: Tensor
    alpha: Tensor
    gamma: Tensor

    @classmethod
    def bounded(cls, raw: Tensor, scale: float) -> Weights:
        """From unbounded numbers `[S, 21]`; zeros make all edges and all corners alike."""
        around_one = raw[:, :20].tanh() * scale + 1
        gamma = raw[:, 20].sigmoid() * scale + (1 - scale) / 2
        return cls(around_one[:, :12], around_one[:, 12:], gamma)


def crossing(points: Tensor, values: Tensor) -> Tensor:
    """Where a linear function is zero between the two points `[..., 2, 3]` at which it has `values` `[..., 2]`."""
    a, b = values[..., :1], values[..., 1:]
    return (points[..., 0, :] * b - points[..., 1, :] * a) / (b - a)


def dual_vertices(topology: Topology, points: Tensor, values: Tensor, weights: Weights) -> Tensor:
    """`[V, 3]`: the mean, weighted by beta, of the crossings of each dual vertex's edges, shifted by alpha.

    Args:
        topology: V dual vertices.
        points: grid vertices at the ends of their edges, deformed, `[V, 7, 2, 3]`.
        values: signed distances there, `[V, 7, 2]`.
        weights: of the surface cells.
    """
    cell = topology.cell[:, None]
    ends = tables(cell.device).ends[topology.edge]
    crossings = crossing(points, values * weights.alpha[cell[..., None], ends])
    beta = torch.where(topology.used, weights.beta[cell, topology.edge], 0)[..., None]
    return (beta * crossings).sum(1) / beta.sum(1)


def deviation(topology: Topology, points: Tensor, values: Tensor, vertices: Tensor) -> Tensor:
    """L_dev `[D]`: how much the distance of each crossing, not shifted, differs from the mean of its dual vertex."""
    distance: Tensor = (crossing(points, values) - vertices[:, None]).norm(dim=2)
    mean = torch.where(topology.used, distance, 0).sum(1) / topology.used.sum(1)
    return (distance - mean[:, None]).abs()[topology.used]


def triangles(quads: Tensor, gamma: Tensor) -> Tensor:
    """Quads `[Q, 4]` to triangles `[2 Q, 3]`, along the diagonal with the larger product of gammas (`[V]`)."""
    at = gamma[quads]
    first = (at[:, 0] * at[:, 2] > at[:, 1] * at[:, 3])[:, None]
    return torch.where(first, quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 3, 1, 2]]).reshape(-1, 3)


def build(topology: Topology, points: Tensor, values: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Vertices `[V, 3]` and faces `[F, 3]`, from grid vertices `[V, 7, 2, 3]` and signed distances `[V, 7, 2]`."""
    vertices = dual_vertices(topology, points, values, weights)
    return vertices, triangles(topology.quads, weights.gamma[topology.cell])


def flexicubes(
    vertices: Tensor, sdf: Tensor, weights: Tensor | None = None, *, weight_scale: float = WEIGHT_SCALE
) -> DualMesh:
    """The surface of values on a grid of any shape; X, Y, Z are its cells along each axis.

    One difference from the published code: a value of exactly zero is outside everywhere, also where it decides which
    way a quad faces, so that all quads face outwards.

    Args:
        vertices: places of the grid's vertices, deformed, `[X + 1, Y + 1, Z + 1, 3]`.
        sdf: signed distances there, negative inside, `[X + 1, Y + 1, Z + 1]`.
        weights: raw weights of all cells, `[X, Y, Z, 21]`: 12 for edges, 8 for corners, 1 for quads; None for zeros.
        weight_scale: how far weights may go from their middle, 0 to 1.

    Raises:
        ValueError: the arrays do not fit together.
    """
    size = tuple(sdf.shape)
    if len(size) != 3 or min(size) < 2 or tuple(vertices.shape) != (*size, 3):
        raise ValueError(f"Values of shape {size} and vertices of shape {tuple(vertices.shape)} are not one grid.")
    if weights is not None and tuple(weights.shape) != (*(side - 1 for side in size), WEIGHTS):
        raise ValueError(f"Weights of shape {tuple(weights.shape)} do not fit a grid of {size} vertices.")
    cells = surface_cells(sdf)
    topology = connect(cells, sdf)
    if weights is None:
        raw = vertices.new_zeros(1, WEIGHTS).expand(len(cells.index), WEIGHTS)
    else:
        raw = weights.reshape(-1, WEIGHTS)[cells.index]
    points, values = vertices.reshape(-1, 3)[topology.ends], sdf.reshape(-1)[topology.ends]
    places, faces = build(topology, points, values, Weights.bounded(raw, weight_scale))
    return DualMesh(places, faces, deviation(topology, points, values, places), cells)
