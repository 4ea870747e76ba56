"""nvdiffrast in place of the rasteriser of this package, where the user has installed it and draws on an NVIDIA card.

It is not among this project's dependencies: it is compiled on the user's machine, and its licence forbids commercial
use. Its pictures have their first row below; its weights are those of a triangle's first two corners, perspective
undone; triangles are numbered from 1 (https://nvlabs.github.io/nvdiffrast, "Rasterization").
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.rendering.rasteriser import Hits

MODULE = "nvdiffrast.torch"


def is_there(device: torch.device) -> bool:
    """Whether pictures on a device can be drawn by nvdiffrast."""
    return device.type == "cuda" and importlib.util.find_spec(MODULE.split(".")[0]) is not None


@dataclass(frozen=True)
class Antialiasing:
    """What nvdiffrast needs to follow silhouettes; stands in for `silhouettes.Silhouettes`."""

    clip: Tensor
    faces: Tensor
    seen: Tensor

    def blended(self, picture: Tensor) -> Tensor:
        """A picture `[H, W, *]` of the mesh with its silhouettes followed."""
        flat = picture.reshape(*picture.shape[:2], -1).float().flip(0)[None].contiguous()
        found: Tensor = _library().antialias(flat, self.seen, self.clip[None], self.faces)
        return found[0].flip(0).reshape(picture.shape).to(picture.dtype)


def rasterised(clip: Tensor, faces: Tensor, width: int, height: int) -> tuple[Hits, Antialiasing]:
    """As `rasterise` and `followed` and `silhouettes` together.

    Args:
        clip: `[V, 4]` clip coordinates on an NVIDIA card; gradients come to them. faces: `[F, 3]`.
        width, height: of the picture, pixels.
    """
    clip, faces = clip.float().contiguous(), faces.to(clip.device, torch.int32).contiguous()
    seen, _ = _library().rasterize(_context(clip.device), clip[None], faces, (height, width), grad_db=False)
    rows = seen[0].flip(0).reshape(height * width, 4)
    pixel = (rows[:, 3] > 0).nonzero()[:, 0]
    first, second, depth, number = rows.index_select(0, pixel).unbind(1)
    weights = torch.stack([first, second, 1 - first - second], dim=1)
    hits = Hits(width, height, pixel, number.long() - 1, weights, (1 + depth) / 2)
    return hits, Antialiasing(clip, faces, seen)


def _library() -> Any:
    return importlib.import_module(MODULE)


@functools.cache
def _context(device: torch.device) -> Any:
    """One per device: making it takes longer than a picture."""
    return _library().RasterizeCudaContext(device=device)
