"""What a training step makes small: how far the network's field is from the views, and from the solid if known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lrm.decoders import raw_density
from models.lrm.losses import variation
from models.lrm.single_view import SingleViewModel
from models.lrm.volume import Noise, render_rays
from models.optimisation.chance import Step, generator
from training.feed import on
from training.mira.config import Config
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
            losses["variation"] = weights.variation * variation(planes)
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
            rendered = render_rays(
                field.single(index),
                items.origins[index],
                items.directions[index],
                settings.samples,
                noise=noise,
                background=items.backgrounds[index],
                chunk=(settings.chunk or amount) * settings.samples // 2,
                checkpointed=settings.chunk > 0,
            )
            seen.append(rendered.colour)
        return torch.stack(seen)

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
