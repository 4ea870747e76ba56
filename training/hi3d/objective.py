"""What a training step makes small: how far the network's v is from that of the clip's latents.

EDM (Karras et al., arXiv 2206.00364) with a preconditioning of v: a sample x = z + s n of data z and noise n of level s
is shown as x / sqrt(s² + 1), and what the network says of it, v, makes the data

    D = x / (s² + 1) − v s / sqrt(s² + 1).

The published weight of |D − z|² is (s² + 1) / s², which is the inverse of the square of v's factor. So the weighted
error is |v − (n − s z) / sqrt(s² + 1)|², the plain error of v (Salimans & Ho, arXiv 2202.00512), and computed as that:
nothing has to be divided by a small s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.hi3d.unet import predict
from models.optimisation.chance import Step, generator
from training.hi3d.config import Noise
from training.hi3d.orbits import Clip
from training.hi3d.telling import Teller, drawn, stacked


class Objective(nn.Module):
    """The network and its loss, for `models.optimisation.loop`.

    Args:
        network: is trained, where its parameters have gradients.
        batches: gives the clips of a step's part.
        teller: the other networks, which have no part in it.
    """

    def __init__(self, network: Any, batches: Callable[[Step], Clip], teller: Teller, settings: Noise) -> None:
        super().__init__()
        self.network = network
        self._batches, self._teller, self._settings = batches, teller, settings

    def forward(self, step: Step) -> Mapping[str, Tensor]:
        """The loss, a mean over the clips of the part."""
        clips = self._batches(step)
        count, teller = len(clips.frames), self._teller
        told, levels = [], []
        for index in range(count):
            # By the row of the whole batch, so that it does not matter how the batch is shared out.
            draw = generator(step.seed, "noise", step.number, step.part * count + index)
            chance = drawn(self._settings, teller.files, teller.stage, draw)
            told.append(teller(Clip(*(each[index] for each in clips)), chance))
            levels.append(chance.level)
        device = next(self.network.parameters()).device
        data, noise, concat, token, vector = (
            stacked(told, device, name) for name in ("frames", "noise", "concat", "token", "vector")
        )
        level = torch.tensor(levels, dtype=torch.float32, device=device)
        return {"v": velocity_error(self.network, data, noise, level, concat, token, vector).mean()}


def velocity_error(
    network: Any, data: Tensor, noise: Tensor, level: Tensor, concat: Tensor, token: Tensor, vector: Tensor
) -> Tensor:
    """The mean square error of v of each clip [clips].

    Args:
        data, noise: [clips, T, channels, h, w], scaled latents and standard normal.
        level: [clips] of noise.
        concat, token, vector: see `Conditions`, with an axis for the clips in front.
    """
    wide = level[:, None, None, None, None]
    root = (wide.square() + 1.0).sqrt()
    seen = torch.cat([(data + wide * noise) / root, concat], dim=2)
    found = predict(network, seen, level.log() / 4.0, token, vector)
    return (found - (noise - wide * data) / root).square().flatten(1).mean(1)
