"""The field of a golden set, and how the published program without compiled kernels draws one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.magic123.drawing import Shading
from models.magic123.field import RadianceField, named_from_published, settings_of_published
from models.magic123.losses import orient
from models.radiance.compositing import Composite, composite
from tests.parity.goldens import Golden


def published_state(numbers: Golden) -> dict[str, Tensor]:
    """The tensors of a set's field under the names that a published checkpoint has for them."""
    weights = {name: each for name, each in numbers.weights("weights.").items() if name != "embeddings"}
    return weights | {"encoder.embeddings": numbers["weights.embeddings"], "encoder.offsets": numbers["offsets"]}


def golden_field(numbers: Golden) -> RadianceField:
    """The field of a set, asked in the published world."""
    state, resolutions = published_state(numbers), numbers["resolutions"].tolist()
    settings = settings_of_published(state, resolutions[0], resolutions[-1])
    field = RadianceField(replace(settings, published_world=False))
    field.load_state_dict(named_from_published(state), strict=True)
    return field


@dataclass(frozen=True)
class Seen:
    """What R rays see at S places each."""

    colour: Tensor
    alpha: Tensor
    depth: Tensor
    normals: Tensor
    weights: Tensor
    orient: Tensor


def two_passes(
    field: RadianceField,
    origins: Tensor,
    directions: Tensor,
    counts: tuple[int, int],
    shares: Tensor,
    *,
    light: Tensor,
    ambient: float,
    background: Tensor,
) -> Seen:
    """Even samples between the two walls of a ball, and more where those saw something, as the published program does.

    Only where the samples lie is written here; what is made of them is the project's own.

    Args:
        counts: samples of the first and of the second pass.
        shares: `[R, counts[1]]`, of the weight seen, at which the second pass looks.
    """
    distance = origins.norm(dim=1, keepdim=True)
    near, far = distance - 1, distance + 1
    depths = near + (far - near) * torch.linspace(0, 1, counts[0])
    last = (far - near) / counts[0]

    def seen(depths: Tensor) -> tuple[Tensor, Tensor, Composite]:
        points = (origins[:, None] + depths[..., None] * directions[:, None]).clamp(-1, 1)
        lengths = torch.cat([depths.diff(dim=1), last], dim=1)
        ray = torch.arange(len(depths)).repeat_interleave(depths.shape[1])
        density = field.density(points.view(-1, 3))
        return points, lengths, composite(density, lengths.flatten(), ray, len(depths), stop=0)

    _, lengths, first = seen(depths)
    middles = depths[:, :-1] + lengths[:, :-1] / 2
    more = _where(middles, first.weights.view_as(depths)[:, 1:-1] + 1e-5, shares)
    depths = torch.cat([depths, more], dim=1).sort(dim=1).values
    points, _, found = seen(depths)
    normals = field.normals(points.view(-1, 3))
    lamps, ahead = light[found.ray], normalize(directions, dim=1)[found.ray]
    colours = Shading("lambert", ambient).colours(field.albedo(points.view(-1, 3)), normals, lamps)
    alpha = found.alpha
    return Seen(
        colour=found.sum(colours) + (1 - alpha)[:, None] * background,
        alpha=alpha,
        depth=found.sum(depths.view(-1, 1))[:, 0],
        normals=found.sum((normals + 1) / 2),
        weights=found.weights.view_as(depths),
        orient=orient(found.weights, normals, ahead, count=len(depths)),
    )


def _where(edges: Tensor, weights: Tensor, shares: Tensor) -> Tensor:
    """Places `[R, K]` at which shares of the weights `[R, S - 1]` between edges `[R, S]` are reached."""
    reached = torch.cat([torch.zeros_like(weights[:, :1]), (weights / weights.sum(1, keepdim=True)).cumsum(1)], dim=1)
    place = torch.searchsorted(reached, shares.contiguous(), right=True)
    low, high = (place - 1).clamp(min=0), place.clamp(max=reached.shape[1] - 1)
    span: Any = reached.gather(1, high) - reached.gather(1, low)
    span = torch.where(span < 1e-5, torch.ones_like(span), span)
    begin, end = edges.gather(1, low), edges.gather(1, high)
    return begin + (shares - reached.gather(1, low)) / span * (end - begin)
