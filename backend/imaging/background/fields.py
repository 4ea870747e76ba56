"""Colours and covers as fields over a picture: resized, compared from pixel to pixel, continued to where unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]


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
    from scipy import ndimage

    result: Floats | None = None
    filled = np.where(known[..., None], values, 0.0)
    for sigma in (64, 32, 16, 8, 4):
        weight = ndimage.gaussian_filter(known.astype(np.float64), sigma, mode="nearest")
        mean = ndimage.gaussian_filter(filled, (sigma, sigma, 0), mode="nearest")
        mean /= np.maximum(weight, 1e-12)[..., None]
        trust = np.clip(weight / 0.05, 0, 1)[..., None]
        result = mean if result is None else result + (mean - result) * trust
    assert result is not None
    return result


def nearby(values: Floats, known: Mask, sigma: float) -> Floats:
    """Mean of the known values around each pixel, HxWxC; the pixel's own value where none is near."""
    from scipy import ndimage

    weight = ndimage.gaussian_filter(known.astype(values.dtype), sigma)[..., None]
    mean = ndimage.gaussian_filter(np.where(known[..., None], values, 0), (sigma, sigma, 0))
    near: Floats = np.where(weight > 1e-4, mean / np.maximum(weight, 1e-12), values)
    return near
