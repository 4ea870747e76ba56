"""Euler steps with fresh noise ("ancestral") for a network that predicts v, at the last timestep of each interval.

A sample is x = data + sigma · noise; the network sees x / √(sigma² + 1). Karras et al. (arXiv 2206.00364) for the way
of writing, Salimans & Ho (arXiv 2202.00512) for v, Lin et al. (arXiv 2305.08891) for "trailing" timesteps, on which
Zero123++ depends: its file says "linspace", and every published use of it changes that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SchedulerConfig:
    """`scheduler/scheduler_config.json`: how the noise grew in training, in equal steps of beta."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: str = "linear"
    prediction_type: str = "v_prediction"

    def __post_init__(self) -> None:
        if self.beta_schedule != "linear" or self.prediction_type != "v_prediction":
            raise ValueError(
                f'Zero123++ needs the schedule "linear" and "v_prediction", '
                f'not "{self.beta_schedule}" and "{self.prediction_type}"'
            )
        if not self.beta_start <= self.beta_end < 1.0:
            raise ValueError(
                f"beta grows from beta_start to less than 1, not from {self.beta_start} to {self.beta_end}"
            )


@dataclass(frozen=True)
class Schedule:
    """The steps of one run, in float32: timesteps [steps] for the network, sigmas [steps + 1] falling to 0."""

    timesteps: Tensor
    sigmas: Tensor

    def __len__(self) -> int:
        return len(self.timesteps)

    def begun(self, noise: Tensor) -> Tensor:
        """The sample before the first step, from standard normal noise."""
        return noise * float(self.sigmas[0])

    def scaled(self, sample: Tensor, index: int) -> Tensor:
        """What the network sees of a sample at step `index`."""
        return sample / math.sqrt(float(self.sigmas[index]) ** 2 + 1.0)

    def noised(self, data: Tensor, noise: Tensor, index: int) -> Tensor:
        """What the network sees of data with as much noise as the sample has at step `index`."""
        return self.scaled(data + float(self.sigmas[index]) * noise, index)

    def step(self, sample: Tensor, prediction: Tensor, noise: Tensor, index: int) -> Tensor:
        """The sample after step `index`, from the network's v and fresh standard normal noise."""
        sigma, following = float(self.sigmas[index]), float(self.sigmas[index + 1])
        data = sample / (sigma**2 + 1.0) - prediction * (sigma / math.sqrt(sigma**2 + 1.0))
        up = math.sqrt(following**2 * (sigma**2 - following**2) / sigma**2)
        down = math.sqrt(following**2 - up**2)
        return sample + (sample - data) * ((down - sigma) / sigma) + noise * up


def kept_shares(config: SchedulerConfig) -> Tensor:
    """How much of the data's variance is left at each timestep of training [num_train_timesteps], float32."""
    betas = torch.linspace(config.beta_start, config.beta_end, config.num_train_timesteps, dtype=torch.float32)
    return torch.cumprod(1.0 - betas, 0)


def make_schedule(steps: int, config: SchedulerConfig | None = None) -> Schedule:
    """Timesteps round(T − i·T / steps) − 1 for i = 0 … steps − 1, T those of training, and their sigmas.

    Raises:
        ValueError: no steps, or more than there are timesteps.
    """
    config = config or SchedulerConfig()
    count = config.num_train_timesteps
    if not 1 <= steps <= count:
        raise ValueError(f"between 1 and {count} steps are possible, not {steps}")
    timesteps = np.round(count - np.arange(steps) * (count / steps)) - 1.0
    shares = kept_shares(config)
    every = (((1.0 - shares) / shares) ** 0.5).numpy()
    sigmas = np.append(np.interp(timesteps, np.arange(count), every), 0.0)
    return Schedule(torch.from_numpy(timesteps.astype(np.float32)), torch.from_numpy(sigmas.astype(np.float32)))
