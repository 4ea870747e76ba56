"""From a picture to what the networks are given, and from what they give to frames.

Arrays are numpy, rows downwards. Pictures are uint8 RGB [H, W, 3] or float32 0 … 1 of the same shape; what networks see
is −1 … 1, [3, H, W]. Resizing is bilinear between the middles of pixels and without a filter, as OpenCV's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from models.image_processor import Pixels

WHITE = 255


def on_white(picture: Pixels) -> Pixels:
    """A picture with opacity [H, W, 4] laid on white [H, W, 3]."""
    ground = Image.new("RGB", (picture.shape[1], picture.shape[0]), (WHITE, WHITE, WHITE))
    shown = Image.fromarray(picture)
    ground.paste(shown, mask=shown.getchannel("A"))
    return np.asarray(ground)


def resized(picture: Pixels, height: int, width: int) -> Pixels:
    """uint8 [H, W, 3] → uint8 [height, width, 3], rounded."""
    planes = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    planes = functional.interpolate(planes, (height, width), mode="bilinear", align_corners=False)
    return planes[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def covering(picture: Pixels, size: int) -> Pixels:
    """Scaled so that it just covers a square of `size`, sides rounded up: what stage 1 cuts its square from."""
    height, width = picture.shape[:2]
    factor = max(size / height, size / width)
    return resized(picture, math.ceil(height * factor), math.ceil(width * factor))


def middle_square(picture: Pixels, size: int) -> Pixels:
    """The square of `size` in the middle of `covering`: stage 1's view of a picture that is not square."""
    covered = covering(picture, size)
    top, left = (round((extent - size) / 2.0) for extent in covered.shape[:2])
    return covered[top : top + size, left : left + size]


def as_input(picture: NDArray[Any]) -> Tensor:
    """A picture → [3, H, W], float32, −1 … 1.

    Raises:
        ValueError: no picture of three colours, or values out of range.
    """
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"a picture is [H, W, 3], not {list(picture.shape)}; lay opacity on white first")
    if picture.dtype == np.uint8:
        values = torch.from_numpy(picture.astype(np.float32)) / 255.0
    else:
        values = torch.from_numpy(np.array(picture, np.float32))
        if not values.isfinite().all() or values.min() < 0.0 or values.max() > 1.0:
            raise ValueError("colours are 0 … 1 as float, or 0 … 255 as uint8")
    return ((values - 0.5) * 2.0).permute(2, 0, 1).contiguous()


def squared(pictures: Tensor, size: int) -> Tensor:
    """[n, 3, H, W] → [n, 3, size, size], whatever the aspect: stage 2's view of its frames."""
    if pictures.shape[-2:] == (size, size):
        return pictures
    return functional.interpolate(pictures, (size, size), mode="bilinear", align_corners=False)


def as_frames(decoded: Tensor) -> NDArray[np.float32]:
    """−1 … 1, [T, 3, H, W] → frames 0 … 1, [T, H, W, 3].

    Raises:
        FloatingPointError: there are values that are no numbers: the precision was not enough.
    """
    if not decoded.isfinite().all():
        raise FloatingPointError("the frames came out as no numbers; choose a precision of wider range, as bfloat16")
    return (decoded.float() * 0.5 + 0.5).clamp(0.0, 1.0).permute(0, 2, 3, 1).detach().cpu().contiguous().numpy()


def as_pixels(frames: NDArray[np.float32]) -> Pixels:
    """Frames 0 … 1 → uint8 of the same shape, fractions cut off as in the published program."""
    return (frames * np.float32(255.0)).astype(np.uint8)
