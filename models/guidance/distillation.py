"""Score distillation with latent diffusion: from rendered pictures to the gradient at them.

The arithmetic is that of Magic123 (Qian et al. 2023, arXiv:2306.17843), with one difference in the order of work: each
prior gives its gradient at the pictures, not at what they were rendered from, so gradients of several priors are added
up and the renderer is gone through backwards once. The weight of a prior is linear in all that, and is applied at the
end in 32 bit, where no small number is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from models.guidance.encoding import ENCODED, Encoding, as_latents, encoded
from models.guidance.prior import RelativeViews
from models.loading import CheckpointForeign
from models.optimisation.chance import Step
from models.parts import Parts

TIMESTEPS = 1000
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
"""What Stable Diffusion and Zero123 were trained with."""

Formula = Callable[[Tensor, Tensor, float], Tensor]
"""(prediction without the condition, prediction with it, scale) → the guided prediction, all of one shape."""


def beyond_the_condition(without: Tensor, conditioned: Tensor, scale: float) -> Tensor:
    """conditioned + scale · (conditioned − without): what Magic123 does with Stable Diffusion; 100 acts as 101 does in
    the usual formula."""
    return conditioned + scale * (conditioned - without)


def classifier_free(without: Tensor, conditioned: Tensor, scale: float) -> Tensor:
    """without + scale · (conditioned − without): the usual formula (Ho and Salimans 2022), with Zero123."""
    return without + scale * (conditioned - without)


def signal_shares() -> Tensor:
    """ᾱ, [1000] float32: how much of the variance of a noised latent is signal, by timestep."""
    from diffusers import DDPMScheduler

    shares: Tensor = DDPMScheduler(num_train_timesteps=TIMESTEPS, **BETAS).alphas_cumprod
    return shares.clone()


@dataclass(frozen=True)
class Distillation:
    """How one prior is asked.

    scale: of the guidance.
    weight: of the whole gradient; see `balance.Balance`.
    t_range: between which shares of all timesteps one is drawn, both included.
    """

    scale: float
    weight: float = 1.0
    t_range: tuple[float, float] = (0.2, 0.6)

    def __post_init__(self) -> None:
        first, last = self.t_range
        if not 0.0 <= first <= last <= 1.0:
            raise ValueError(
                f"Noise from {first:g} to {last:g} of all timesteps: two shares from 0 to 1 are possible, the smaller "
                "one first."
            )
        if not (math.isfinite(self.scale) and math.isfinite(self.weight)):
            raise ValueError(f"A scale of {self.scale} and a weight of {self.weight}: both have to be finite numbers.")

    @property
    def timesteps(self) -> tuple[int, int]:
        """The first and the last timestep that may be drawn."""
        first, last = (min(round(share * TIMESTEPS), TIMESTEPS - 1) for share in self.t_range)
        return first, last


@dataclass(frozen=True)
class Chance:
    """What is drawn for N pictures.

    timesteps: N, int64. noise, sample: N×4×h×w, standard normal: what is added to the latents, and which latents of
        those that the autoencoder finds possible are taken.
    """

    timesteps: Tensor
    noise: Tensor
    sample: Tensor

    def rows(self, start: int, end: int) -> Chance:
        """What is drawn for some of the pictures."""
        return Chance(*(each[start:end] for each in (self.timesteps, self.noise, self.sample)))


def drawn(step: Step, count: int, shape: tuple[int, ...], distillation: Distillation, name: str) -> Chance:
    """The same for the same seed, step and name, on any device and however a batch is shared out.

    Args:
        count: pictures that this part of the step has.
        shape: of the latents of one.
        name: of the prior, so that two do not see the same noise.
    """
    whole = count * step.parts
    first, last = distillation.timesteps
    timesteps = torch.randint(first, last + 1, (whole,), generator=step.generator(f"{name} timestep"))
    noise, sample = (step.normal(whole, *shape, purpose=f"{name} {what}") for what in ("noise", "sample"))
    return Chance(step.mine(timesteps), noise, sample)


def noised(latents: Tensor, noise: Tensor, shares: Tensor) -> Tensor:
    """√ᾱ · latents + √(1 − ᾱ) · noise, N×C×h×w, as in DDPM. shares: ᾱ of each picture's timestep, N."""
    signal = _along(shares, latents)
    return signal.sqrt() * latents + (1.0 - signal).sqrt() * noise


def latent_gradient(prediction: Tensor, noise: Tensor, shares: Tensor, factors: Tensor | float = 1.0) -> Tensor:
    """factors · (1 − ᾱ) · (prediction − noise), N×C×h×w; what is no number is 0.

    It is summed, not averaged: the number of values does not occur in it.

    Args:
        prediction: the guided prediction of the noise, N×C×h×w. noise: what was added.
        shares: ᾱ of each picture's timestep, N. factors: of each picture, N.
    """
    weights = _along((1.0 - shares) * factors, noise)
    return torch.nan_to_num(weights * (prediction - noise), nan=0.0, posinf=0.0, neginf=0.0)


def taken_back(latents: Tensor, pictures: Tensor, gradient: Tensor) -> Tensor:
    """A gradient at latents as one at the pictures that they were made from.

    On the way its largest value is between 1 and 2, where 16 bits have room: the product of the Jacobian and a vector
    is linear, and a power of two costs no digit.

    Args:
        latents: N×C×h×w, with the graph that leads to `pictures`, which is freed.
        pictures: N×3×H×W, where that graph begins.
        gradient: N×C×h×w.

    Returns:
        N×3×H×W float32; what is no number is 0.
    """
    largest = gradient.abs().amax()
    exponent = torch.where(largest > 0.0, torch.log2(largest).floor(), torch.zeros_like(largest)).clamp(-100.0, 100.0)
    (found,) = torch.autograd.grad(latents, pictures, gradient * torch.exp2(-exponent))
    return torch.nan_to_num(found.float() * torch.exp2(exponent), nan=0.0, posinf=0.0, neginf=0.0)


@dataclass(frozen=True)
class Frugality:
    """How much at once, for the same result up to rounding.

    recompute: nothing but the inputs of the autoencoder's blocks is kept for the way back; the rest is computed again.
    slices: attention one head after the other, for devices where it holds a matrix of scores.
    group: pictures at once; None: all.
    """

    recompute: bool = False
    slices: bool = False
    group: int | None = None

    def __post_init__(self) -> None:
        if self.group is not None and self.group < 1:
            raise ValueError(f"At least one picture at a time, not {self.group}.")


class LatentPrior:
    """What priors of latent diffusion have in common.

    Attributes:
        distillation, frugality: may be replaced between two steps.
        encoding: how a picture becomes latents; see `encoding.Encoding`.
        side: pixels along a side of what the autoencoder sees.
        parts: the networks, "unet" and "vae" among them.
    """

    name = ""
    formula: Formula = staticmethod(classifier_free)
    side: int

    def __init__(
        self,
        parts: Parts,
        distillation: Distillation,
        encoding: Encoding = ENCODED,
        frugality: Frugality | None = None,
    ) -> None:
        self.parts = parts
        self.distillation = distillation
        self.encoding = encoding
        self.frugality = frugality or Frugality()
        self._shares = signal_shares().to(parts.device)

    def at(self, **changes: Any) -> None:
        """Changes the distillation from the next step on: `prior.at(t_range=(0.02, 0.5))`. Errors: `Distillation`."""
        self.distillation = replace(self.distillation, **changes)

    def gradient(self, pictures: Tensor, views: RelativeViews, step: Step) -> Tensor:
        """See `prior.Prior`. N×4×H×W in 0…1 are taken as latents, as the published program does with normals and mask.

        Raises:
            ValueError: the pictures have another number of channels, or there are not as many views.
        """
        count = len(pictures)
        if pictures.ndim != 4 or pictures.shape[1] not in (3, 4) or len(views) != count:
            raise ValueError(f"Pictures {list(pictures.shape)} and {len(views)} views do not fit each other.")
        side = self.side // self.encoding.shrinks // 8
        chance = drawn(step, count, (4, side, side), self.distillation, self.name)
        group = self.frugality.group or max(count, 1)
        found = [
            self._of(
                pictures[start : start + group], views.rows(start, start + group), chance.rows(start, start + group)
            )
            for start in range(0, count, group)
        ]
        return self.distillation.weight * torch.cat(found) if found else torch.zeros_like(pictures)

    def predictions(self, noisy: Tensor, timesteps: Tensor, views: RelativeViews) -> tuple[Tensor, Tensor]:
        """What the network takes for noise, without the condition and with it, each N×4×h×w float32."""
        raise NotImplementedError

    def factors(self, views: RelativeViews) -> Tensor | float:
        """By how much each picture's gradient counts, N."""
        return 1.0

    def _of(self, pictures: Tensor, views: RelativeViews, chance: Chance) -> Tensor:
        device = self.parts.device
        with torch.enable_grad():
            seen = pictures.to(device, torch.float32).detach().requires_grad_()
            latents = self._latents(seen, chance.sample.to(device))
        noise, timesteps = chance.noise.to(device), chance.timesteps.to(device)
        shares = self._shares[timesteps]
        without, conditioned = self.predictions(noised(latents.detach(), noise, shares), timesteps, views)
        guided = self.formula(without, conditioned, self.distillation.scale)
        gradient = latent_gradient(guided, noise, shares, self.factors(views))
        return taken_back(latents, seen, gradient).to(pictures.device)

    def _latents(self, pictures: Tensor, sample: Tensor) -> Tensor:
        if pictures.shape[1] == 4:
            return as_latents(pictures, sample.shape[-1])
        side = self.side // self.encoding.shrinks
        return encoded(pictures, self.parts["vae"], side, sample, self.encoding, self.frugality.recompute)


def guided_halves(
    unet: Any, slices: bool, noisy: tuple[Tensor, Tensor], timesteps: Tensor, told: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Both predictions of a `UNet2DConditionModel`, N×4×h×w float32, in one pass.

    Args:
        slices: see `Frugality`.
        noisy: the inputs of the network, N×C×h×w. told: what it is told, N×tokens×width.
    """
    dtype = next(unet.parameters()).dtype
    set_slices(unet, slices)
    both = unet(torch.cat(noisy).to(dtype), timesteps.repeat(2), torch.cat(told).to(dtype), return_dict=False)[0]
    first, second = both.float().chunk(2)
    return first, second


def set_slices(unet: Any, slices: bool) -> None:
    """Tells the attention of a `UNet2DConditionModel` whether to take its heads one after the other."""
    from diffusers.models.attention_processor import AttnProcessor2_0, SlicedAttnProcessor

    kind = SlicedAttnProcessor if slices else AttnProcessor2_0
    if not all(isinstance(each, kind) for each in unet.attn_processors.values()):
        unet.set_attn_processor(SlicedAttnProcessor(1) if slices else AttnProcessor2_0())


def check_schedule(config: dict[str, Any], file: str) -> None:
    """Raises CheckpointForeign where a scheduler's file says another noise than the distillation knows."""
    for name, value in {**BETAS, "num_train_timesteps": TIMESTEPS, "prediction_type": "epsilon"}.items():
        if config.get(name, value) != value:
            raise CheckpointForeign(f"{file}: {name} is {config[name]!r}; the distillation knows {value!r} alone.")


def _along(values: Tensor, tensor: Tensor) -> Tensor:
    """N values, one for each row of an N×… tensor."""
    return values.reshape(-1, *(1,) * (tensor.ndim - 1))
