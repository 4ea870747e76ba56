"""Pictures of one object with the cameras that took them, checked.

The conventions are those of `models/rendering/cameras.py` and of `backend/camera.py`: world Z up; a pose is world from
camera, with the columns right, up, backwards (−Z looks ahead) and position; intrinsics are a pinhole's in pixels, with
(0, 0) the upper left corner of the picture and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from models.lrm.cameras import FRONT, circular_poses
from models.rendering.cameras import FAR, NEAR, Camera

Layout = Literal["hi3d"]

HI3D_VIEWS = 16
HI3D_FOCAL = 35 / 32
"""Focal length by the picture's side: a lens of 35 mm before a sensor of 32 mm, 49.1 degrees."""

HI3D_DISTANCE = 1.5
"""From the middle of an object whose longest side is 1."""

LOWEST, HIGHEST = -10.0, 40.0
"""Elevations, degrees, that Hi3D was trained on."""

FEWEST = 2
RIGID = 1e-3


@dataclass(frozen=True)
class Cameras:
    """V pinhole cameras that take pictures of one size.

    Attributes:
        poses: `[V, 4, 4]` float64, world from camera.
        intrinsics: `[V, 3, 3]` float64, pixels.
        width, height: of the pictures, pixels.

    Raises:
        ValueError: the shapes are others, a number is not finite, a pose is not rigid, a lens is no pinhole.
    """

    poses: Tensor
    intrinsics: Tensor
    width: int
    height: int

    def __post_init__(self) -> None:
        count = len(self.poses)
        if self.poses.shape != (count, 4, 4) or self.intrinsics.shape != (count, 3, 3):
            raise ValueError(
                f"Cameras are poses [V, 4, 4] and intrinsics [V, 3, 3], not {list(self.poses.shape)} and "
                f"{list(self.intrinsics.shape)}."
            )
        if self.width < 1 or self.height < 1:
            raise ValueError(f"A picture has pixels, not {self.width} x {self.height}.")
        object.__setattr__(self, "poses", self.poses.double())
        object.__setattr__(self, "intrinsics", self.intrinsics.double())
        if not bool(self.poses.isfinite().all() and self.intrinsics.isfinite().all()):
            raise ValueError("A camera has a number that is not finite.")
        turn, last = self.poses[:, :3, :3], self.poses.new_tensor([0.0, 0.0, 0.0, 1.0])
        uneven = (turn @ turn.transpose(1, 2) - torch.eye(3).to(turn)).abs().amax((1, 2)) > RIGID
        wrong = uneven | (torch.linalg.det(turn) < 0) | ((self.poses[:, 3] - last).abs().amax(1) > RIGID)
        if bool(wrong.any()):
            raise ValueError(
                f"The pose of camera {int(wrong.nonzero()[0, 0])} is no rotation with a position: give world from "
                "camera, without scale or mirroring, with 0 0 0 1 as the last row."
            )
        lens = self.intrinsics
        other = lens.clone()
        other[:, [0, 1, 0, 1], [0, 1, 2, 2]] = 0.0
        pinhole = (other - torch.diag(lens.new_tensor([0.0, 0.0, 1.0]))).abs().amax((1, 2)) < RIGID
        wrong = ~pinhole | (lens[:, 0, 0] <= 0) | (lens[:, 1, 1] <= 0)
        if bool(wrong.any()):
            raise ValueError(
                f"The intrinsics of camera {int(wrong.nonzero()[0, 0])} are no pinhole's: fx 0 cx, 0 fy cy, 0 0 1 in "
                "pixels, with focal lengths above 0."
            )

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def positions(self) -> Tensor:
        """`[V, 3]` float64 in the world."""
        return self.poses[:, :3, 3]

    def chosen(self, which: Sequence[int] | Tensor) -> Cameras:
        """Some of them, in the order of `which`."""
        index = torch.as_tensor(which, dtype=torch.int64, device=self.poses.device)
        return Cameras(self.poses[index], self.intrinsics[index], self.width, self.height)

    def scaled(self, width: int, height: int) -> Cameras:
        """The same cameras with pictures of another number of pixels."""
        factors = self.intrinsics.new_tensor([width / self.width, height / self.height, 1.0])
        return Cameras(self.poses, self.intrinsics * factors[:, None], width, height)

    def to(self, device: torch.device | str) -> Cameras:
        """On another device."""
        return Cameras(self.poses.to(device), self.intrinsics.to(device), self.width, self.height)

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Where each camera sees points `[P, 3]`: pixel coordinates `[V, P, 2]` and planar distances `[V, P]`.

        In the points' type and on their device. The coordinates of points that are not ahead mean nothing.
        """
        inverse = torch.linalg.inv(self.poses).to(points)
        local = points @ inverse[:, :3, :3].transpose(1, 2) + inverse[:, None, :3, 3]
        distance = -local[..., 2]
        lens = self.intrinsics.to(points)
        inverted = 1 / torch.where(distance.abs() < 1e-9, 1e-9, distance)
        x = lens[:, None, 0, 2] + lens[:, None, 0, 0] * local[..., 0] * inverted
        y = lens[:, None, 1, 2] - lens[:, None, 1, 1] * local[..., 1] * inverted
        return torch.stack([x, y], dim=2), distance

    def rays(self, which: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Origins and unit directions `[N, 3]` float32 of rays through pixel coordinates `[N, 2]` of cameras `[N]`."""
        lens, pose = self.intrinsics[which], self.poses[which]
        x = (pixels[:, 0] - lens[:, 0, 2]) / lens[:, 0, 0]
        y = (lens[:, 1, 2] - pixels[:, 1]) / lens[:, 1, 1]
        ahead = (pose[:, :3, :3] @ torch.stack([x, y, -torch.ones_like(x)], dim=1)[..., None])[..., 0]
        return pose[:, :3, 3].float(), torch.nn.functional.normalize(ahead, dim=1).float()

    def camera(self, index: int, near: float = NEAR, far: float = FAR) -> Camera:
        """One of them as the rasteriser wants it. near, far: planar distances of what is seen."""
        lens, width, height = self.intrinsics[index].cpu(), self.width, self.height
        projection = torch.zeros(4, 4, dtype=torch.float64)
        projection[0, 0], projection[0, 2] = 2 * lens[0, 0] / width, 1 - 2 * lens[0, 2] / width
        projection[1, 1], projection[1, 2] = 2 * lens[1, 1] / height, 2 * lens[1, 2] / height - 1
        projection[2, 2], projection[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
        projection[3, 2] = -1.0
        return Camera(self.poses[index].cpu(), projection)


@dataclass(frozen=True)
class Views:
    """V pictures of one object.

    Attributes:
        pictures: `[V, H, W, 3]` float32, 0 … 1, sRGB, straight: not multiplied by alpha.
        alpha: `[V, H, W]` float32, 0 … 1: the share of each pixel that the object covers.
        cameras: that took them.

    Raises:
        ValueError: shapes or values are others, or a picture shows nothing.
    """

    pictures: Tensor
    alpha: Tensor
    cameras: Cameras

    def __post_init__(self) -> None:
        count, height, width = len(self.cameras), self.cameras.height, self.cameras.width
        if self.pictures.shape != (count, height, width, 3) or self.alpha.shape != (count, height, width):
            raise ValueError(
                f"{count} cameras of {width} x {height} pixels with pictures {list(self.pictures.shape)} and alpha "
                f"{list(self.alpha.shape)}: pictures are [V, H, W, 3], alpha is [V, H, W]."
            )
        if count < FEWEST:
            raise ValueError(f"A surface needs {FEWEST} views or more, not {count}.")
        for name in ("pictures", "alpha"):
            values = getattr(self, name).float()
            if not bool(values.isfinite().all()) or float(values.min()) < 0 or float(values.max()) > 1:
                raise ValueError(f"The {name} of the views have values outside 0 … 1.")
            object.__setattr__(self, name, values)
        empty = self.alpha.flatten(1).amax(1) < 0.5
        if bool(empty.any()):
            raise ValueError(f"View {int(empty.nonzero()[0, 0])} shows nothing: leave it out, or give it an alpha.")

    def __len__(self) -> int:
        return len(self.cameras)

    @property
    def device(self) -> torch.device:
        """Where the pictures are."""
        return self.pictures.device

    def chosen(self, which: Sequence[int] | Tensor) -> Views:
        """Some of them, in the order of `which`."""
        index = torch.as_tensor(which, dtype=torch.int64, device=self.device)
        return Views(self.pictures[index], self.alpha[index], self.cameras.chosen(index))

    def to(self, device: torch.device | str) -> Views:
        """On another device."""
        return Views(self.pictures.to(device), self.alpha.to(device), self.cameras.to(device))

    def at_most(self, side: int) -> Views:
        """The same with so many pixels along the longer side, if they have more."""
        height, width = self.cameras.height, self.cameras.width
        if max(width, height) <= side:
            return self
        share = side / max(width, height)
        size = max(1, round(height * share)), max(1, round(width * share))
        both = torch.cat([self.pictures * self.alpha[..., None], self.alpha[..., None]], dim=3).movedim(3, 1)
        both = functional.interpolate(both, size, mode="area").movedim(1, 3)
        pictures = both[..., :3] / both[..., 3:].clamp(min=1e-3)
        return Views(pictures.clamp(0, 1), both[..., 3].clamp(0, 1), self.cameras.scaled(size[1], size[0]))

    def on(self, background: float = 1.0) -> Tensor:
        """`[V, H, W, 3]`: the pictures before a grey value, white if nothing is said."""
        return self.pictures * self.alpha[..., None] + background * (1 - self.alpha[..., None])


def orbit(count: int = HI3D_VIEWS, elevation: float = 0.0, layout: Layout = "hi3d", size: int = 512) -> Cameras:
    """Cameras once around an object in the origin, counter-clockwise seen from above, the first before its front (−y).

    Args:
        count: of views.
        elevation: degrees above the ground, of all of them.
        layout: whose orbit: distance and lens. `hi3d`: the object's longest side is 1.
        size: of the square pictures, pixels.

    Raises:
        ValueError: less than two views, an elevation that the layout does not have, or another layout.
    """
    if layout != "hi3d":
        raise ValueError(f"There is no layout '{layout}' of an orbit: take 'hi3d', or give each camera.")
    if count < FEWEST:
        raise ValueError(f"An orbit has {FEWEST} views or more, not {count}.")
    if not LOWEST <= elevation <= HIGHEST:
        raise ValueError(f"The elevation of an orbit is from {LOWEST:g} to {HIGHEST:g} degrees, not {elevation:g}.")
    lens = torch.tensor([[HI3D_FOCAL * size, 0, size / 2], [0, HI3D_FOCAL * size, size / 2], [0, 0, 1]])
    return Cameras(circular_poses(count, HI3D_DISTANCE, elevation, FRONT), lens.expand(count, 3, 3), size, size)
