"""Pictures of a density field: volume rendering in two stages (NeRF, Mildenhall et al. 2020, arXiv 2003.08934).

As in EG3D (arXiv 2112.07945), which LRM, InstantMesh, OpenLRM and MIRA follow: neighbouring samples are averaged before
the density is activated, and the second stage samples where the first one saw something.

The published code draws random numbers at inference too; here that is the caller's choice (`Noise`), and without them
a view is the same every time. Rays that miss the box are not asked for at all: they show the background.

Axes: R rays, S samples of one stage along a ray.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d

from models.lrm.decoders import density
from models.lrm.triplane import CHUNK

RadianceField = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points [P, 3] → radiance [P, 3] and raw density [P] (`decoders.density` activates it)."""

LEAST_SAMPLES = 8
SHARE_OF_EMPTY = 0.01  # weight that every stretch of a ray gets in the second stage, however empty it looked
PDF_FLOOR = 1e-5
WALL = 1e-5  # share of the box by which a sample on its wall may miss it; without, rounding would decide what it sees
CLEAR = 1e-10  # keeps a transmittance of exactly 0 from hiding what lies behind


class Noise(NamedTuple):
    """Uniform numbers 0 … 1 for both stages, [R, S] each."""

    coarse: Tensor
    fine: Tensor


class Rendered(NamedTuple):
    """What rays show.

    Attributes:
        colour: [R, 3], the background included.
        depth: [R] along the unit ray, weighted but not divided by the weight: 0 where nothing is. Divide by `weight`
            for the mean depth of what is there.
        weight: [R], 0 where the background shows, 1 where it is hidden.
    """

    colour: Tensor
    depth: Tensor
    weight: Tensor


def box_limits(origins: Tensor, directions: Tensor, half_extent: float = 1.0) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the cube around the origin, [R] each; entry ≥ exit where they miss it.

    A ray that starts inside enters at 0.
    """
    to_walls = torch.stack([(-half_extent - origins) / directions, (half_extent - origins) / directions])
    # 0 / 0: the ray runs within a wall and never leaves the slab.
    nearest = to_walls.amin(0).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    farthest = to_walls.amax(0).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    return nearest.amax(1).clamp(min=0.0), farthest.amin(1)


def render_rays(
    field: RadianceField,
    origins: Tensor,
    directions: Tensor,
    samples: int,
    *,
    noise: Noise | None = None,
    background: float = 1.0,
    half_extent: float = 1.0,
    chunk: int = CHUNK,
) -> Rendered:
    """The colours that rays show of a field.

    Args:
        field: is asked within the box only.
        origins, directions: [R, 3] each, directions of length 1.
        samples: along a ray, half of them in each stage; even, at least 8.
        noise: jitter of the samples; None for even ones.
        background: grey of what is behind.
        half_extent: of the box that the field fills.
        chunk: points that the field is asked for at once; memory grows with it.

    Raises:
        ValueError: an odd or too small number of samples.
    """
    if samples < LEAST_SAMPLES or samples % 2:
        raise ValueError(f"Samples along a ray come in two equal stages of at least 4, not {samples} in all.")
    count = samples // 2
    near, far = box_limits(origins, directions, half_extent)
    hits = (near < far).nonzero()[:, 0]
    rendered = Rendered(
        torch.full_like(origins, background), torch.zeros_like(near, dtype=origins.dtype), torch.zeros_like(near)
    )
    inner = _Box(field, half_extent)
    for rays in torch.split(hits, max(chunk // count, 1)) if len(hits) else ():
        ray = origins[rays], directions[rays]
        jitter = Noise(noise.coarse[rays], noise.fine[rays]) if noise else _even(len(rays), count, near)
        coarse = _coarse_depths(near[rays], far[rays], jitter.coarse)
        colour, raw = inner(*ray, coarse)
        # Where to look again is a decision, not a function to be learned: gradients go through what is seen there.
        fine = _fine_depths(coarse, _march(colour, raw, coarse)[0].detach(), jitter.fine)
        fine_colour, fine_raw = inner(*ray, fine)
        depths, order = torch.cat([coarse, fine], dim=1).sort(dim=1, stable=True)
        colour = torch.cat([colour, fine_colour], dim=1).gather(1, order[..., None].expand(-1, -1, 3))
        weights, middles, colours = _march(colour, torch.cat([raw, fine_raw], dim=1).gather(1, order), depths)
        total = weights.sum(1)
        rendered.colour[rays] = (weights[..., None] * colours).sum(1) + background * (1.0 - total)[:, None]
        rendered.depth[rays] = (weights * middles).sum(1)
        rendered.weight[rays] = total
    return rendered


class _Box:
    """A field asked along rays; empty outside its box, whatever the network would say there."""

    def __init__(self, field: RadianceField, half_extent: float) -> None:
        self.field, self.half_extent = field, half_extent

    def __call__(self, origins: Tensor, directions: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
        """Rays [R, 3] at depths [R, S] → radiance [R, S, 3] and raw density [R, S], −∞ outside."""
        points = origins[:, None] + depths[..., None] * directions[:, None]
        inside = (points.abs() <= self.half_extent * (1 + WALL)).all(-1)
        colour, raw = torch.zeros_like(points), torch.full_like(depths, -torch.inf)
        colour[inside], raw[inside] = self.field(points[inside])
        return colour, raw


def _even(rays: int, count: int, like: Tensor) -> Noise:
    """No jitter: the coarse samples from wall to wall, the fine ones at even shares of the weight."""
    shares = (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) / count
    return Noise(like.new_zeros(rays, count), shares.expand(rays, count))


def _coarse_depths(near: Tensor, far: Tensor, jitter: Tensor) -> Tensor:
    """Even depths from near to far [R], each moved on by its share of a step: [R, S]."""
    count = jitter.shape[1]
    step = ((far - near) / (count - 1))[:, None]
    return near[:, None] + step * (torch.arange(count, device=near.device) + jitter)


def _march(colour: Tensor, raw: Tensor, depths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, middle depth [R, S − 1] and colour [R, S − 1, 3] of the stretches between samples."""
    lengths = depths[:, 1:] - depths[:, :-1]
    middles = (depths[:, 1:] + depths[:, :-1]) / 2
    colours = (colour[:, 1:] + colour[:, :-1]) / 2
    opacity = 1.0 - torch.exp(-density((raw[:, 1:] + raw[:, :-1]) / 2) * lengths)
    passed = torch.cumprod(1.0 - opacity + CLEAR, dim=1)
    arriving = torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], dim=1)
    return opacity * arriving, middles, colours


def _fine_depths(depths: Tensor, weights: Tensor, shares: Tensor) -> Tensor:
    """Depths [R, S] at which the blurred weights of the first stage reach given shares of their sum.

    Args:
        depths: [R, S] of the first stage.
        weights: [R, S − 1] of its stretches.
        shares: [R, S], 0 … 1.
    """
    blurred = avg_pool1d(max_pool1d(weights[:, None], 2, stride=1, padding=1), 2, stride=1)[:, 0] + SHARE_OF_EMPTY
    edges = (depths[:, 1:] + depths[:, :-1]) / 2
    parts = blurred[:, 1:-1] + PDF_FLOOR
    reached = torch.cumsum(parts / parts.sum(1, keepdim=True), dim=1)
    reached = torch.cat([torch.zeros_like(reached[:, :1]), reached], dim=1)
    last = reached.shape[1] - 1
    place = torch.searchsorted(reached, shares.contiguous(), right=True)
    below, above = (place - 1).clamp(min=0), place.clamp(max=last)
    step = reached.gather(1, above) - reached.gather(1, below)
    step = torch.where(step < PDF_FLOOR, torch.ones_like(step), step)
    start, end = edges.gather(1, below), edges.gather(1, above)
    return start + (shares - reached.gather(1, below)) / step * (end - start)
