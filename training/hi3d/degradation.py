"""Frames made worse, for stage 2 to learn to mend: blur, resizing, noise and JPEG, twice, with ringing at the end.

Real-ESRGAN's second-order model (Wang et al., arXiv 2107.10833, section 3), with its published probabilities and
kernels; what Hi3D is known to have changed is in `[degradation]`. The frames of a clip are treated as the pictures of a
batch are there: sizes, ways of resizing and kinds of noise are the clip's, kernels, amounts of noise and qualities each
frame's. Hi3D's own choice in this is not known. Afterwards what is not the object is white again, and the first frame,
which at work is the given picture, is as it was.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from training.hi3d.config import Degradation

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

KERNELS = {"normal": (0.45, 0.25), "general": (0.12, 0.03), "plateau": (0.12, 0.03)}
"""How often a kernel is of a shape: as wide as high, and not."""
SIDES = (7, 21)
"""Of kernels, pixels, odd."""
SIGMAS = ((0.2, 3.0), (0.2, 1.5))
SHAPES = {"normal": (1.0, 1.0), "general": (0.5, 4.0), "plateau": (1.0, 2.0)}
RINGING, BLURRED_AGAIN, RINGING_AT_LAST = 0.1, 0.8, 0.8
RESIZED = ((0.2, 0.7), (0.3, 0.4))
"""How often frames are made larger, and smaller, the first and the second time; otherwise they keep their size."""
NORMAL_NOISE, GREY_NOISE = 0.5, 0.4
COUNTED = ((0.05, 3.0), (0.05, 2.5))
"""Strength of noise that grows with brightness."""
WAYS = ("area", "bilinear", "bicubic")


@dataclass(frozen=True)
class Degrading:
    """See `orbits.Worse`."""

    settings: Degradation

    def __call__(self, frames: Pixels, there: NDArray[np.bool_], chance: np.random.Generator) -> Pixels:
        """Frames [T, S, S, 3] on white and where the object is [T, S, S] → the same, worse but for the first one."""
        size = frames.shape[1]
        values = torch.from_numpy(frames.astype(np.float32) / 255.0).permute(0, 3, 1, 2)
        settings, small = self.settings, max(round(size / self.settings.scale), 1)
        values = filtered(values, _kernels(len(frames), 0, chance))
        values = _resized(values, size, settings.resize, 0, chance)
        values = _compressed(_noisy(values, settings.noise, 0, chance), settings.quality, chance)
        if chance.random() < BLURRED_AGAIN:
            values = filtered(values, _kernels(len(frames), 1, chance))
        values = _resized(values, small, settings.resize_again, 1, chance)
        values = _noisy(values, settings.noise_again, 1, chance)
        last = [_ringing(chance) if chance.random() < RINGING_AT_LAST else _nothing() for _ in frames]
        if chance.random() < 0.5:
            values = filtered(_scaled(values, small, chance), last)
            values = _compressed(values, settings.quality, chance)
        else:
            values = _compressed(values, settings.quality, chance)
            values = filtered(_scaled(values, small, chance), last)
        values = functional.interpolate(values, (size, size), mode="bicubic", align_corners=False)
        worse = (values.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        worse = np.where(there[..., None], worse, np.uint8(255))
        worse[0] = frames[0]
        return np.ascontiguousarray(worse)


def kernel(kind: str, side: int, sigmas: tuple[float, float], turn: float, shape: float) -> Floats:
    """A blur [side, side], its sum 1.

    Args:
        kind: `normal`: Gaussian; `general`: of another exponent; `plateau`: flat in the middle.
        sigmas: pixels along both axes. turn: of the axes, radians. shape: exponent.
    """
    places = np.arange(side) - side // 2
    across, down = np.meshgrid(places, places)
    first = (math.cos(turn) * across + math.sin(turn) * down) / sigmas[0]
    second = (-math.sin(turn) * across + math.cos(turn) * down) / sigmas[1]
    squared = first**2 + second**2
    values = 1.0 / (squared**shape + 1.0) if kind == "plateau" else np.exp(-0.5 * squared**shape)
    return np.asarray(values / values.sum(), np.float32)


def ringing_kernel(side: int, cutoff: float) -> Floats:
    """A round low pass [side, side] that cuts off at so many radians a pixel: J1(c r) c / (2 pi r), its sum 1."""
    places = np.arange(side) - side // 2
    radius = np.hypot(*np.meshgrid(places, places))
    radius[side // 2, side // 2] = 1.0
    bessel = torch.special.bessel_j1(torch.from_numpy(cutoff * radius)).numpy()
    values = cutoff * bessel / (2.0 * math.pi * radius)
    values[side // 2, side // 2] = cutoff**2 / (4.0 * math.pi)
    return np.asarray(values / values.sum(), np.float32)


def filtered(values: torch.Tensor, kernels: list[Floats]) -> torch.Tensor:
    """[T, 3, h, w], each frame with its own kernel; what is beyond the border is as at the border."""
    found = []
    for frame, each in zip(values, kernels, strict=True):
        half = len(each) // 2
        padded = functional.pad(frame[:, None], (half, half, half, half), mode="replicate")
        found.append(functional.conv2d(padded, torch.from_numpy(each)[None, None])[:, 0])
    return torch.stack(found)


def _kernels(count: int, time: int, chance: np.random.Generator) -> list[Floats]:
    names = [(name, even) for name in KERNELS for even in (True, False)]
    odds = [each for pair in KERNELS.values() for each in pair]
    found = []
    for _ in range(count):
        if chance.random() < RINGING:
            found.append(_ringing(chance))
            continue
        name, even = names[int(chance.choice(len(names), p=odds))]
        first, second = chance.uniform(*SIGMAS[time], 2)
        low, high = SHAPES[name]
        # Half of the exponents are below 1, where there are any.
        shape = chance.uniform(low, 1.0) if low < 1.0 and chance.random() < 0.5 else chance.uniform(1.0, high)
        turn = 0.0 if even else chance.uniform(-math.pi, math.pi)
        found.append(kernel(name, _side(chance), (first, first if even else second), turn, shape))
    return found


def _side(chance: np.random.Generator) -> int:
    return int(chance.integers(SIDES[0] // 2, SIDES[1] // 2 + 1)) * 2 + 1


def _ringing(chance: np.random.Generator) -> Floats:
    side = _side(chance)
    return ringing_kernel(side, float(chance.uniform(math.pi / 3.0 if side < 13 else math.pi / 5.0, math.pi)))


def _nothing() -> Floats:
    return np.ones((1, 1), np.float32)


def _resized(
    values: torch.Tensor, size: int, factors: tuple[float, float], time: int, chance: np.random.Generator
) -> torch.Tensor:
    """To `size` times a factor by chance."""
    larger, smaller = RESIZED[time]
    drawn = chance.random()
    factor = 1.0
    if drawn < larger:
        factor = chance.uniform(1.0, max(factors[1], 1.0))
    elif drawn < larger + smaller:
        factor = chance.uniform(min(factors[0], 1.0), 1.0)
    return _scaled(values, max(round(size * factor), 1), chance)


def _scaled(values: torch.Tensor, side: int, chance: np.random.Generator) -> torch.Tensor:
    way = WAYS[int(chance.integers(len(WAYS)))]
    return functional.interpolate(values, (side, side), mode=way, align_corners=None if way == "area" else False)


def _noisy(
    values: torch.Tensor, deviations: tuple[float, float], time: int, chance: np.random.Generator
) -> torch.Tensor:
    normal = chance.random() < NORMAL_NOISE
    found = []
    for frame in values.clamp(0.0, 1.0).numpy():
        grey = chance.random() < GREY_NOISE
        seen = frame.mean(0, keepdims=True) if grey else frame
        if normal:
            noise = chance.standard_normal(seen.shape) * (chance.uniform(*deviations) / 255.0)
        else:
            levels = 2.0 ** math.ceil(math.log2(len(np.unique((seen * 255.0).round()))))
            noise = (chance.poisson(seen * levels) / levels - seen) * chance.uniform(*COUNTED[time])
        found.append((frame + noise).clip(0.0, 1.0).astype(np.float32))
    return torch.from_numpy(np.stack(found))


def _compressed(values: torch.Tensor, quality: tuple[int, int], chance: np.random.Generator) -> torch.Tensor:
    found = []
    for frame in (values.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1).numpy():
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=int(chance.integers(quality[0], quality[1] + 1)))
        found.append(np.asarray(Image.open(stream).convert("RGB"), np.float32) / 255.0)
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)
