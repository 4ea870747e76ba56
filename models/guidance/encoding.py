"""Pictures → latents with the way back, whole or shortened.

Of what a step takes, the autoencoder at 512² is the largest part: about 1.1 · 10¹² multiplications and additions there
and as many back. `Encoding` names ways with less; the published one is the default, and the others are not equal to it.
`recompute` is: it takes the encoder's first half a second time, and keeps only what is between its blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class Encoding:
    """How a picture becomes latents.

    shrinks: the autoencoder sees so many times fewer pixels along a side, and the denoising network so many times fewer
        latents.
    straight: the way back does not go through the autoencoder, but through the linear map from the picture's colours,
        made as small as the latents, that comes closest to these very latents. The latents are the same.
    """

    shrinks: int = 1
    straight: bool = False

    def __post_init__(self) -> None:
        if self.shrinks not in (1, 2, 4):
            raise ValueError(f"A picture can be made 1, 2 or 4 times smaller, not {self.shrinks}.")


ENCODED = Encoding()
"""As published."""

HALF = Encoding(shrinks=2)
STRAIGHT = Encoding(straight=True)

RIDGE = 1e-4
"""What keeps the linear map small where a picture has few colours; the share of a white picture."""


def resized(pictures: Tensor, side: int) -> Tensor:
    """N×C×H×W → N×C×side×side, bilinear between the middles of pixels and without a filter, as published."""
    if pictures.shape[-2:] == (side, side):
        return pictures
    return functional.interpolate(pictures, (side, side), mode="bilinear", align_corners=False)


def as_latents(pictures: Tensor, side: int) -> Tensor:
    """N×4×H×W in 0…1 → latents N×4×side×side in −1…1, without an autoencoder."""
    return resized(pictures, side) * 2.0 - 1.0


def encoded(
    pictures: Tensor,
    vae: Any,
    side: int,
    sample: Tensor,
    encoding: Encoding = ENCODED,
    recompute: bool = False,
) -> Tensor:
    """Latents as the denoising network knows them, N×4×side/8×side/8 float32, with a graph to the pictures.

    Args:
        pictures: N×3×H×W in 0…1.
        vae: an `AutoencoderKL`, frozen.
        side: pixels along a side of what it sees.
        sample: standard normal in the shape of the latents: which of the possible ones are taken.
        recompute: see `distillation.Frugality`.
    """
    if encoding.straight:
        latents = _encoded(pictures.detach(), vae, side, sample)
        line = straightened(pictures, latents)
        return latents + (line - line.detach())
    if recompute:
        able(vae.encoder)
    set_recomputing(vae.encoder, recompute)
    try:
        return _encoded(pictures, vae, side, sample)
    finally:
        set_recomputing(vae.encoder, False)


def mode(pictures: Tensor, vae: Any) -> Tensor:
    """The likeliest latents, N×4×h×w float32, not scaled. pictures: N×3×H×W in 0…1."""
    parameter = next(vae.parameters())
    seen = (pictures * 2.0 - 1.0).to(parameter.device, parameter.dtype)
    found: Tensor = vae.encode(seen).latent_dist.mode()
    return found.float()


def straightened(pictures: Tensor, latents: Tensor) -> Tensor:
    """The linear function of a picture's colours that comes closest to its latents, for each picture.

    Args:
        pictures: N×3×H×W in 0…1, with whatever graph.
        latents: N×C×h×w.

    Returns:
        N×C×h×w, a function of `pictures` alone: the map itself counts as given.
    """
    small = functional.interpolate(pictures, latents.shape[-2:], mode="area").flatten(2) * 2.0 - 1.0
    known = torch.cat([small, torch.ones_like(small[:, :1])], dim=1)
    given = known.detach()
    ridge = RIDGE * given.shape[-1] * torch.eye(given.shape[1], device=given.device)
    matrix = torch.linalg.solve(given @ given.mT + ridge, given @ latents.detach().flatten(2).mT)
    line: Tensor = matrix.mT @ known
    return line.reshape(latents.shape)


def _encoded(pictures: Tensor, vae: Any, side: int, sample: Tensor) -> Tensor:
    parameter = next(vae.parameters())
    seen = resized(pictures, side) * 2.0 - 1.0
    found = vae.encode(seen.to(parameter.dtype)).latent_dist
    latents: Tensor = (found.mean.float() + found.std.float() * sample) * float(vae.config.scaling_factor)
    return latents


class RecomputingResnet(ResnetBlock2D):  # type: ignore[misc]
    """A residual block that keeps its input alone for the way back, where it is told to."""

    recomputing = False

    def forward(self, input_tensor: Tensor, temb: Tensor | None = None, *_: Any, **__: Any) -> Tensor:
        """input_tensor [n, channels, h, w]."""
        plain = super().forward
        if self.recomputing and torch.is_grad_enabled():
            # There is no chance in it, so no generator's state is kept.
            return cast(Tensor, checkpoint(plain, input_tensor, temb, use_reentrant=False, preserve_rng_state=False))
        return cast(Tensor, plain(input_tensor, temb))


def able(network: Any) -> None:
    """Lets the residual blocks of a network recompute; they go on as usual until told otherwise."""
    for module in network.modules():
        if type(module) is ResnetBlock2D:
            module.__class__ = RecomputingResnet


def set_recomputing(network: Any, recomputing: bool) -> None:
    """Tells an `able` network whether to recompute."""
    for module in network.modules():
        if isinstance(module, RecomputingResnet):
            module.recomputing = recomputing
