"""What a training step minimises: how far the network's field is from the views, and from the solid where it is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.lrm.single_view import SingleViewModel
from models.lrm.volume import Noise, RadianceField, render_rays
from models.optimisation.chance import Step, generator
from training.mira.config import Config
from training.mira.feed import on
from training.mira.field import BatchField
from training.mira.items import Item

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""Pictures [N, 3, H, W] 0 … 1 and what they should be → [N], at least 0."""

SLOPE = 4.0
"""Raw density per unit of the logit of being inside: probability 0.88 is a density of 10 more than the surface's 3."""


class Objective(nn.Module):
    """The network and its losses, for `models.optimisation.loop`.

    Args:
        network: is trained, where its parameters have gradients.
        batches: gives the items of a step's part.
        config: of the run.
        perceptual: LPIPS, or None where it cannot be had.
    """

    def __init__(
        self,
        network: SingleViewModel,
        batches: Callable[[Step], Item],
        config: Config,
        perceptual: Perceptual | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._batches, self._config, self._perceptual = batches, config, perceptual
        self._level = raw_density(config.validation.level)

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        """The losses by name, weighted; means over the items of the part."""
        weights = self._config.losses
        items = on(self._batches(step), self.network.pos_embed.device)
        planes = self.network.planes(items.picture, items.camera)
        field = BatchField(self.network.synthesizer.decoder, planes)
        losses: dict[str, Tensor] = {}
        if weights.colour or (weights.perceptual and self._perceptual is not None):
            shown = self._shown(field, items, step)
            wanted = items.colours + ((1.0 - items.alphas) * items.backgrounds)[..., None]
            if weights.colour:
                losses["colour"] = weights.colour * F.mse_loss(shown, wanted)
            if weights.perceptual and self._perceptual is not None:
                compared = self._perceptual(self._squares(shown), self._squares(wanted))
                losses["perceptual"] = weights.perceptual * compared.mean()
        if weights.occupancy:
            losses |= self._of_points(field, items)
        if weights.variation:
            losses["variation"] = weights.variation * total_variation(planes)
        return losses

    def _shown(self, field: BatchField, items: Item, step: Step) -> Tensor:
        """What the rays of the items show: [N, R, 3]."""
        settings = self._config.rays
        count, amount = items.alphas.shape
        seen = []
        for index in range(count):
            # By the row of the whole batch, so that it does not matter how the batch is shared out.
            draw = generator(step.seed, "rays", step.number, step.part * count + index)
            noise = Noise(*torch.rand(2, amount, settings.samples // 2, generator=draw).to(items.origins.device))
            rays = items.origins[index], items.directions[index]
            seen.append(render_in_chunks(field.single(index), *rays, settings.samples, noise, settings.chunk))
        both = torch.stack(seen)
        return both[..., :3] + ((1.0 - both[..., 3]) * items.backgrounds)[..., None]

    def _squares(self, rays: Tensor) -> Tensor:
        """[N, R, 3], square by square → [N · squares, 3, side, side]."""
        side = self._config.rays.patch
        return rays.view(-1, side, side, 3).permute(0, 3, 1, 2)

    def _of_points(self, field: BatchField, items: Item) -> dict[str, Tensor]:
        """Inside or outside, at the points of the lattices."""
        weights = self._config.losses
        logits = (field.lattice(items.axes)[..., 0] - self._level) / SLOPE
        inside = items.inside.float()
        wrong = F.binary_cross_entropy_with_logits(logits, inside, reduction="none").flatten(1).mean(1)
        losses = {"occupancy": weights.occupancy * (items.known * wrong).mean()}
        if weights.overlap:
            likely = logits.sigmoid()
            both = 2 * (likely * inside).flatten(1).sum(1) + 1
            overlap = both / ((likely + inside).flatten(1).sum(1) + 1)
            losses["overlap"] = weights.overlap * (items.known * (1.0 - overlap)).mean()
        return losses


def render_in_chunks(
    field: RadianceField, origins: Tensor, directions: Tensor, samples: int, noise: Noise, chunk: int
) -> Tensor:
    """Colour before black and weight of rays [R, 4].

    Args:
        chunk: rays that are gone through at once and, with gradients, again when those are computed: of what lies
            between only one chunk is held at a time. 0: all at once.
    """

    def render(origins: Tensor, directions: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
        seen = render_rays(field, origins, directions, samples, noise=Noise(coarse, fine), background=0.0)
        return torch.cat([seen.colour, seen.weight[:, None]], dim=1)

    if not chunk:
        return render(origins, directions, *noise)
    parts = []
    for part in zip(*(each.split(chunk) for each in (origins, directions, *noise)), strict=True):
        found: Tensor = checkpoint(render, *part, use_reentrant=False, preserve_rng_state=False)
        parts.append(found)
    return torch.cat(parts)


def raw_density(level: float) -> float:
    """What the decoder gives where the density is `level`: the inverse of softplus(raw − 1)."""
    return 1.0 + level + math.log(-math.expm1(-level))


def total_variation(planes: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels of planes [N, 3, C, R, R], rows and columns added (OpenLRM)."""
    rows = (planes[..., 1:, :] - planes[..., :-1, :]).square().mean()
    return rows + (planes[..., :, 1:] - planes[..., :, :-1]).square().mean()
