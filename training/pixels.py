"""Pictures of a data set, brought to the size that is trained on."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.config import DataError


def premultiplied(picture: NDArray[Any], longest: int) -> NDArray[np.uint8]:
    """An RGB or RGBA picture of 8 or 16 bits → [H, W, 4] uint8, colours times alpha, no longer than `longest`.

    Raises:
        DataError: it is another kind of picture.
    """
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"a picture has the shape {list(picture.shape)} and the type {picture.dtype}; "
            "RGB or RGBA with 8 or 16 bits is expected"
        )
    values = picture.astype(np.float32) / np.iinfo(picture.dtype).max
    alpha = values[..., 3:] if values.shape[2] == 4 else np.ones_like(values[..., :1])
    both = np.concatenate([values[..., :3] * alpha, alpha], axis=2)
    height, width = both.shape[:2]
    if max(height, width) > longest:
        ratio = longest / max(height, width)
        size = max(round(width * ratio), 1), max(round(height * ratio), 1)
        both = resampled(both, (0.0, 0.0, float(width), float(height)), size)
    return np.round(both.clip(0.0, 1.0) * 255.0).astype(np.uint8)


def resampled(
    picture: NDArray[Any], box: tuple[float, float, float, float], size: tuple[int, int]
) -> NDArray[np.float32]:
    """A part of a picture at another size, smoothed where it shrinks; nothing (0) is beyond its border.

    Args:
        picture: [H, W, C], uint8 (read as 0 … 1) or float32.
        box: left, top, right, bottom in pixels; may reach beyond.
        size: width and height of the result.
    """
    height, width = picture.shape[:2]
    # A pixel or two around the part take part in the smoothing; nothing is laid around where the part ends at a border.
    low = [math.floor(each) if each < 0 else max(math.floor(each) - 2, 0) for each in box[:2]]
    high = [
        math.ceil(each) if each > end else min(math.ceil(each) + 2, end)
        for each, end in zip(box[2:], (width, height), strict=True)
    ]
    left, right = np.clip((low[0], high[0]), 0, width)
    top, bottom = np.clip((low[1], high[1]), 0, height)
    if left >= right or top >= bottom:
        return np.zeros((size[1], size[0], picture.shape[2]), np.float32)
    part = picture[top:bottom, left:right]
    values = part.astype(np.float32) / 255.0 if part.dtype == np.uint8 else part
    values = np.pad(values, ((top - low[1], high[1] - bottom), (left - low[0], high[0] - right), (0, 0)))
    place = (box[0] - low[0], box[1] - low[1], box[2] - low[0], box[3] - low[1])
    channels = [
        np.asarray(Image.fromarray(np.ascontiguousarray(channel)).resize(size, Image.Resampling.BILINEAR, box=place))
        for channel in np.moveaxis(values, 2, 0)
    ]
    return np.stack(channels, axis=2)


def png(picture: NDArray[np.uint8]) -> bytes:
    """A file of [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()
