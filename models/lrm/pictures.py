"""Whole views of a density field: orbit videos and previews."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.lrm.cameras import LENS, camera_rays
from models.lrm.fields import DensityField
from models.lrm.occupancy import OccupiedSpace
from models.lrm.volume import Occupied, Rendered, render_rays


def view(
    field: DensityField,
    pose: Tensor,
    size: int,
    samples: int,
    *,
    intrinsics: Tensor = LENS,
    background: float = 1.0,
    occupied: Occupied | None = None,
) -> Rendered:
    """A square view: colour [size, size, 3], depth and weight [size, size].

    Args:
        pose: [4, 4].
        size: side in pixels.
        samples, background, occupied: see `volume.render_rays`.
        intrinsics: [3, 3].
    """
    device = field.planes.device
    origins, directions = (each[0] for each in camera_rays(pose[None].to(device), intrinsics.to(device), size, size))
    seen = render_rays(field, origins, directions, samples, background=background, chunk=field.chunk, occupied=occupied)
    return Rendered(*(each.view(size, size, *each.shape[1:]) for each in seen))


def film(field: DensityField, poses: Tensor, size: int, samples: int, background: float = 1.0) -> Iterator[Tensor]:
    """Pictures uint8 [size, size, 3] on the CPU, one for each of the poses [V, 4, 4], as they are ready.

    Space that the object leaves empty is found once and skipped. A picture differs from a `view` by the floor of
    `occupancy` and what follows from it, less than two steps of a colour.
    """
    space = OccupiedSpace.of(field)
    for pose in poses:
        yield shown(view(field, pose, size, samples, background=background, occupied=space).colour)


def shown(colour: Tensor) -> Tensor:
    """Colours, which may leave 0 … 1 a little, as they are shown: uint8, on the CPU."""
    return (colour.clamp(0.0, 1.0) * 255).round().to(torch.uint8).cpu()
