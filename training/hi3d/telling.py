"""What the network is told of a clip in training: `models.hi3d.pipeline`'s conditions, with noise of any level, and
left out now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.hi3d import conditioning
from models.hi3d.autoencoding import moments
from models.hi3d.denoising import Conditions
from models.hi3d.files import ORBIT, Stage
from models.hi3d.loading import StageFiles
from training.hi3d.config import Noise
from training.hi3d.orbits import Clip


@dataclass(frozen=True)
class Chance:
    """What is drawn for a clip.

    Attributes:
        level: the noise level of the sample.
        noise, chosen: [T, channels, h, w] standard normal: of the sample, and of the latents that its data are.
        told: deviation of the noise in the frames that the network is told of. of_frames: that noise, [n, 3, S, S].
        picture, latents, depth: whether each is told.
    """

    level: float
    noise: Tensor
    chosen: Tensor
    told: float
    of_frames: Tensor
    picture: bool = True
    latents: bool = True
    depth: bool = True


def drawn(settings: Noise, files: StageFiles, stage: Stage, draw: torch.Generator) -> Chance:
    """By chance, on the CPU."""
    numbers = torch.randn(2, generator=draw, dtype=torch.float64).tolist()
    out = torch.rand(3, generator=draw).tolist()
    side, size = files.latent_side, files.size
    latents = (files.frames, files.latent_channels, side, side)
    return Chance(
        level=math.exp(settings.level + settings.spread * numbers[0]),
        noise=torch.randn(latents, generator=draw),
        chosen=torch.randn(latents, generator=draw),
        told=math.exp(settings.told + settings.told_spread * numbers[1]),
        of_frames=torch.randn((1 if stage is ORBIT else files.frames, 3, size, size), generator=draw),
        picture=out[0] >= settings.without_picture,
        latents=out[1] >= settings.without_latents,
        depth=out[2] >= settings.without_depth,
    )


class Teller:
    """The networks that are not trained, and what they say of a clip.

    Args:
        files: of the stage.
        encoded: frames that the autoencoder takes at once.
    """

    def __init__(self, files: StageFiles, stage: Stage, encoded: int = 1) -> None:
        self.files, self.stage, self.encoded = files, stage, encoded

    @torch.no_grad()
    def __call__(self, clip: Clip, chance: Chance) -> Conditions:
        """What is told of a single clip, on the CPU. `frames`: the scaled latents that the sample should become."""
        with torch.autocast(self.files.device.type, enabled=False):
            return self._told(clip, chance)

    def _told(self, clip: Clip, chance: Chance) -> Conditions:
        parts = self.files.parts
        frames = as_inputs(clip.frames)
        known = frames[:1] if self.stage is ORBIT else as_inputs(clip.known)
        noisy = known + chance.told * chance.of_frames
        mean, deviation = moments(frames, parts["vae"], self.encoded)
        latents, _ = moments(noisy, parts[self.files.condition_vae], self.encoded)
        token = conditioning.picture_token(frames[:1], parts["image_encoder"])[0].cpu()
        score = None
        concat = [latents * float(chance.latents)]
        if self.stage is ORBIT:
            score = conditioning.score(frames[:1], parts["score_encoder"], *self.files.score_head()).cpu()
            concat = [each.repeat(self.files.frames, 1, 1, 1) for each in concat]
        else:
            disparity = conditioning.depth(noisy, parts["depth_estimator"]).cpu()
            channels = conditioning.depth_channels(disparity, (latents.shape[2], latents.shape[3]))
            concat.insert(0, channels * float(chance.depth))
        return Conditions(
            token=token * float(chance.picture),
            vector=conditioning.vector(float(clip.elevation), score, chance.told),
            concat=torch.cat(concat, dim=1),
            noise=chance.noise,
            frames=(mean + deviation * chance.chosen) * self.files.scaling,
        )


def as_inputs(frames: Tensor) -> Tensor:
    """uint8 [T, S, S, 3] → −1 … 1, [T, 3, S, S] float32."""
    return (frames.permute(0, 3, 1, 2).float() / 255.0 - 0.5) * 2.0


def stacked(told: list[Conditions], device: torch.device, name: str) -> Any:
    """One of what is told of several clips, with one more axis in front."""
    return torch.stack([getattr(each, name) for each in told]).to(device)
