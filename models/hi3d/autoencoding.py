"""Frames to latents and back, a few frames at a time: whole videos at once are what makes the published program need
28 GB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.hi3d.pictures import as_frames

Looked = Callable[[int, int], None]
"""Is told (frames done, frames) after each group. An exception it raises ends the work."""


def moments(frames: Tensor, vae: Any, group: int = 1, looked: Looked | None = None) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the latents [T, channels, h, w] of frames −1 … 1, [T, 3, H, W]; float32 on the CPU,
    without the factor that the UNet's latents have. group: frames at once."""
    parameter = next(vae.parameters())
    means, deviations = [], []
    for start in range(0, len(frames), group):
        part = frames[start : start + group].to(parameter.device, parameter.dtype)
        found = vae.encode(part).latent_dist
        means.append(found.mean.float().cpu())
        deviations.append(found.std.float().cpu())
        if looked is not None:
            looked(min(start + group, len(frames)), len(frames))
    return torch.cat(means), torch.cat(deviations)


def decoded(latents: Tensor, vae: Any, group: int = 1, looked: Looked | None = None) -> NDArray[np.float32]:
    """Scaled latents [T, channels, h, w] → frames [T, H, W, 3], 0 … 1.

    Raises:
        FloatingPointError: see `pictures.as_frames`.
    """
    parameter = next(vae.parameters())
    found = []
    for start in range(0, len(latents), group):
        part = latents[start : start + group].to(parameter.device) / vae.config.scaling_factor
        found.append(as_frames(vae.decode(part.to(parameter.dtype), return_dict=False)[0]))
        if looked is not None:
            looked(min(start + group, len(latents)), len(latents))
    return np.concatenate(found)


def colour_map(latents: Tensor, frames: Tensor) -> Tensor:
    """[1 + channels, 3]: the linear map, first row its constant, that best takes scaled latents [T, channels, h, w] to
    the colours of their frames [T, 3, H, W], made as small. Float32 on the CPU."""
    small = functional.interpolate(frames.cpu().float(), latents.shape[-2:], mode="area")
    values = latents.cpu().permute(0, 2, 3, 1).flatten(0, 2)
    # A little of nothing keeps the map small where a picture has few colours.
    ridge = 1e-3 * len(values) * torch.eye(values.shape[1] + 1)
    known = torch.cat([torch.ones(len(values), 1), values], dim=1)
    colours: Tensor = torch.linalg.solve(known.T @ known + ridge, known.T @ small.permute(0, 2, 3, 1).flatten(0, 2))
    return colours


def glimpse(latents: Tensor, colours: Tensor) -> NDArray[np.uint8]:
    """Scaled latents → uint8 [T, h, w, 3], rough and without a network: for looking while a run goes on."""
    values = latents.detach().float().cpu().permute(0, 2, 3, 1)
    shown = colours[0] + values @ colours[1:]
    return ((shown * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).to(torch.uint8).numpy()
