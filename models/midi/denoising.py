"""The loop from noise to latents, with classifier-free guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.midi.conditioning import Conditions
from models.midi.scheduler import Schedule
from models.midi.transformer import Context, MidiTransformer, instance_groups
from models.midi.windows import Windows

Progress = Callable[[int, int], None]
"""Is told (steps done, steps) before each step and at the end. An exception it raises ends the run."""


@dataclass(frozen=True)
class Guidance:
    """How strongly the conditions lead: velocity = unconditional + scale · (conditional − unconditional).

    scale: 1 or less leaves the unconditional half out.
    interval: the part of the run, 0 … 1 from noise to data, in which guidance works. Outside, only the conditional
        half is computed.
    one_batch: both halves at once; one after the other needs half the memory and gives the same result.
    """

    scale: float = 7.0
    interval: tuple[float, float] = (0.0, 1.0)
    one_batch: bool = True

    def works_at(self, done: float) -> bool:
        """Whether the step that begins at this fraction of the run is guided."""
        return self.scale > 1.0 and self.interval[0] <= done < self.interval[1]


GUIDANCE = Guidance()


def denoise(
    transformer: MidiTransformer,
    conditions: Conditions,
    noise: Tensor,
    schedule: Schedule,
    guidance: Guidance = GUIDANCE,
    groups: tuple[int, ...] | None = None,
    progress: Progress | None = None,
    windows: Windows | None = None,
) -> Tensor:
    """Follows the flow from noise to latents, on the device of the transformer.

    Args:
        conditions: of n instances.
        noise: [n, tokens, channels], standard normal.
        groups: sizes of the runs of rows that form a scene, summing to n; None: all rows are one scene.
        windows: of one scene: the rows that are computed together, one pass after the other; see `windows.py`. None:
            all at once.

    Returns:
        [n, tokens, channels] float32; the latents are float32 throughout, whatever the network computes in.
    """
    device = transformer.proj_in.weight.device
    if windows is not None and groups is not None:
        raise ValueError("windows are of one scene, groups are several")
    passes = []
    for window in windows or (tuple(range(len(noise))),):
        rows = torch.tensor(window)
        context = transformer.context(conditions.clip[rows].to(device), conditions.dino[rows].to(device))
        passes.append(_Pass(rows.to(device), context, groups or instance_groups(len(rows), len(rows))))
    latents = noise.to(device=device, dtype=torch.float32)
    for index in range(len(schedule)):
        if progress is not None:
            progress(index, len(schedule))
        guided = guidance if guidance.works_at(index / len(schedule)) else None
        velocity = _mean_velocity(transformer, latents, schedule.timesteps[index].to(device), passes, guided)
        latents = schedule.step(latents, velocity, index)
    if progress is not None:
        progress(len(schedule), len(schedule))
    return latents


@dataclass(frozen=True)
class _Pass:
    """Rows of the batch that go through the network together, what they are told, and the scenes among them."""

    rows: Tensor
    context: Context
    groups: tuple[int, ...]


def _mean_velocity(
    transformer: MidiTransformer, latents: Tensor, timestep: Tensor, passes: list[_Pass], guidance: Guidance | None
) -> Tensor:
    """Of every row the mean over the passes it is in, [n, tokens, channels] float32."""
    total = torch.zeros_like(latents)
    times = torch.zeros(len(latents), 1, 1, device=latents.device)
    for each in passes:
        some, time = latents[each.rows], timestep.expand(len(each.rows))
        if guidance is None:
            velocity = transformer(some, time, each.context, each.groups).float()
        else:
            velocity = _guided(transformer, some, time, each.context, each.groups, guidance)
        total[each.rows] += velocity
        times[each.rows] += 1
    return total / times


def _guided(
    transformer: MidiTransformer,
    latents: Tensor,
    time: Tensor,
    context: Context,
    groups: tuple[int, ...],
    guidance: Guidance,
) -> Tensor:
    """The unconditional rows come first and have no context."""
    if guidance.one_batch:
        both = transformer(latents.repeat(2, 1, 1), time.repeat(2), context, groups * 2).float()
        unconditional, conditional = both.chunk(2)
    else:
        unconditional = transformer(latents, time, None, groups).float()
        conditional = transformer(latents, time, context, groups).float()
    velocity: Tensor = unconditional + guidance.scale * (conditional - unconditional)
    return velocity
