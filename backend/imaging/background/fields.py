"""Colours and covers as fields over a picture: resized, compared from pixel to pixel, continued to where unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]

BLOCKS = 4
"""Blocks of pixels to a sigma: a broad Gaussian is sampled no finer."""


def scaled(colours: Pixels, longest: int) -> Pixels:
    """The picture with its longer side of a certain length."""
    height, width = colours.shape[:2]
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(colours)).resize(size, kind))


def enlarged(values: Floats, shape: tuple[int, ...]) -> Floats:
    """HxW at the size of `shape`, bilinear."""
    if values.shape == shape[:2]:
        return values
    size = shape[1], shape[0]
    image = Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    enlarged: Floats = np.asarray(image, dtype=np.float32)
    return enlarged


def to_lab(colours: Pixels) -> Floats:
    from skimage.color import rgb2lab

    lab: Floats = rgb2lab(colours.astype(np.float32) / 255)
    return lab


def change_of(lab: Floats) -> Floats:
    """How much the colour changes from one pixel to the next, HxW."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(lab, (0.7, 0.7, 0))
    change: Floats = np.sqrt(sum(((ndimage.sobel(smooth, axis=axis) / 8) ** 2).sum(axis=-1) for axis in (0, 1)))
    return change


def spread_out(values: Floats, known: Mask) -> Floats:
    """Values HxWxC where known, and smoothly continued elsewhere: fine means near what is known, coarse ones far."""
    result: Floats | None = None
    for sigma in (64, 32, 16, 8, 4):
        mean, weight = _mean_around(values, known, sigma)
        trust = np.clip(weight / 0.05, 0, 1)
        result = mean if result is None else result + (mean - result) * trust
    assert result is not None
    return result


def nearby(values: Floats, known: Mask, sigma: float) -> Floats:
    """Mean of the known values around each pixel, HxWxC; the pixel's own value where none is near."""
    mean, weight = _mean_around(values, known, sigma)
    near: Floats = np.where(weight > 1e-4, mean, values)
    return near


def _mean_around(values: Floats, known: Mask, sigma: float) -> tuple[Floats, Floats]:
    """Gaussian mean of the known values HxWxC around each pixel, and the weight HxWx1 of what is known there."""
    weighted = np.concatenate([np.where(known[..., None], values, 0), known[..., None]], axis=-1, dtype=np.float32)
    soft = _softened(weighted, sigma)
    weight = soft[..., -1:]
    return soft[..., :-1] / np.maximum(weight, 1e-12), weight


def _softened(values: Floats, sigma: float) -> Floats:
    """HxWxC float32 under a Gaussian. A broad one is laid over blocks of pixels: nobody sees the difference, but the
    time, which grows with the sum of all sigmas otherwise, stays that of the smallest."""
    from scipy import ndimage

    step = int(sigma // BLOCKS)
    if step < 2:
        whole: Floats = ndimage.gaussian_filter(values, (sigma, sigma, 0), mode="nearest")
        return whole
    height, width, channels = values.shape
    padded = np.pad(values, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge")
    rows, columns = (side // step for side in padded.shape[:2])
    blocks = padded.reshape(rows, step, columns, step, channels).mean(axis=(1, 3))
    # Blocks and the way back between their centres blur, too: together a quarter of a block's square.
    rest = np.sqrt((sigma / step) ** 2 - 0.25)
    soft = ndimage.gaussian_filter(blocks, (rest, rest, 0), mode="nearest")
    back = [enlarged(soft[..., channel], padded.shape)[:height, :width] for channel in range(channels)]
    return np.stack(back, axis=-1)
