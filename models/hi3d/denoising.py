"""The loop from noise to the latents of all frames, with guidance of each frame its own.

    guided = unconditional + scale · (conditional − unconditional)

The unconditional half knows neither the picture nor what is concatenated, but the same vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from models.hi3d.frugal import WHOLE, Frugality, set_pieces
from models.hi3d.schedule import STEPS, Schedule, blend_weight, blended, guidance_scales
from models.hi3d.unet import predict

INTERVAL = (0.4, 0.92)
"""Of `Guidance.interval`: of 25 steps the 13 with sigmas from 35 to 0.025. Before, nothing but the mean of all pictures
is decided, and after, nothing that is seen."""


@dataclass(frozen=True)
class Guidance:
    """How strongly the picture leads.

    Attributes:
        largest: of the scales; None: as published for the stage. The smallest is 1.
        triangular: see `guidance_scales`. Published: False.
        interval: the part of the steps, 0 … 1 from noise to data, in which frames are guided; outside, the
            unconditional half is not computed (Kynkäänniemi et al., arXiv 2404.07724). None, as published: everywhere.
            `INTERVAL` takes three quarters of the work; what it changes is in docs/benchmarks.md.
    """

    largest: float | None = None
    triangular: bool = False
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.largest is not None and not self.largest >= 1.0:
            raise ValueError(f"guidance begins at 1, which turns it off; it cannot be {self.largest}")
        if self.interval is not None and not 0.0 <= self.interval[0] <= self.interval[1] <= 1.0:
            raise ValueError(f"an interval is a part of the steps, 0 … 1, not {self.interval}")

    def works_at(self, done: float) -> bool:
        """Whether the step that begins at this fraction of the run is guided."""
        return self.interval is None or self.interval[0] <= done < self.interval[1]


PUBLISHED = Guidance()


@dataclass(frozen=True)
class Conditions:
    """What the network is told of one clip, float32.

    Attributes:
        token: [1, width] of the picture.
        vector: [length].
        concat: [T, channels, h, w]: what is known of each frame.
        noise: [T, latent channels, h, w], standard normal: the beginning.
        frames: [T, latent channels, h, w], scaled latents that stage 2 returns to; None in stage 1.
        colours: [1 + latent channels, 3]: scaled latents → colours −1 … 1, roughly, for previews.
    """

    token: Tensor
    vector: Tensor
    concat: Tensor
    noise: Tensor
    frames: Tensor | None = None
    colours: Tensor | None = None

    def to(self, device: torch.device | str) -> Conditions:
        """The same on a device."""
        return replace(self, **{name: each.to(device) for name, each in vars(self).items() if each is not None})


@dataclass(frozen=True)
class State:
    """Where a run is.

    Attributes:
        done: steps that are done.
        steps: of the whole run.
        latents: [T, channels, h, w] float32, the sample.
        data: of the same shape: what the last step took the sample to be; to look at. None before the first step.
    """

    done: int
    steps: int
    latents: Tensor
    data: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """What has to be kept to go on from here, on the CPU; `from_tensors` reads it."""
        return {"progress": torch.tensor([self.done, self.steps]), "latents": self.latents.detach().cpu()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> State:
        """What `tensors` gave.

        Raises:
            ValueError: something is missing.
        """
        try:
            done, steps = tensors["progress"].tolist()
            return cls(int(done), int(steps), tensors["latents"])
        except (KeyError, ValueError) as error:
            raise ValueError(f"this is no state of a run of Hi3D: {error!r}") from error


Callback = Callable[[State], None]
"""Is told the state before the first step and after each. An exception it raises ends the run."""


@dataclass(frozen=True)
class Run:
    """The settings of a run; the defaults are as published.

    steps: of the schedule. largest: scale of the most guided frame where `guidance` names none.
    """

    largest: float
    steps: int = STEPS
    guidance: Guidance = PUBLISHED
    frugality: Frugality = WHOLE
    callback: Callback | None = None


def denoise(unet: Any, conditions: Conditions, run: Run, start: State | None = None) -> Tensor:
    """From noise to scaled latents [T, channels, h, w], float32, on the device of the network.

    Args:
        unet: see `unet.as_published`.
        start: goes on from here, with the same conditions and settings; None: from the beginning.

    Raises:
        ValueError: the state is of another run.
    """
    device = next(unet.parameters()).device
    told = conditions.to(device)
    schedule, guidance = Schedule(run.steps), run.guidance
    if start is None:
        start = State(0, run.steps, schedule.begun(told.noise))
    elif start.steps != run.steps or start.latents.shape != told.noise.shape or start.done > run.steps:
        raise ValueError("the state is of a run with other steps or of another size; begin again")
    largest = guidance.largest or run.largest
    scales = guidance_scales(len(told.noise), largest, triangular=guidance.triangular).to(device)[:, None, None, None]
    latents = start.latents.to(device)
    set_pieces(unet, run.frugality)
    if run.callback is not None:
        run.callback(start)
    for index in range(start.done, run.steps):
        if told.frames is not None:
            weight = blend_weight(index, run.steps)
            latents = blended(latents, told.frames, told.noise, float(schedule.sigmas[index]), weight)
        seen, time = schedule.scaled(latents, index), schedule.timesteps[index].to(device)
        if guidance.works_at(index / run.steps):
            unconditional, conditional = both_halves(unet, seen, time, told, run.frugality.one_batch)
            prediction = unconditional + scales * (conditional - unconditional)
        else:
            prediction = one_half(unet, seen, time, told, True)
        data = schedule.denoised(latents, prediction, index)
        latents = schedule.step(latents, data, index)
        if run.callback is not None:
            run.callback(State(index + 1, run.steps, latents, data))
    return latents


def both_halves(unet: Any, seen: Tensor, time: Tensor, told: Conditions, one_batch: bool) -> tuple[Tensor, Tensor]:
    """v of the unconditional and of the conditional half, [T, channels, h, w] each. `seen`: the scaled sample."""
    if not one_batch:
        return one_half(unet, seen, time, told, False), one_half(unet, seen, time, told, True)
    halves = zip(_inputs(seen, told, False), _inputs(seen, told, True), strict=True)
    sample, token, vector = (torch.cat(pair) for pair in halves)
    unconditional, conditional = predict(unet, sample, time, token, vector)
    return unconditional, conditional


def one_half(unet: Any, seen: Tensor, time: Tensor, told: Conditions, known: bool) -> Tensor:
    """v of one half, [T, channels, h, w]. known: the conditional one."""
    sample, token, vector = _inputs(seen, told, known)
    return predict(unet, sample, time, token, vector)[0]


def _inputs(seen: Tensor, told: Conditions, known: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Sample [1, T, channels, h, w], token [1, 1, width] and vector [1, length] of one half."""
    concat, token = (each if known else torch.zeros_like(each) for each in (told.concat, told.token))
    return torch.cat([seen, concat], dim=1)[None], token[None], told.vector[None]
