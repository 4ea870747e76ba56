"""What keeps a mesh smooth while pictures pull at it: the fine stage's regularisers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.rendering.silhouettes import Edges

FLAT = 1e-10
"""Twice the area of a triangle below which it has no direction."""


def laplacian(vertices: Tensor, edges: Edges) -> Tensor:
    """Mean over the vertices of |degree · vertex - sum of its neighbours|, in the unit of the vertices.

    Args:
        vertices: `[V, 3]`. edges: of their triangles.
    """
    one, two = edges.ends.unbind(1)
    away = vertices.index_select(0, one) - vertices.index_select(0, two)
    total = torch.zeros_like(vertices).index_add(0, one, away).index_add(0, two, -away)
    lengths: Tensor = torch.linalg.vector_norm(total, dim=1)
    return lengths.mean()


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """`[F, 3]` of length 1; zeros for triangles without area."""
    one, two, three = (vertices.index_select(0, faces[:, corner]) for corner in range(3))
    return functional.normalize(torch.linalg.cross(two - one, three - one), dim=1, eps=FLAT)


def normal_consistency(vertices: Tensor, faces: Tensor, edges: Edges, *, reference: bool = False) -> Tensor:
    """Mean over the edges of 1 - the cosine between the normals of both triangles; 0 where there is no such edge.

    Args:
        vertices: `[V, 3]`. faces: `[F, 3]`, turned alike. edges: of `faces`.
        reference: count edges that have one triangle too, with the first triangle of all as the other one, as the
            published code does.
    """
    normals = face_normals(vertices, faces)
    sides, count = edges.of_side.reshape(-1), len(edges.ends)
    face = torch.arange(len(faces), device=faces.device).repeat(3)
    upwards = edges.along.reshape(-1) > 0
    pair = torch.full((2, count), 0 if reference else -1, dtype=torch.int64, device=faces.device)
    pair[0, sides[upwards]] = face[upwards]
    pair[1, sides[~upwards]] = face[~upwards]
    if not reference:
        pair = pair[:, (pair >= 0).all(0)]
    cosine = (normals.index_select(0, pair[0]) * normals.index_select(0, pair[1])).sum(1)
    return (1 - cosine.clamp(-1, 1)).sum() / max(pair.shape[1], 1)
