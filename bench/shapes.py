"""Solids as exact distance fields (negative inside), and a furnished scene of them in MIDI's frame.

All take points [P, 3] float32 on any device and return [P]. The scene is y up and fills about -1 … 1 as a whole, so its
objects are small and stand anywhere, turned by any angle; their thin parts have the thickness of real furniture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Solid = Callable[[Tensor], Tensor]
Vector = Sequence[float]


def ball(centre: Vector, radius: float) -> Solid:
    return lambda points: (points - points.new_tensor(centre)).norm(dim=1) - radius


def box(centre: Vector, half: Vector) -> Solid:
    return lambda points: _around((points - points.new_tensor(centre)).abs() - points.new_tensor(half))


def standing(centre: Vector, radius: float, half_height: float) -> Solid:
    """An upright cylinder."""

    def solid(points: Tensor) -> Tensor:
        local = points - points.new_tensor(centre)
        return _around(torch.stack([local[:, ::2].norm(dim=1) - radius, local[:, 1].abs() - half_height], dim=1))

    return solid


def ring(centre: Vector, radius: float, thickness: float) -> Solid:
    """A lying torus; `thickness` is the radius of its tube."""

    def solid(points: Tensor) -> Tensor:
        local = points - points.new_tensor(centre)
        distance: Tensor = torch.stack([local[:, ::2].norm(dim=1) - radius, local[:, 1]], dim=1).norm(dim=1)
        return distance - thickness

    return solid


def _around(beyond: Tensor) -> Tensor:
    """Distance from how far a point lies beyond each pair of faces, [P, k] → [P]."""
    distance: Tensor = beyond.clamp(min=0).norm(dim=1) + beyond.amax(1).clamp(max=0)
    return distance


def union(*solids: Solid) -> Solid:
    return lambda points: torch.stack([solid(points) for solid in solids]).amin(0)


def placed(solid: Solid, at: Vector, degrees: float = 0.0, scale: float = 1.0) -> Solid:
    """The solid scaled, turned about the vertical and moved; still an exact distance."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = [[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]]
    return lambda points: scale * solid((points - points.new_tensor(at)) @ points.new_tensor(turn) / scale)


def _chair() -> Solid:
    legs = [box((x, 0.11, z), (0.012, 0.11, 0.012)) for x in (-0.11, 0.11) for z in (-0.11, 0.11)]
    return union(box((0, 0.22, 0), (0.125, 0.014, 0.125)), box((0, 0.37, -0.113), (0.125, 0.14, 0.012)), *legs)


def _table() -> Solid:
    legs = [box((x, 0.19, z), (0.012, 0.19, 0.012)) for x in (-0.38, 0.38) for z in (-0.2, 0.2)]
    return union(box((0, 0.39, 0), (0.4, 0.012, 0.22)), *legs)


def _lamp() -> Solid:
    pole, foot = standing((0, 0.4, 0), 0.009, 0.4), standing((0, 0.008, 0), 0.1, 0.008)
    return union(foot, pole, standing((0, 0.85, 0), 0.13, 0.09))


def _shelf() -> Solid:
    boards = [box((0, 0.012 + 0.18 * level, 0), (0.2, 0.012, 0.09)) for level in range(6)]
    sides = [box((x, 0.46, 0), (0.012, 0.46, 0.09)) for x in (-0.2, 0.2)]
    return union(*boards, *sides, box((0, 0.46, -0.085), (0.2, 0.46, 0.005)))


def _two_parts() -> Solid:
    return union(
        box((0, 0.1, 0), (0.35, 0.1, 0.16)), box((0, 0.26, -0.12), (0.35, 0.1, 0.04)), ball((0.1, 0.1, 0.34), 0.1)
    )


SCENE: dict[str, Solid] = {
    "chair": placed(_chair(), (-0.35, -0.45, 0.35), 25),
    "table, thin legs": placed(_table(), (0.15, -0.45, 0.2), -12),
    "lamp, thin pole": placed(_lamp(), (0.78, -0.45, -0.55)),
    "shelf of boards": placed(_shelf(), (-0.7, -0.45, -0.5), 60),
    "two parts": placed(_two_parts(), (0.1, -0.45, -0.6), 8),
    "ball": ball((0.1, 0.07, 0.2), 0.1),
    "torus": ring((-0.8, -0.4, 0.6), 0.12, 0.04),
    "thin plate": placed(box((0, 0, 0), (0.5, 0.006, 0.35)), (0.1, -0.455, 0.3), -12),
}
"""One field per instance. The first five are the scene of five, and so on."""
