"""Meshes from formulas, z up, within ±1: vertices [V, 3] float32, faces [F, 3] int64, facing outwards."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.texture import bumpy_torus

Mesh = tuple[Tensor, Tensor]


def ball(rings: int = 24, radius: float = 0.8, centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mesh:
    """A sphere whose corners lie on it; two vertices at the poles."""
    sides = 2 * rings
    tilt = torch.arange(1, rings, dtype=torch.float64) * (torch.pi / rings)
    turn = torch.arange(sides, dtype=torch.float64) * (torch.pi / rings)
    flat = tilt.sin()[:, None]
    belt = torch.stack([flat * turn.cos(), flat * turn.sin(), tilt.cos()[:, None].expand(-1, sides)], dim=2)
    poles = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
    vertices = torch.cat([belt.reshape(-1, 3), poles]) * radius + torch.tensor(centre, dtype=torch.float64)
    row, column = torch.arange(rings - 2)[:, None] * sides, torch.arange(sides)
    after = (column + 1) % sides
    here, right, below, across = row + column, row + after, row + sides + column, row + sides + after
    quads = torch.stack([here, below, right, right, below, across], dim=-1).reshape(-1, 3)
    top, last = torch.full_like(column, (rings - 1) * sides), (rings - 2) * sides
    caps = [torch.stack([top, column, after], 1), torch.stack([last + after, last + column, top + 1], 1)]
    return vertices.float(), torch.cat([quads, *caps])


def box(half: tuple[float, float, float], centre: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mesh:
    """Twelve triangles with sharp edges between them."""
    corners = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    return corners * torch.tensor(half) + torch.tensor(centre), torch.tensor(faces)


def joined(*meshes: Mesh) -> Mesh:
    """Several meshes as one, in pieces."""
    vertices, faces, count = [], [], 0
    for points, triangles in meshes:
        vertices.append(points)
        faces.append(triangles + count)
        count += len(points)
    return torch.cat(vertices), torch.cat(faces)


def with_broken_triangles(mesh: Mesh) -> Mesh:
    """A mesh and, among its triangles, some with a corner twice, with corners on a line, and in one place."""
    vertices, faces = mesh
    count = len(vertices)
    line = torch.stack([vertices[0], (vertices[0] + vertices[1]) / 2, vertices[1], vertices[0]])
    broken = torch.tensor([[0, 0, 1], [count, count + 1, count + 2], [count, count + 3, 1], [5, 5, 5]])
    middle = len(faces) // 2
    return torch.cat([vertices, line]), torch.cat([faces[:middle], broken, faces[middle:]])


SOLIDS: dict[str, Mesh] = {
    "bumpy torus": bumpy_torus(40, 20),
    "ball": ball(12),
    "box with sharp edges": box((0.9, 0.5, 0.3)),
    "thin plate": box((0.9, 0.6, 0.004)),
    "needle": box((0.9, 0.001, 0.001)),
    "pieces": joined(
        ball(6, 0.3, (0.6, 0.0, 0.0)), box((0.2, 0.2, 0.2), (-0.5, 0.0, 0.0)), ball(4, 0.01, (0.0, 0.8, 0.0))
    ),
    "broken triangles": with_broken_triangles(ball(8)),
    "one triangle": (torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.tensor([[0, 1, 2]])),
}
