"""The steps of a run: diffusers' EDM scheduler with the numbers of Hi3D, and stage 2's return to its first frames.

Karras et al. (arXiv 2206.00364) for sigmas and Euler steps; the network predicts v (Salimans & Ho, arXiv 2202.00512). A
sample is x = data + sigma · noise.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

STEPS = 25
"""As published."""

MOST_STEPS = 1000
SIGMA_MIN, SIGMA_MAX = 0.002, 700.0
RETURN = 40
"""How fast stage 2 stops returning to its frames: the exponent of `blend_weight`."""


class Schedule:
    """The Euler steps of one run.

    Attributes:
        sigmas: [steps + 1] float32 on the CPU, falling to 0.
        timesteps: [steps] float32 on the CPU, what the network is told of sigma: ln(sigma) / 4.
    """

    def __init__(self, steps: int = STEPS) -> None:
        """Raises ValueError: no steps, or more than `MOST_STEPS`."""
        import diffusers

        if not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"between 1 and {MOST_STEPS} steps are possible, not {steps}")
        self._edm: Any = getattr(diffusers, "EDMEulerScheduler")(  # noqa: B009
            sigma_min=SIGMA_MIN, sigma_max=SIGMA_MAX, sigma_data=1.0, prediction_type="v_prediction"
        )
        self._edm.set_timesteps(steps, "cpu")
        self.sigmas: Tensor = self._edm.sigmas
        self.timesteps: Tensor = self._edm.timesteps

    def __len__(self) -> int:
        return len(self.timesteps)

    def begun(self, noise: Tensor) -> Tensor:
        """The sample before the first step, from standard normal noise."""
        return noise * math.sqrt(1.0 + float(self.sigmas[0]) ** 2)

    def scaled(self, sample: Tensor, index: int) -> Tensor:
        """What the network sees of a sample at step `index`: its variance is 1 where that of data is."""
        seen: Tensor = self._edm.precondition_inputs(sample, float(self.sigmas[index]))
        return seen

    def denoised(self, sample: Tensor, prediction: Tensor, index: int) -> Tensor:
        """The data that a prediction v says is in the sample at step `index`."""
        data: Tensor = self._edm.precondition_outputs(sample, prediction, float(self.sigmas[index]))
        return data

    def step(self, sample: Tensor, data: Tensor, index: int) -> Tensor:
        """The sample after step `index`, from what is said to be in it; no fresh noise."""
        sigma, following = float(self.sigmas[index]), float(self.sigmas[index + 1])
        return sample + (sample - data) * ((following - sigma) / sigma)


def blend_weight(index: int, steps: int) -> float:
    """How much of a sample of stage 2 is taken from the frames of stage 1, noised anew, before step `index`: 1 … 0.

    ((1 + cos(i / N)) / 2)^40, in radians and without pi: 1 at first, 0.0155 at step 16 of 25.
    """
    return float(((1.0 + math.cos(index / steps)) / 2.0) ** RETURN)


def blended(sample: Tensor, frames: Tensor, noise: Tensor, sigma: float, weight: float) -> Tensor:
    """The sample before a step of stage 2.

    Args:
        sample, frames, noise: [T, channels, h, w]; frames are scaled latents, noise that of the beginning.
        weight: `blend_weight`.
    """
    return (1.0 - weight) * sample + weight * (noise * sigma + frames)


def guidance_scales(frames: int, largest: float, smallest: float = 1.0, triangular: bool = False) -> Tensor:
    """How strongly each frame is guided, [frames] float32.

    Linear, as published, the last frame is guided most although it is a neighbour of the first on the orbit, and comes
    out more saturated. Triangular, the frame at the back is guided most (as SV3D, arXiv 2403.12008): frame k as frame
    `frames` − k.
    """
    if not triangular:
        return torch.linspace(smallest, largest, frames)
    half = frames // 2
    distance = torch.arange(frames, dtype=torch.float32)
    distance = torch.minimum(distance, frames - distance)
    return smallest + (largest - smallest) * distance / max(half, 1)
