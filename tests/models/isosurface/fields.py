"""Fields of known shape, exact distances unless said otherwise; all take and return float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from skimage.measure import marching_cubes
from torch import Tensor

from bench.shapes import ball, union
from models.isosurface import Bounds, Field

CUBE = Bounds.of(-1.0, 1.0)


def box(centre: tuple[float, float, float], half: tuple[float, float, float], turned: float = 0.0) -> Field:
    """A box, turned about x and then z by so many radians."""
    c, s = np.cos(turned), np.sin(turned)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    rotation = torch.tensor(turn, dtype=torch.float32)

    def field(points: Tensor) -> Tensor:
        local = (points - torch.tensor(centre)) @ rotation if turned else points - torch.tensor(centre)
        beyond = local.abs() - torch.tensor(half)
        return beyond.clamp(min=0).norm(dim=1) + beyond.amax(1).clamp(max=0)

    return field


def pole(x: float, y: float, radius: float, half_height: float) -> Field:
    def field(points: Tensor) -> Tensor:
        across = (points[:, :2] - torch.tensor([x, y])).norm(dim=1) - radius
        beyond = torch.stack([across, points[:, 2].abs() - half_height], dim=1)
        return beyond.clamp(min=0).norm(dim=1) + beyond.amax(1).clamp(max=0)

    return field


def torus(points: Tensor) -> Tensor:
    ring = torch.stack([points[:, :2].norm(dim=1) - 0.65, points[:, 2]], dim=1)
    return ring.norm(dim=1) - 0.25


CHAIR = union(
    box((0, 0, 0), (0.9, 0.9, 0.03)),
    box((-0.87, 0, 0.45), (0.03, 0.9, 0.48)),
    *[box((x, y, -0.48), (0.03, 0.03, 0.47)) for x in (-0.85, 0.85) for y in (-0.85, 0.85)],
)


def shapes(resolution: int) -> dict[str, Field]:
    """The shapes that a decoder must not lose, for a lattice of this resolution over `CUBE`."""
    cell = 2.0 / (resolution - 1)
    return {
        "two blobs": union(ball((-0.4, -0.3, 0.0), 0.5), ball((0.5, 0.3, 0.1), 0.42)),
        "torus": torus,
        "chair of boxes": CHAIR,
        "plate thinner than a coarse cell": box((0.011, 0.007, 0.0131), (0.93, 0.91, 0.75 * cell)),
        "turned plate": box((0.0, 0.0, 0.0), (0.7, 0.6, 0.75 * cell), turned=0.4),
        "pole three cells thick": pole(0.0131, 0.0077, 1.5 * cell, 0.9),
    }


class Counted:
    """A field that remembers how many points, and which, it was asked for."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.calls: list[int] = []
        self.points: list[Tensor] = []

    def __call__(self, points: Tensor) -> Tensor:
        self.calls.append(len(points))
        self.points.append(points)
        return self.field(points)


def dense(field: Callable[[Tensor], Tensor], bounds: Bounds, resolution: int) -> np.ndarray:
    """Every value of the lattice, written without the code under test."""
    axes = [
        torch.from_numpy(np.linspace(low, high, resolution, dtype=np.float32))
        for low, high in zip(bounds.minimum, bounds.maximum, strict=True)
    ]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    values = torch.cat([field(part).reshape(-1) for part in points.split(1 << 18)])
    return values.reshape(resolution, resolution, resolution).numpy()


def dense_triangles(volume: np.ndarray, bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
    """scikit-image's marching cubes of a dense array, scaled to the world."""
    vertices, faces, _, _ = marching_cubes(volume, 0.0)
    low, high = np.asarray(bounds.minimum), np.asarray(bounds.maximum)
    return (vertices * ((high - low) / (len(volume) - 1)) + low).astype(np.float32), faces


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = vertices.astype(np.float64)[faces].swapaxes(0, 1)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)
