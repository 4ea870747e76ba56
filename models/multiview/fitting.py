"""A signed distance and colours on a lattice, fitted to pictures by rendering them.

Opacity from signed distances is that of NeuS (Wang et al. 2021, arXiv 2106.10689, equation 13): between two places on a
ray, how much of a logistic step is passed. Rendering, and so every gradient, is confined to a few places around the
first surface that a ray meets; where it meets none, around the place where it is nearest to one.

What no view sees, as the top of a table from the height of its edge, and plain walls are left to the flow that
`surface.py` lets follow after each step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.multiview.silhouettes import Lattice, look_up
from models.multiview.views import Views
from models.optimisation.chance import Step

SLACK = 0.8
"""Share of the distance that a ray is moved on by: the field is not a distance everywhere."""

MARCHES = 28
BEFORE, AFTER = 3.0, 5.0
"""Cells before and behind the first surface between which a ray is rendered."""

LEAST = 1e-4


@dataclass(frozen=True)
class Weights:
    """Of the losses.

    colour: of colours. mask: of opacity against alpha. even: of the field's slope against 1. bend: of its curvature.
    warp, exposure: of what is fitted to each view against nothing.
    """

    colour: float = 1.0
    mask: float = 4.0
    even: float = 0.05
    bend: float = 0.001
    warp: float = 0.002
    exposure: float = 0.01


class Fitting(nn.Module):
    """The field, the colours, and what each view has of its own.

    Args:
        views: `V` pictures.
        lattice: where values are.
        distance: `[X, Y, Z]`, the field to begin with.
        colour: `[3, X, Y, Z]`, to begin with.
        pixels: `[N, 3]` int64, view, row and column of pixels that rays go through.
        rays: in a step. steps: in all.
        weights: of the losses.
        sharpness: of the surface, at the first step and at the last: steepness of the logistic step, by cell.
        own: what bends each picture, pixels `[V, 2, n, n]`, and the logarithms of what its colours are multiplied by,
            `[V, 3]`, to begin with; None: they are as they are.
    """

    def __init__(
        self,
        views: Views,
        lattice: Lattice,
        distance: Tensor,
        colour: Tensor,
        pixels: Tensor,
        *,
        rays: int,
        steps: int,
        weights: Weights,
        sharpness: tuple[float, float],
        own: tuple[Tensor, Tensor] | None,
    ) -> None:
        super().__init__()
        self.views, self.lattice, self.pixels = views, lattice, pixels
        self.rays, self.steps, self.weights, self.sharpness = rays, steps, weights, sharpness
        self.distance, self.colour = nn.Parameter(distance), nn.Parameter(colour)
        warp, exposure = own or (distance.new_zeros(len(views), 2, 1, 1), distance.new_zeros(len(views), 3))
        self.warp, self.exposure = nn.Parameter(warp, own is not None), nn.Parameter(exposure, own is not None)
        self._targets = torch.cat([views.pictures * views.alpha[..., None], views.alpha[..., None]], dim=3)
        self._low, self._high = lattice.origin.float(), lattice.upper.float()

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        """Losses of some rays, and of the whole field."""
        chosen = torch.randint(len(self.pixels), (self.rays,), generator=step.generator("rays"))
        view, row, column = self.pixels[chosen.to(self.pixels.device)].unbind(1)
        place = torch.stack([column, row], dim=1) + torch.rand(self.rays, 2, generator=step.generator("place")).to(
            self.distance
        )
        done = step.number / max(self.steps - 1, 1)
        blunt, sharp = self.sharpness
        sharpness = blunt * (sharp / blunt) ** done / self.lattice.spacing
        origins, directions = self.views.cameras.rays(view, place.double())
        opacity, colours = self._rendered(origins, directions, sharpness, step)
        wanted = self._wanted(view, place)
        alpha = wanted[:, 3]
        gain = self.exposure[view].exp()
        wrong = (colours * gain - wanted[:, :3]).abs().mean(1)
        shown = opacity.clamp(LEAST, 1 - LEAST)
        mask = -(alpha * shown.log() + (1 - alpha) * (1 - shown).log())
        losses = {
            "colour": self.weights.colour * wrong.mean(),
            "mask": self.weights.mask * mask.mean(),
            **self._regular(step),
        }
        if self.warp.requires_grad:
            shift = self.warp.mean(0)
            rough = (self.warp[..., 1:, :] - self.warp[..., :-1, :]).square().mean() + (
                self.warp[..., 1:] - self.warp[..., :-1]
            ).square().mean()
            losses["warp"] = self.weights.warp * (self.warp.square().mean() + shift.square().mean() + rough)
            losses["exposure"] = self.weights.exposure * (
                self.exposure.square().mean() + 10 * self.exposure.mean(0).square().mean()
            )
        return losses

    def _wanted(self, view: Tensor, place: Tensor) -> Tensor:
        """`[N, 4]`: colour times alpha, and alpha, at pixel coordinates `[N, 2]`, bent as the view is."""
        height, width = self.views.alpha.shape[1:]
        if self.warp.requires_grad:
            unit = place * (2 / place.new_tensor([width, height])) - 1
            count = len(self.views)
            grid = torch.cat([unit, (view.to(unit)[:, None] + 0.5) * (2 / count) - 1], dim=1)
            moved = functional.grid_sample(
                self.warp.transpose(0, 1)[None], grid[None, None, None], padding_mode="border", align_corners=False
            )[0, :, 0, 0].T
            place = place + moved
        # One picture under the other, each with its own border.
        place = torch.stack([place[:, 0], place[:, 1].clamp(0.5, height - 0.5) + view * height], dim=1)
        return look_up(self._targets.flatten(0, 1)[None], place[None])[0]

    def _rendered(self, origins: Tensor, directions: Tensor, sharpness: float, step: Step) -> tuple[Tensor, Tensor]:
        """Opacity `[N]` and colour times opacity `[N, 3]` of rays."""
        spacing = self.lattice.spacing
        middle = self._first(origins, directions)
        count = round((BEFORE + AFTER) * 1.5)
        jitter = torch.rand(len(middle), 1, generator=step.generator("jitter")).to(middle)
        offsets = (torch.arange(count + 1).to(middle) + jitter - 0.5) * ((BEFORE + AFTER) * spacing / count)
        t = middle[:, None] + offsets - BEFORE * spacing
        points = origins[:, None] + t[..., None] * directions[:, None]
        field = self.lattice.sample(self.distance[None], points.flatten(0, 1))[:, 0].reshape(t.shape)
        inside = torch.sigmoid(-field * sharpness)  # the share that is solid; NeuS' Φ is one minus this
        passed = 1 - inside
        alpha = ((passed[:, :-1] - passed[:, 1:]) / passed[:, :-1].clamp(min=LEAST)).clamp(0, 1)
        left = torch.cat([torch.ones_like(alpha[:, :1]), (1 - alpha).cumprod(1)], dim=1)
        weight = alpha * left[:, :-1]
        seen = weight > 1e-3
        between = 0.5 * (points[:, :-1] + points[:, 1:])[seen]
        colours = self.lattice.sample(self.colour, between) * weight[seen][:, None]
        ray = seen.nonzero()[:, 0]
        return weight.sum(1), torch.zeros(len(t), 3).to(colours).index_add(0, ray, colours)

    def _first(self, origins: Tensor, directions: Tensor) -> Tensor:
        """`[N]`: how far along each ray the first surface is, or where it is nearest to one."""
        field, spacing = self.distance.detach()[None], self.lattice.spacing
        slow = torch.where(directions.abs() < 1e-9, 1e-9, directions)
        one, other = (self._low - origins) / slow, (self._high - origins) / slow
        near = torch.minimum(one, other).amax(1).clamp(min=0)
        far = torch.maximum(one, other).amin(1)
        t = near
        best, least = t, torch.full_like(t, torch.inf)
        for _ in range(MARCHES):
            value = self.lattice.sample(field, origins + t[:, None] * directions)[:, 0]
            better = (value < least) & (t <= far) & (least > 0)
            best, least = torch.where(better, t, best), torch.where(better, value, least)
            t = torch.where(least > 0, t + (SLACK * value).clamp(min=0.4 * spacing), t)
        return best

    def _regular(self, step: Step) -> dict[str, Tensor]:
        """Losses of the field near the surface, whoever sees it: on every third plane, turn by turn."""
        h = self.lattice.spacing
        f = self.distance.movedim(step.number % 3, 0)
        first = 1 + step.number // 3 % 3
        planes = torch.arange(first, f.shape[0] - 1, 3, device=f.device)
        centre = f[planes][:, 1:-1, 1:-1]
        ahead, behind = f[planes + 1][:, 1:-1, 1:-1], f[planes - 1][:, 1:-1, 1:-1]
        up, down = f[planes][:, 2:, 1:-1], f[planes][:, :-2, 1:-1]
        left, right = f[planes][:, 1:-1, 2:], f[planes][:, 1:-1, :-2]
        near = centre.detach().abs() < 3 * h
        centre = centre[near]
        pairs = [(one[near], other[near]) for one, other in ((ahead, behind), (up, down), (left, right))]
        slope = torch.stack([(one - other) / (2 * h) for one, other in pairs]).square().sum(0).clamp(min=1e-8).sqrt()
        bend = sum(one + other for one, other in pairs) - 6 * centre
        cells = max(len(centre), 1)
        return {
            "even": self.weights.even * (slope - 1).square().sum() / cells,
            "bend": self.weights.bend * (bend / h).square().sum() / cells,
        }
