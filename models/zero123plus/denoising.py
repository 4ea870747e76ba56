"""The loop from noise to the latents of the sheet, two passes a step, with classifier-free guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from models.zero123plus.conditioning import Condition
from models.zero123plus.reference import ReferenceAttention, connected
from models.zero123plus.scheduler import Schedule

GUIDANCE = 4.0

Draw = Callable[[tuple[int, ...]], Tensor]
"""Shape → standard normal numbers, float32. Each photo has its own, so that none depends on the others."""

Progress = Callable[[int, int], None]
"""Is told (steps done, steps) before each step and at the end. An exception it raises ends the run."""


def drawn_from(generator: torch.Generator) -> Draw:
    """Drawn in float32 where the generator is; on the CPU a seed means the same on every device."""

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float32, device=generator.device)

    return draw


def denoise(
    unet: Any,
    conditions: Sequence[Condition],
    draws: Sequence[Draw],
    shape: tuple[int, int, int],
    schedule: Schedule,
    guidance: float = GUIDANCE,
    progress: Progress | None = None,
    rows: int | None = None,
) -> Tensor:
    """From noise to latents [n, channels, h, w], float32, on the device of the UNet.

    Of each photo's numbers the first are the beginning of its sheet; then, in each step, those for its two references
    and those for its sheet, whatever the guidance, and in the last step too.

    Args:
        conditions, draws: of n photos.
        shape: of the latents of one sheet.
        guidance: v = unconditional + guidance · (conditional − unconditional). At 1 the unconditional half is left out.
        rows: how many rows the UNet sees at once, two for each photo with guidance and one without; None: all. Fewer
            take less memory, and the result is the same up to rounding.

    Raises:
        ValueError: guidance below 1, rows below 1, or not one draw per condition.
    """
    if not guidance >= 1.0:
        raise ValueError(f"guidance begins at 1, which turns it off; it cannot be {guidance}")
    if rows is not None and rows < 1:
        raise ValueError(f"the network needs at least one row at once, not {rows}")
    if not conditions or len(conditions) != len(draws):
        raise ValueError(f"{len(conditions)} conditions need as many sources of noise, not {len(draws)}")
    parameter = next(unet.parameters())
    halves = (1,) if guidance == 1.0 else (0, 1)
    # Rows: the unconditional halves of all photos, then the conditional ones.
    embeddings, references = (
        torch.stack([part[half] for half in halves for part in parts])
        for parts in ([each.embeddings for each in conditions], [each.references for each in conditions])
    )
    embeddings = embeddings.to(parameter.device, parameter.dtype)
    references = references.to(parameter.device)

    def normal(extent: tuple[int, ...]) -> Tensor:
        return torch.stack([draw(extent).to(parameter.device) for draw in draws])

    latents = schedule.begun(normal(shape))
    with connected(unet) as attention:
        for index in range(len(schedule)):
            if progress is not None:
                progress(index, len(schedule))
            noise = normal(tuple(conditions[0].references.shape)).transpose(0, 1)[list(halves)].flatten(0, 1)
            looked_at = schedule.noised(references, noise, index)
            sample = schedule.scaled(latents, index).repeat(len(halves), 1, 1, 1)
            timestep = schedule.timesteps[index].to(parameter.device)
            v = _passes(attention, looked_at, sample, timestep, embeddings, rows or len(sample))
            if len(halves) == 2:
                unconditional, conditional = v.chunk(2)
                v = unconditional + guidance * (conditional - unconditional)
            latents = schedule.step(latents, v, normal(shape), index)
    if progress is not None:
        progress(len(schedule), len(schedule))
    return latents


def _passes(
    attention: ReferenceAttention, references: Tensor, samples: Tensor, timestep: Tensor, embeddings: Tensor, rows: int
) -> Tensor:
    """Both passes of one step, as many rows at a time as are allowed → v of all rows, float32."""
    found = []
    dtype = embeddings.dtype
    for reference, sample, embedding in zip(
        *(torch.split(each, rows) for each in (references, samples, embeddings)), strict=True
    ):
        attention.look(reference.to(dtype), timestep, embedding)
        found.append(attention.predict(sample.to(dtype), timestep, embedding).float())
    return torch.cat(found)
