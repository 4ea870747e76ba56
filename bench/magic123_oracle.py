"""A known object, and a prior that knows it: what an optimisation with priors must find if nothing of it is inverted.

The prior predicts noise as a perfect denoiser would that has only ever seen this object: the prediction is what makes
of the noised latent the latent of the truth, drawn by `models.rendering` from the same side and shown in the same way.
Latents are pictures whose pixels are averaged by twos. All the arithmetic of score distillation is gone through.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.guidance.prior import RelativeViews
from models.magic123.cameras import Orbit
from models.magic123.drawing import Shading
from models.magic123.reference import Reference
from models.magic123.settings import Plan
from models.optimisation.chance import Step
from models.rendering import preview
from training.solids import solid

Cells = NDArray[np.bool_]

REACH = 0.6
"""How far an object reaches from the middle: it just fills a picture from 1.8 with 40 degrees."""

T_RANGE = (200, 600)
CELLS = 96


@dataclass(frozen=True)
class Truth:
    """An object: vertices `[V, 3]`, faces `[F, 3]` int64, and a colour at each point of it."""

    vertices: Tensor
    faces: Tensor
    colour: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, vertices: Tensor, faces: Tensor, colour: Callable[[Tensor], Tensor] | None = None) -> Truth:
        """Any mesh, brought to the middle and to its size; coloured by place if nobody says otherwise."""
        used = vertices[torch.unique(faces)]
        middle = (used.amin(0) + used.amax(0)) / 2
        scale = REACH / float((used - middle).norm(dim=1).max())
        return cls((vertices - middle) * scale, faces, colour or by_place)

    @classmethod
    def read(cls, file: Path) -> Truth:
        """A model from a file with Y up."""
        mesh: Any = trimesh.load(file, force="mesh", process=False, skip_materials=True)
        turned = np.asarray(mesh.vertices)[:, [0, 2, 1]] * [1, -1, 1]
        return cls.of(torch.from_numpy(turned).float(), torch.from_numpy(np.asarray(mesh.faces, np.int64)))

    def shown(self, orbit: Orbit, size: int, shading: Shading, light: Tensor, background: Tensor) -> Tensor:
        """Pictures `[N, 3, S, S]`. light: `[N, 3]`. background: `[N, 3]`."""
        pictures = []
        for each in range(len(orbit)):
            view = preview(
                self.vertices, self.faces, orbit.camera(each), self.colour, width=size, samples=2, background=0.0
            )
            covered = view.mask[..., None]
            if shading.kind == "normal":
                own = (view.normals + 1) / 2 * covered
            elif shading.kind == "albedo":
                own = view.colour
            else:
                lit = (view.normals * light[each]).sum(-1, keepdim=True).clamp(min=0)
                lit = shading.ambient + (1 - shading.ambient) * lit
                own = lit * (covered if shading.kind == "textureless" else view.colour)
            pictures.append((own + (1 - covered) * background[each]).permute(2, 0, 1))
        return torch.stack(pictures)

    def reference(self, size: int, polar: float = 80.0, azimuth: float = 25.0) -> Reference:
        """The picture that is known of it."""
        orbit = Orbit.of(polar, azimuth)
        view = preview(self.vertices, self.faces, orbit.camera(), self.colour, width=size, samples=3)
        nearest = torch.where(view.depth.isfinite(), view.depth, torch.zeros_like(view.depth))
        seen = nearest > 0
        low, high = nearest[seen].min(), nearest[seen].max()
        depth = torch.where(seen, 1 - (nearest - low) / (high - low).clamp(min=1e-6), torch.zeros_like(nearest))
        return Reference(view.colour, view.mask, depth, polar, azimuth)

    def solid(self, cells: int = CELLS) -> Cells:
        """Which cells of the box are inside it; see `training.solids`."""
        return solid_of(self.vertices, self.faces, cells)


def by_place(points: Tensor) -> Tensor:
    """Colours `[N, 3]` of points `[N, 3]`: each axis has its own, and right is not like left."""
    return (0.5 + 0.7 * points).clamp(0.05, 0.95)


def solid_of(vertices: Tensor, faces: Tensor, cells: int = CELLS) -> Cells:
    """Which cells of the box from -1 to 1 a mesh fills."""
    return solid(vertices[faces].numpy(), cells)


def overlap(one: Cells, other: Cells) -> float:
    """Cells that are in both, of those that are in either."""
    return float((one & other).sum() / max((one | other).sum(), 1))


def noise_ratio(one: Tensor, other: Tensor) -> float:
    """PSNR of pictures 0 … 1, dB."""
    return -10 * math.log10(max(float(functional.mse_loss(one, other)), 1e-10))


class Oracle:
    """A `Prior` that knows the truth.

    Args:
        truth: the object.
        reference: whose camera the views are told relative to.
        plan: how a step shows its view; `settings.planned` for the coarse stage.
        weight: of its gradient.
        pooled: pixels along each side that one value of a latent stands for.

    Attributes:
        seconds: of the processor, that drawing the truth has taken.
    """

    def __init__(
        self,
        truth: Truth,
        reference: Reference,
        plan: Callable[[Step], Plan],
        weight: float,
        pooled: int = 2,
    ) -> None:
        self.truth, self.reference, self.plan = truth, reference, plan
        self.weight, self.pooled, self.seconds = weight, pooled, 0.0
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
        self.signal = (1 - betas).cumprod(0).float()

    def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
        """See `Prior`."""
        plan, known = self.plan(step), self.reference.orbit
        orbit = Orbit(
            views.polar + known.polar, views.azimuth + known.azimuth, views.radius + known.radius, known.field_of_view
        )
        size = pictures.shape[-1]
        began = time.process_time()
        truth = self.truth.shown(orbit, size, plan.shading, plan.light, plan.background).to(pictures)
        self.seconds += time.process_time() - began
        latent, wanted = (functional.avg_pool2d(each, self.pooled) * 2 - 1 for each in (pictures, truth))
        noise = step.normal(*(len(pictures) * step.parts, *latent.shape[1:]), purpose="oracle").to(latent)
        moment = torch.randint(
            T_RANGE[0], T_RANGE[1] + 1, (len(pictures) * step.parts,), generator=step.generator("time")
        )
        signal = self.signal[step.mine(moment)][:, None, None, None].to(latent)
        noised = signal.sqrt() * latent + (1 - signal).sqrt() * noise
        predicted = (noised - signal.sqrt() * wanted) / (1 - signal).sqrt()
        at_latent = self.weight * (1 - signal) * (predicted - noise)
        # Backwards through the mean, and through 2 x - 1.
        spread = at_latent.repeat_interleave(self.pooled, dim=2).repeat_interleave(self.pooled, dim=3)
        return spread * 2 / self.pooled**2
