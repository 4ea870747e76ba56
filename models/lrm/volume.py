"""Pictures of a density field: volume rendering in two stages (NeRF, Mildenhall et al. 2020, arXiv 2003.08934).

As in EG3D (arXiv 2112.07945), which LRM, InstantMesh, OpenLRM and MIRA follow: neighbouring samples are averaged before
the density is activated, and the second stage samples where the first one saw something.

The published code draws random numbers at inference too; here that is the caller's choice (`Noise`), and without them
a view is the same every time. Rays that miss the box are not asked for at all: they show the background. Samples in
empty space need not be asked for either (`occupancy`): they keep their places along the ray, so the picture stays as it
is. For training, chunks of rays can be computed again in the backward pass instead of being remembered.

Axes: R rays, S samples of one stage along a ray.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d
from torch.utils.checkpoint import checkpoint

from models.lrm.decoders import density
from models.lrm.triplane import CHUNK

RadianceField = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points [P, 3] → radiance [P, 3] and raw density [P] (`decoders.density` activates it)."""

Occupied = Callable[[Tensor], Tensor]
"""Points [P, 3] → bool [P]: False where it is known that nothing is to be seen."""

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
    background: float | Tensor = 1.0,
    half_extent: float = 1.0,
    chunk: int = CHUNK,
    occupied: Occupied | None = None,
    checkpointed: bool = False,
) -> Rendered:
    """The colours that rays show of a field.

    Args:
        field: is asked within the box only.
        origins, directions: [R, 3] each, directions of length 1.
        samples: along a ray, half of them in each stage; even, at least 8.
        noise: jitter of the samples; None for even ones.
        background: of what is behind: a grey, or for each ray a grey [R] or a colour [R, 3].
        half_extent: of the box that the field fills.
        chunk: points that the field is asked for at once; memory grows with it.
        occupied: the field is asked for samples there, and for those before and behind them along the ray, because
            neighbours are averaged; other samples count as empty.
        checkpointed: keep no more for the backward pass than the rays of each chunk, and compute the rest again there.
            The gradients are the same, and what is remembered at any time is one chunk.

    Raises:
        ValueError: an odd or too small number of samples, or backgrounds for another number of rays.
    """
    if samples < LEAST_SAMPLES or samples % 2:
        raise ValueError(f"Samples along a ray come in two equal stages of at least 4, not {samples} in all.")
    behind = _backgrounds(background, origins)
    near, far = box_limits(origins, directions, half_extent)
    hits = (near < far).nonzero()[:, 0]
    nothing = torch.zeros_like(near, dtype=origins.dtype)
    if not len(hits):
        return Rendered(behind.clone(), nothing, nothing.clone())
    render = partial(_render_hits, _Box(field, half_extent, occupied), samples // 2)
    if checkpointed:
        render = partial(checkpoint, render, use_reentrant=False, preserve_rng_state=False)
    parts = []
    for rays in torch.split(hits, max(chunk // (samples // 2), 1)):
        jitter = (noise.coarse[rays], noise.fine[rays]) if noise else (None, None)
        parts.append(render(origins[rays], directions[rays], near[rays], far[rays], *jitter))
    colour, depth, weight = (torch.cat(each) for each in zip(*parts, strict=True))
    colour = colour + behind[hits] * (1.0 - weight)[:, None]
    return Rendered(
        behind.index_put((hits,), colour), nothing.index_put((hits,), depth), nothing.index_put((hits,), weight)
    )


def _backgrounds(background: float | Tensor, origins: Tensor) -> Tensor:
    """A colour for each ray, [R, 3]. Raises ValueError: for another number of rays."""
    colours = torch.as_tensor(background, dtype=origins.dtype, device=origins.device)
    if tuple(colours.shape) not in ((), (len(origins),), (len(origins), 3)):
        raise ValueError(f"Backgrounds are one number, or [{len(origins)}] or [{len(origins)}, 3] for as many rays.")
    return (colours[:, None] if colours.dim() == 1 else colours).expand(len(origins), 3)


class _Box:
    """A field asked along rays; empty outside its box, whatever the network would say there."""

    def __init__(self, field: RadianceField, half_extent: float, occupied: Occupied | None) -> None:
        self.field, self.half_extent, self.occupied = field, half_extent, occupied

    def look(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Points [R, S, 3] → bool [R, S] each: inside the box, and something may be there."""
        inside = (points.abs() <= self.half_extent * (1 + WALL)).all(-1)
        if self.occupied is None:
            return inside, inside
        busy = torch.zeros_like(inside)
        busy[inside] = self.occupied(points[inside])
        return inside, busy

    def ask(self, points: Tensor, wanted: Tensor, colour: Tensor, raw: Tensor) -> None:
        """Fills radiance [R, S, 3] and raw density [R, S] at the wanted points [R, S] of [R, S, 3]."""
        if bool(wanted.any()):
            colour[wanted], raw[wanted] = self.field(points[wanted])


def _render_hits(
    box: _Box,
    count: int,
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    coarse_jitter: Tensor | None,
    fine_jitter: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [R, 3] before the background, weighted depth [R] and weight [R] of rays that hit the box."""
    if coarse_jitter is None or fine_jitter is None:
        # The coarse samples from wall to wall, the fine ones at even shares of the weight.
        shares = (torch.arange(count, device=near.device, dtype=near.dtype) + 0.5) / count
        coarse_jitter, fine_jitter = near.new_zeros(len(near), count), shares.expand(len(near), count)

    def at(depths: Tensor) -> Tensor:
        return origins[:, None] + depths[..., None] * directions[:, None]

    coarse = _coarse_depths(near, far, coarse_jitter)
    points = at(coarse)
    inside, busy = box.look(points)
    asked = _or_beside(busy) & inside
    colour, raw = torch.zeros_like(points), torch.full_like(coarse, -torch.inf)
    box.ask(points, asked, colour, raw)
    # Where to look again is a decision, not a function to be learned: gradients go through what is seen there.
    fine = _fine_depths(coarse, _march(colour, raw, coarse)[0].detach(), fine_jitter)
    fine_inside, fine_busy = box.look(at(fine))
    depths, order = torch.cat([coarse, fine], dim=1).sort(dim=1, stable=True)

    def merged(first: Tensor, second: Tensor) -> Tensor:
        both = torch.cat([first, second], dim=1)
        return both.gather(1, order if both.dim() == 2 else order[..., None].expand_as(both))

    inside, busy = merged(inside, fine_inside), merged(busy, fine_busy)
    missing = _or_beside(busy) & inside & ~merged(asked, torch.zeros_like(asked))
    colour, raw = merged(colour, torch.zeros_like(colour)), merged(raw, torch.full_like(raw, -torch.inf))
    box.ask(at(depths), missing, colour, raw)
    weights, middles, colours = _march(colour, raw, depths)
    return (weights[..., None] * colours).sum(1), (weights * middles).sum(1), weights.sum(1)


def _or_beside(busy: Tensor) -> Tensor:
    """Samples [R, S] that are busy, or the one before or behind them is."""
    grown = busy.clone()
    grown[:, 1:] |= busy[:, :-1]
    grown[:, :-1] |= busy[:, 1:]
    return grown


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
