"""Rectified flow: straight lines from noise (sigma 1) to data (sigma 0), followed by Euler steps.

x(s) = (1 − s)·data + s·noise. The network predicts data − noise, so a step from s to s' < s adds (s − s')·velocity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SchedulerConfig:
    """`scheduler/scheduler_config.json`. `shift` > 1 spends more steps near the noise."""

    num_train_timesteps: int = 1000
    shift: float = 1.0
    use_dynamic_shifting: bool = False


@dataclass(frozen=True)
class Schedule:
    """The steps of one run, in float32: sigmas [steps + 1] from 1 to 0, timesteps [steps] for the network."""

    sigmas: Tensor
    timesteps: Tensor

    def __len__(self) -> int:
        return len(self.timesteps)

    def step(self, latents: Tensor, velocity: Tensor, index: int) -> Tensor:
        """The latents after step `index`, in float32."""
        length = float(self.sigmas[index] - self.sigmas[index + 1])
        return latents.to(torch.float32) + length * velocity.to(torch.float32)


def make_schedule(steps: int, config: SchedulerConfig | None = None, mu: float | None = None) -> Schedule:
    """Sigmas u = 1, 1 − 1/steps, …, 1/steps, shifted, then 0.

    Args:
        steps: at least 1.
        config: shift·u / (1 + (shift − 1)·u), or with dynamic shifting eᵘ′/(eᵘ′ + 1/u − 1), u′ = `mu`.
        mu: only with dynamic shifting, and needed there.

    Raises:
        ValueError: no steps, or `mu` does not fit the configuration.
    """
    config = config or SchedulerConfig()
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, not {steps}")
    if config.use_dynamic_shifting != (mu is not None):
        raise ValueError("mu belongs to dynamic shifting: give it there and only there")
    uniform = 1.0 - np.arange(steps, dtype=np.float64) / steps
    if mu is None:
        sigmas = config.shift * uniform / (1.0 + (config.shift - 1.0) * uniform)
    else:
        sigmas = math.exp(mu) / (math.exp(mu) + 1.0 / uniform - 1.0)
    sigma = torch.from_numpy(sigmas.astype(np.float32))
    return Schedule(torch.cat([sigma, torch.zeros(1)]), sigma * config.num_train_timesteps)
