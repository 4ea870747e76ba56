"""The coarse stage: a radiance field is fitted to the one picture that is known, and drawn by priors from elsewhere.

    field = RadianceField(settings.field)
    stage = Coarse(field, reference, priors, settings)
    loop = Loop(stage, stage.optimiser(), loop_settings(settings, seed=7))
    loop.run(hooks)
    loop.take_best()
    vertices, faces = export(field)

Published: Magic123 (Qian et al. 2023, arXiv 2306.17843). A step shows either the known view, where picture, outline and
depth are compared, or a novel one, whose picture is given to the priors. What is otherwise than published:

* The gradients of all priors are added up at the picture, and the renderer is gone through backwards once.
* Samples behind the end of their ray are never asked for with gradients; normals only where a shading or a loss looks.
* There are never more samples than a cap (`marching.py`); a share of the occupancy can be asked for at a time.
* The averaged parameters follow in every step instead of every hundredth, at the same pace.
* The world is right-handed.

All chance comes from the step, and what is remembered beside the parameters is the occupancy, which is part of the
state: who goes on from a checkpoint goes on to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.guidance.prior import Prior, distilled
from models.magic123 import losses
from models.magic123.drawing import Drawn, draw
from models.magic123.field import RadianceField
from models.magic123.reference import Reference
from models.magic123.settings import PUBLISHED, CoarseSettings, Plan, planned
from models.optimisation.chance import Step
from models.radiance.occupancy import Occupancy


@dataclass(frozen=True)
class Count:
    """Samples of a step: all, those that are seen, those with normals; and how many times wider steps were made."""

    sampled: int
    seen: int
    with_normals: int
    widened: int


class Coarse(nn.Module):
    """What a `Loop` makes small: losses of one view a step.

    Args:
        field: what is optimised.
        reference: the known view.
        priors: whose gradients are added up; none leaves the known view alone.
        settings: see there.

    Attributes:
        occupancy: where the field is dense; its buffer is part of the state.
        count: what the last step looked at.
    """

    def __init__(
        self,
        field: RadianceField,
        reference: Reference,
        priors: Sequence[Prior],
        settings: CoarseSettings = PUBLISHED,
    ) -> None:
        super().__init__()
        self.field, self.priors = field, tuple(priors)
        # Without priors nothing is to be learned from elsewhere.
        self.settings = settings if priors else replace(settings, known_every=1)
        self.reference = reference.at(settings.known_size)
        self.occupancy = Occupancy(settings.occupancy)
        self.count = Count(0, 0, 0, 1)
        self._swept: int | None = None

    def optimiser(self) -> torch.optim.Optimizer:
        """As published: the grid learns ten times as fast as the perceptron."""
        groups = [
            {"params": list(self.field.grid.parameters()), "lr": self.settings.grid_rate},
            {"params": list(self.field.network.parameters()), "lr": self.settings.rate},
        ]
        return torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15)

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        """Weighted losses of a step by name."""
        settings = self.settings
        plan = planned(settings, self.reference, step)
        self.field.grid.active = plan.levels
        # Once a step, whichever of its parts this process begins with.
        if step.number % settings.occupancy.every == 0 and self._swept != step.number:
            self._swept = step.number
            with torch.no_grad():
                turn = step.number // settings.occupancy.every
                self.occupancy.update(self.field.density, turn, step.generator("occupancy"))
        size = settings.known_size if plan.known else settings.size
        seen = self._drawn(plan, size, step)
        normals = 0 if seen.facing is None else len(seen.facing.number)
        self.count = Count(seen.sampled, len(seen.samples), normals, seen.samples.widened)
        found = self._known(seen) if plan.known else self._novel(seen, plan, step)
        return found | self._regular(seen, size, step)

    def _drawn(self, plan: Plan, size: int, step: Step) -> Drawn:
        settings, device = self.settings, self.field.grid.table.device
        origins, directions = (each.reshape(-1, 3) for each in plan.orbit.rays(size))
        chance = step.generator(f"rays {step.part}")
        jitter = torch.rand(len(origins), generator=chance)
        if plan.known and settings.known_noise:
            moves = torch.randn(2, 3, generator=chance) * settings.known_noise
            origins, directions = origins + moves[0], directions + moves[1]
        each = torch.arange(len(plan.orbit)).repeat_interleave(size * size)
        cells = self.occupancy.occupied().view(*[settings.occupancy.resolution] * 3)
        weights = settings.weights
        return draw(
            self.field,
            origins.to(device),
            directions.to(device),
            cells,
            settings.march,
            shading=plan.shading,
            light=plan.light[each].to(device),
            background=plan.background[each].to(device),
            jitter=jitter.to(device),
            normals=weights.need_normals and (settings.normals_always or plan.shading.needs_normals),
            faint=settings.faint,
        )

    def _known(self, seen: Drawn) -> dict[str, Tensor]:
        weights, reference = self.settings.weights, self.reference
        device = seen.colour.device
        size = len(reference.picture)
        alpha = reference.alpha.to(device)
        found = {
            "rgb": weights.rgb
            * losses.rgb(seen.colour.view(size, size, 3), reference.picture.to(device), (alpha > 0.5).to(alpha)),
            "mask": weights.mask * losses.mask(seen.alpha.view(size, size), alpha),
        }
        if weights.depth and reference.depth is not None:
            nearness = reference.depth.to(device)
            found["depth"] = weights.depth * losses.depth(seen.depth.view(size, size), nearness, alpha > 0.5)
        return found

    def _novel(self, seen: Drawn, plan: Plan, step: Step) -> dict[str, Tensor]:
        size = self.settings.size
        pictures = seen.colour.view(len(plan.orbit), size, size, 3).permute(0, 3, 1, 2)
        views = plan.orbit.seen_from(self.reference.orbit)
        shown = pictures.detach()
        gradient = torch.stack([prior.gradient(shown, views, step) for prior in self.priors]).sum(0)
        return {"priors": distilled(pictures, gradient)}

    def _regular(self, seen: Drawn, size: int, step: Step) -> dict[str, Tensor]:
        """Losses of every view."""
        weights, found = self.settings.weights, {}
        if weights.entropy:
            amount = weights.entropy * losses.ramp(step.number + 1, self.settings.steps)
            found["entropy"] = amount * losses.entropy(seen.composite.weights, seen.sampled)
        if weights.opacity:
            found["opacity"] = weights.opacity * losses.opacity(seen.alpha)
        if weights.orient and seen.facing is not None:
            shares = seen.composite.weights[seen.facing.number]
            facing = losses.orient(shares, seen.facing.normals, seen.facing.ahead, seen.sampled)
            found["orient"] = weights.orient * facing
        if seen.normals is not None:
            picture = seen.normals.view(-1, size, size, 3)
            if weights.normal_smooth:
                found["normal_smooth"] = weights.normal_smooth * losses.normal_smooth(picture)
            if weights.normal_blur:
                found["normal_blur"] = weights.normal_blur * losses.normal_blur(picture)
        return found
