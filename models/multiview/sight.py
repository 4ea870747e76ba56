"""What each view sees of places on a surface: whether nothing stands before them, in which colour, and how well.

A view says little of a place that it sees at a grazing angle, and little beside a silhouette, where its pixels mix what
is before with what is behind and where a surface that is off by a pixel takes its colours from something else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.multiview.views import Views
from models.rendering.colours import sampled
from models.rendering.padding import nearest_covered
from models.rendering.rasteriser import rasterise

SLACK = 2.0
"""Pixels' own size on the surface, seen straight on, by which a place may lie behind what its pixel's middle shows."""

STEP = 6.0
"""The same between neighbouring pixels from which on the surface counts as broken off between them."""

RIM = 6
"""Pixels from a silhouette within which a view counts less."""

LEAST = 0.02
"""Of its full weight that a view keeps beside a silhouette: thin parts have nothing else."""

GRAZING = 0.15
"""Cosine of the angle between normal and view from which on a view says nothing."""

OWN, BEYOND = 0.9, 3
"""Alpha from which on a pixel's colour is the object's own, and how many pixels beyond these it is repeated."""

COARSE = 2
"""Pixels at half size by which the coarse band is blurred, see `Sight.at`."""


@dataclass(frozen=True)
class Seen:
    """Places on a surface as V views see them.

    Attributes:
        coarse, fine: `[N, V, 3]`, their sum is the colour: the picture without detail, blurred within the object alone,
            and the detail.
        weight: `[N, V]`, 0 to 1, 0 where a view does not see the place.
    """

    coarse: Tensor
    fine: Tensor
    weight: Tensor


class Sight:
    """Views of a mesh, ready to be asked for places on it."""

    def __init__(self, views: Views, vertices: Tensor, faces: Tensor) -> None:
        """views: with the mesh `[V, 3]`, `[F, 3]` in their world, on one device."""
        self.cameras = views.cameras
        self._depth = torch.stack([_depth(views, index, vertices, faces) for index in range(len(views))])
        alpha = views.alpha[:, None]
        clear = _rim(self._depth, self._pixel(self._depth)) * _eroded(alpha)
        weight = (LEAST + (1 - LEAST) * clear) * ((alpha - 0.5) * 2).clamp(0, 1)
        colours = torch.stack([_spread(*each) for each in zip(views.pictures, views.alpha, strict=True)]).movedim(3, 1)
        coarse = _blurred(colours, alpha.square())
        # One picture for each view, so that it is looked up once: coarse, fine, weight.
        self._pictures = torch.cat([coarse, colours - coarse, weight], dim=1).movedim(1, 3)

    def at(self, points: Tensor, normals: Tensor) -> Seen:
        """Places `[N, 3]` float32 and their unit normals, which need not be turned outwards, but all alike."""
        pixels, distance = self.cameras.project(points)
        size = pixels.new_tensor([self.cameras.width, self.cameras.height])
        positions = self.cameras.positions.to(points)
        coarse, fine, weight = [], [], []
        for index in range(len(self.cameras)):
            found = sampled(self._pictures[index], pixels[index] / size)
            column, row = pixels[index].floor().long().unbind(1)
            inside = (distance[index] > 0) & (column >= 0) & (column < size[0]) & (row >= 0) & (row < size[1])
            column, row = (torch.where(inside, part, 0) for part in (column, row))
            towards = functional.normalize(positions[index] - points, dim=1)
            cosine = (normals * towards).sum(1)
            slack = SLACK * self._pixel(distance[index]) / cosine.clamp(min=GRAZING)
            seen = inside & (distance[index] <= self._depth[index, row, column] + slack)
            facing = ((cosine - GRAZING) / (1 - GRAZING)).clamp(min=0)
            coarse.append(found[:, :3])
            fine.append(found[:, 3:6])
            weight.append(torch.where(seen, facing * found[:, 6], 0))
        return Seen(torch.stack(coarse, 1), torch.stack(fine, 1), torch.stack(weight, 1))

    def _pixel(self, distance: Tensor) -> Tensor:
        """How large a pixel is on a surface at distances, seen straight on."""
        return distance / float(self.cameras.intrinsics[:, [0, 1], [0, 1]].mean())


def _depth(views: Views, index: int, vertices: Tensor, faces: Tensor) -> Tensor:
    """`[H, W]`, planar distance of what a view sees of a mesh, infinite where that is nothing."""
    camera = views.cameras.camera(index)
    hits = rasterise(camera.clip(vertices), faces, views.cameras.width, views.cameras.height)
    return hits.picture(camera.distance(hits.interpolate(vertices, faces))[:, None], torch.inf)[..., 0]


def _spread(picture: Tensor, alpha: Tensor) -> Tensor:
    """A picture `[H, W, 3]` whose pixels beside and outside the object repeat its nearest own one: between pixels,
    colours are interpolated, and what is outside of an alpha `[H, W]` may have any."""
    source = nearest_covered(alpha > OWN, BEYOND)
    return torch.where(source[..., None] >= 0, picture.reshape(-1, 3)[source.clamp(min=0)], picture)


def _rim(depth: Tensor, pixel: Tensor) -> Tensor:
    """`[V, 1, H, W]`, 0 beside a break in depth pictures `[V, H, W]` to 1 `RIM` pixels away from it."""
    known = torch.where(depth.isfinite(), depth, 1e9)[:, None]
    farthest, nearest = functional.max_pool2d(known, 3, 1, 1), -functional.max_pool2d(-known, 3, 1, 1)
    whole = (farthest - nearest <= STEP * torch.where(depth.isfinite(), pixel, 0)[:, None]).float()
    return _eroded(whole)


def _eroded(cover: Tensor) -> Tensor:
    """Means of a cover `[V, 1, H, W]` worn off by 0 to `RIM` pixels: how deep inside a pixel lies, 0 to 1."""
    left, total = cover, torch.zeros_like(cover)
    for _ in range(RIM):
        left = -functional.max_pool2d(-left, 3, 1, 1)
        total += left
    return total / RIM


def _blurred(colours: Tensor, alpha: Tensor) -> Tensor:
    """Colours `[V, 3, H, W]` blurred within their alpha `[V, 1, H, W]` alone, at half size."""
    both = torch.cat([colours * alpha, alpha], dim=1)
    height, width = both.shape[2:]
    small = functional.interpolate(both, (max(1, height // 2), max(1, width // 2)), mode="area")
    for _ in range(2):  # twice a box is nearly a bell
        small = functional.avg_pool2d(small, 2 * COARSE + 1, 1, COARSE, count_include_pad=False)
    large = functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return torch.where(large[:, 3:] > 1e-4, large[:, :3] / large[:, 3:].clamp(min=1e-4), colours)
