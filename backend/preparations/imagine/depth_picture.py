"""Planar depth as the picture that depth ControlNets were trained on, and the sizes they work at.

Their training pictures are MiDaS estimates: inverse depth, stretched linearly to 0..1 for each picture on its own, near
is white (model cards of diffusers/controlnet-depth-sdxl-1.0 and lllyasviel/control_v11f1p_sd15_depth).
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Sample = TypeVar("Sample", np.float32, np.uint8)

STEP = 8
"""Pixels that one latent pixel stands for: the working size is a multiple."""

OUTLIERS = 0.5
"""Percent of the pixels at either end that do not count for the range, as a leaf before the lens."""

GAP = 0.25
"""How far, in parts of the range, nothing lies behind the farthest thing, so that its outline can be seen."""


def working_size(size: tuple[int, int], native: int, step: int = STEP) -> tuple[int, int]:
    """The size to paint at.

    Args:
        size: (width, height) of the shot.
        native: side of the squares that the model was trained on.

    Returns:
        (width, height), multiples of `step`, as many pixels as a native square and of the shot's shape, each as nearly
        as the multiples allow.
    """
    width, height = size
    scale = native / math.sqrt(width * height)
    return max(round(width * scale / step), 1) * step, max(round(height * scale / step), 1) * step


def depth_picture(depth: Floats, size: tuple[int, int]) -> Floats:
    """The control picture.

    Args:
        depth: HxW planar metres, NaN where nothing is seen.
        size: (width, height) of the result, which shows the same frame.

    Returns:
        height x width x 3 float32, 0 (far, or nothing) to 1 (near), channels equal. It does not change when the whole
        world is scaled.

    Raises:
        ValueError: nothing is seen at all.
    """
    seen = np.isfinite(depth) & (depth > 0)
    if not seen.any():
        raise ValueError("nothing is seen in this depth")
    inverse = np.zeros(depth.shape, dtype=np.float64)
    inverse[seen] = 1.0 / depth[seen].astype(np.float64)
    far, near = np.percentile(inverse[seen], (OUTLIERS, 100 - OUTLIERS))
    if not seen.all():
        far = max(far - GAP * (near - far), 0.0)
    if near - far <= 1e-6 * near:  # all at one distance
        far = 0.0
    stretched = np.where(seen, np.clip((inverse - far) / (near - far), 0.0, 1.0), 0.0).astype(np.float32)
    return np.repeat(resized(stretched, size)[..., None], 3, axis=2)


def resized(picture: NDArray[Sample], size: tuple[int, int]) -> NDArray[Sample]:
    """A picture of one (float32) or three channels (uint8) at another (width, height), corner on corner.

    Each new pixel is the mean of what it covers when the picture shrinks, and in between when it grows. So an edge
    stays where it is: no half pixel is lost on the way to the working size and back.
    """
    kind = Image.Resampling.BILINEAR if picture.ndim == 2 else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(size, kind), dtype=picture.dtype)
