"""Cameras around an object in the origin, and from where a step looks.

World: right-handed, z up, as everywhere here. Azimuth 0 stands at -y and looks along +y, Blender's front view, and
grows counter-clockwise seen from above: the camera moves to its right. Polar angles are measured from +z. A pose is a
camera-to-world matrix with OpenGL axes: x right, y up, -z ahead.

The published world is a mirror image, so that writing on an object comes out the wrong way round: there, the right
axis of a camera is cross(back, up). It has y up, azimuth 0 at +z, growing to +x; `published_poses` gives its
cameras, for comparison. (x, y, z) here is (-x, z, -y) there, and an azimuth here is the negative of the one there.

Directions of rays are not normalised: their part along the camera's axis is 1, so what is measured along a ray is
planar depth, as published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.guidance.prior import RelativeViews
from models.optimisation.chance import Step
from models.rendering.cameras import Camera

RADIUS, FIELD_OF_VIEW = 1.8, 40.0
"""Published: at this distance and angle, in degrees, a picture shows 1.31 of the box's 2 units in the middle."""

SIDES = ("front", "side", "back", "other side", "top", "bottom")
OVERHEAD, FRONT = math.radians(30), math.radians(60)


@dataclass(frozen=True)
class Orbit:
    """N cameras that look at the origin.

    polar, azimuth: `[N]`, radians. radius: `[N]`. field_of_view: degrees, from the upper to the lower side.
    """

    polar: Tensor
    azimuth: Tensor
    radius: Tensor
    field_of_view: float = FIELD_OF_VIEW

    @classmethod
    def of(cls, polar: float, azimuth: float, radius: float = RADIUS, field_of_view: float = FIELD_OF_VIEW) -> Orbit:
        """One camera, from angles in degrees.

        Raises:
            ValueError: an angle is not finite, or the camera is in the origin or sees nothing.
        """
        if not (math.isfinite(polar + azimuth) and 0 < radius < math.inf and 0 < field_of_view < 180):
            raise ValueError(f"({polar}, {azimuth}) at {radius} with {field_of_view} degrees is no camera.")
        one, other = (torch.tensor([math.radians(each)]) for each in (polar, azimuth))
        return cls(one, other, torch.tensor([float(radius)]), field_of_view)

    def __len__(self) -> int:
        return len(self.polar)

    @property
    def backward(self) -> Tensor:
        """Unit vectors `[N, 3]` from the origin to the cameras."""
        flat = self.polar.sin()
        return torch.stack([flat * self.azimuth.sin(), -flat * self.azimuth.cos(), self.polar.cos()], dim=1)

    @property
    def poses(self) -> Tensor:
        """`[N, 4, 4]` camera-to-world. The right axis follows from the azimuth alone, so straight above is defined."""
        right = torch.stack([self.azimuth.cos(), self.azimuth.sin(), torch.zeros_like(self.azimuth)], dim=1)
        return _poses(right, self.backward, self.radius)

    def camera(self, index: int = 0) -> Camera:
        """One of them for pictures of a mesh."""
        return Camera.perspective(self.poses[index], self.field_of_view)

    def rays(self, size: int) -> tuple[Tensor, Tensor]:
        """Origins and directions through the pixels' middles of square pictures, `[N, size * size, 3]` each."""
        return rays(self.poses, self.field_of_view, size)

    def seen_from(self, other: Orbit) -> RelativeViews:
        """These cameras as a prior is told of them, relative to a single one."""
        azimuth = self.azimuth - other.azimuth
        between = (self.backward * other.backward).sum(1)
        across = torch.linalg.cross(self.backward, other.backward.expand_as(self.backward)).norm(dim=1)
        return RelativeViews(
            polar=self.polar - other.polar,
            azimuth=torch.atan2(azimuth.sin(), azimuth.cos()),
            radius=self.radius - other.radius,
            # Of two directions that are nearly the same the cosine alone says little.
            angle=torch.atan2(across, between),
        )

    @property
    def sides(self) -> list[str]:
        """What each shows, in a word: tops and bottoms within 30 degrees, fronts and backs 60 degrees wide."""
        turn = -self.azimuth % (2 * math.pi)  # as published, where azimuths grow the other way
        number = torch.ones(len(self), dtype=torch.long)
        number[(turn >= math.pi + FRONT / 2) & (turn < 2 * math.pi - FRONT / 2)] = 3
        number[(turn >= math.pi - FRONT / 2) & (turn < math.pi + FRONT / 2)] = 2
        number[(turn < FRONT / 2) | (turn >= 2 * math.pi - FRONT / 2)] = 0
        number[self.polar <= OVERHEAD] = 4
        number[self.polar >= math.pi - OVERHEAD] = 5
        return [SIDES[each] for each in number.tolist()]


def published_poses(polar: Tensor, azimuth: Tensor, radius: Tensor) -> Tensor:
    """Poses `[N, 4, 4]` of the published, mirrored world: their determinants are -1.

    Args:
        polar, azimuth: `[N]`, radians, as published. radius: `[N]`.
    """
    flat = polar.sin()
    backward = torch.stack([flat * azimuth.sin(), polar.cos(), flat * azimuth.cos()], dim=1)
    up = torch.tensor([0.0, 1.0, 0.0]).to(backward).expand_as(backward)
    right = functional.normalize(torch.linalg.cross(backward, up), dim=1)
    return _poses(right, backward, radius, torch.linalg.cross(right, backward))


def _poses(right: Tensor, backward: Tensor, radius: Tensor, up: Tensor | None = None) -> Tensor:
    up = torch.linalg.cross(backward, right) if up is None else up
    poses = torch.zeros(len(right), 4, 4).to(right)
    poses[:, :3] = torch.stack([right, up, backward, backward * radius[:, None]], dim=2)
    poses[:, 3, 3] = 1
    return poses


def rays(poses: Tensor, field_of_view: float, size: int) -> tuple[Tensor, Tensor]:
    """Origins and directions through the middles of a square picture's pixels, row by row from the upper left.

    Args:
        poses: `[N, 4, 4]`.
        field_of_view: degrees.
        size: pixels along each side.

    Returns:
        `[N, size * size, 3]` each; directions are 1 long along the camera's axis.
    """
    places = (torch.arange(size).to(poses) + 0.5) / size * 2 - 1
    across = places * math.tan(math.radians(field_of_view) / 2)
    down, right = torch.meshgrid(across, across, indexing="ij")
    ahead = torch.stack([right, -down, -torch.ones_like(right)], dim=2).reshape(-1, 3)
    directions = ahead @ poses[:, :3, :3].transpose(1, 2)
    return poses[:, None, :3, 3].expand_as(directions), directions


@dataclass(frozen=True)
class Around:
    """From where novel views look; published numbers.

    polar, azimuth: degrees, from … to; azimuths from the front, not from the reference view.
    radius: from … to. field_of_view: degrees.
    sphere: the share of views whose direction is drawn in a box over the ground instead, and not as two angles.
    """

    polar: tuple[float, float] = (45.0, 135.0)
    azimuth: tuple[float, float] = (-180.0, 180.0)
    radius: tuple[float, float] = (RADIUS, RADIUS)
    field_of_view: float = FIELD_OF_VIEW
    sphere: float = 0.5


def drawn(step: Step, around: Around, count: int = 1) -> Orbit:
    """This part's share of the cameras of a step, `count` over all of its parts.

    All numbers are drawn for each, whichever of the two ways its direction comes about.
    """
    chance = torch.rand((count, 7), generator=step.generator("camera"))

    def between(column: int, limits: tuple[float, float]) -> Tensor:
        return limits[0] + chance[:, column] * (limits[1] - limits[0])

    polar, azimuth = (between(1, around.polar).deg2rad(), between(2, around.azimuth).deg2rad())
    x, y, z = chance[:, 4] * 2 - 1, chance[:, 5] * 2 - 1, chance[:, 6]
    over = chance[:, 0] < around.sphere
    polar = torch.where(over, torch.atan2(torch.hypot(x, y), z), polar)
    azimuth = torch.where(over, torch.atan2(x, -y), azimuth)
    return Orbit(step.mine(polar), step.mine(azimuth), step.mine(between(3, around.radius)), around.field_of_view)


def lights(step: Step, orbit: Orbit, count: int = 1) -> Tensor:
    """Unit vectors `[N, 3]` to a light near each camera of `drawn`, another in each step."""
    return functional.normalize(orbit.backward * orbit.radius[:, None] + step.normal(count, 3, purpose="light"), dim=1)
