"""An instance's latents become triangles: the one place that says where, how finely and how safely to look.

MIDI's instances live in one frame of about -1 … 1, and each fills a part of it only. So there are two looks: the first
finds the instance's box, the second spends the whole resolution on that box. Both are coarse to fine
(`models.isosurface`), on float32 coordinates whatever the network computes in, and ask one context of the latents.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.isosurface import Bounds, Field, Triangles, surface
from models.isosurface.sampling import Report
from models.midi.vae import QUERY_CHUNK, MidiVae

BOUNDS = Bounds.of(-1.005, 1.005)
"""Where instances can be; the published code looks at the same box."""

RESOLUTION = 257
PASSES = 2
COARSE = 65
MARGIN = 1.25
"""Lattice of the first evaluation, and safety factor: see `isosurface.surface`. A margin of 2 found nothing more and
cost a third more points; docs/benchmarks.md says what these settings take."""


def decode(
    vae: MidiVae,
    latents: Tensor,
    resolution: int = RESOLUTION,
    *,
    device: torch.device | None = None,
    chunk: int = QUERY_CHUNK,
    progress: Report | None = None,
) -> Triangles:
    """The surface of one instance, in the common frame of all instances (y up).

    Args:
        vae: where the network runs, and in which precision, is its own matter.
        latents: [tokens, channels] of one instance.
        resolution: lattice points along each axis of the instance's own box; 129, 257 and 513 are best.
        device: where the lattice is kept; None: see `lattice_device`.
        chunk: points that the network is asked for at once; the memory that decoding needs grows with it.
        progress: is told the fraction of the points done, 0 to 1, never falling; an exception from it ends the work.

    Raises:
        EmptySurface: the instance has no surface; it is to be left out of the scene.
        FieldError: the network gave values that are not finite.
        ValueError: the resolution or the chunk is out of range.
    """
    device = device or lattice_device(vae)
    return field_surface(vae.field(latents, chunk), resolution, device=device, chunk=chunk, progress=progress)


def lattice_device(vae: MidiVae) -> torch.device:
    """With the network; but on the CPU if that is on MPS, which has no float64 to calibrate slopes in."""
    device = vae.post_quant.weight.device
    return torch.device("cpu") if device.type == "mps" else device


def field_surface(
    field: Field,
    resolution: int = RESOLUTION,
    *,
    device: torch.device | None = None,
    chunk: int = QUERY_CHUNK,
    progress: Report | None = None,
) -> Triangles:
    """`decode` for any field: points [P, 3] → P values, negative inside. Arguments and errors are the same."""
    return surface(
        field,
        BOUNDS,
        resolution,
        passes=PASSES,
        coarse=min(COARSE, resolution // 2 + 1),
        margin=MARGIN,
        chunk=chunk,
        device=device,
        progress=progress,
    )
