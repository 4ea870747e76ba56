"""The picture as the texture of a lens: a tile for the front and one for the back.

Nothing of the background may show, neither at the rim nor in a mip map nor between the tiles. So only pixels that are
certainly the object's own give colour, and every other texel is filled from them: the background is nowhere in the
texture. The same pyramid that fills (`pyramid.py`) blurs the back.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from backend.geometry.lens import Lens
from backend.geometry.pyramid import push_pull

Floats = NDArray[np.float64]
Values = NDArray[np.float32]
Steps = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

MARGIN = 8
"""Texels around each tile, filled with the object's colours, so that small mip levels do not mix the tiles."""

CONTEXT = 6
"""Pixels around the mask's bounds in which the background is looked at."""

THIN_WINDOW = 4
"""Pixels to each side in which a thin part's purest colour is looked for."""

TIP = 11
"""Pixels across in which a tip of what is seen of a hidden thing gives no colour, if there is a purer one."""

CRUMB = 32
"""Pixels: separate parts of what is seen of a hidden thing give no colour if they have fewer, and there are others."""

SOFTNESS = 0.5
"""Blur of the soft back, in texels per texel of distance from the rim."""


def paint(
    image: Pixels,
    mask: Mask,
    lens: Lens,
    size: int,
    back: Literal["soft", "mirror"],
    whole: Mask | None = None,
) -> tuple[Floats, Pixels]:
    """Make a lens's texture from its instance's part of the picture.

    Args:
        image: HxWx4 uint8 sRGB, straight alpha.
        mask: HxW, True where the instance is seen.
        lens: its surface; pixel coordinates count from the upper left corner of the image.
        size: longest side of the texture in texels; a smaller part of the picture is not enlarged.
        back: "soft": the back has a tile of its own, which is the front at the rim and loses detail away from it.
            "mirror": the back shows the front's tile.
        whole: HxW, True where it would be seen if nothing stood before it; `mask` if left out. What is hidden gets
            the colours of what is seen, the nearest most.

    Returns:
        corner_uv: (M, 3, 2), one row per corner of `lens.faces`, glTF's convention: (0, 0) is the texture's upper
            left corner.
        texture: HxWx3 uint8 sRGB.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("the mask is empty")
    whole = mask if whole is None else whole | mask
    left, top, right, bottom = _bounds(whole, lens)
    crop = slice(top, bottom), slice(left, right)
    around = slice(max(top - CONTEXT, 0), bottom + CONTEXT), slice(max(left - CONTEXT, 0), right + CONTEXT)
    within = (
        slice(top - around[0].start, bottom - around[0].start),
        slice(left - around[1].start, right - around[1].start),
    )
    own = own_pixels(image[around], mask[around])
    if whole is not mask:
        own = _apart(own, mask[around], whole[around])
    own = own[within]

    width, height = right - left, bottom - top
    tiles = 2 if back == "soft" else 1
    beside = height > width  # the texture is kept as square as can be
    across, down = (tiles, 1) if beside else (1, tiles)
    margin = min(MARGIN, size // 16)
    room = size // across - 2 * margin, size // down - 2 * margin
    scale = min(1.0, room[0] / width, room[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))

    weights = own.astype(np.float32)
    planes = [np.multiply(image[crop][..., channel], weights, dtype=np.float32) for channel in range(3)]
    sums = np.dstack([resized(plane, inner) for plane in (*planes, weights)])
    sums = np.pad(sums, ((margin, margin), (margin, margin), (0, 0)))
    covered = np.pad(resized(whole[crop].astype(np.float32), inner) > 0.5, margin)
    front, soft = push_pull(sums, _blur_levels(covered))
    parts = [front, soft][:tiles]
    texture = np.concatenate(parts, axis=1 if beside else 0)

    tile_size = np.array([inner[0] + 2 * margin, inner[1] + 2 * margin])
    texels = (lens.pixels - (left, top)) * (inner[0] / width, inner[1] / height) + margin
    corners = texels[lens.faces]
    if tiles == 2:
        axis = 0 if beside else 1
        corners[lens.back_faces, :, axis] += tile_size[axis]
    corner_uv: Floats = corners / (tile_size * (across, down))
    return corner_uv, np.clip(np.rint(texture), 0, 255).astype(np.uint8)


def _bounds(mask: Mask, lens: Lens) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the picture that mask and lens touch."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    low = np.minimum(np.floor(lens.pixels.min(axis=0)), (columns[0], rows[0]))
    high = np.maximum(np.ceil(lens.pixels.max(axis=0)), (columns[-1] + 1, rows[-1] + 1))
    left, top = np.maximum(low, 0).astype(int)
    right, bottom = np.minimum(high, mask.shape[::-1]).astype(int)
    return int(left), int(top), int(right), int(bottom)


def own_pixels(image: Pixels, mask: Mask) -> Mask:
    """HxW, True where a pixel's colour is certainly the object's own.

    The outermost two pixels of a mask may be mixed with what is behind it, by anti-aliasing, lens or compression. They
    are left out; where a part is too thin for that, its middle line stays.
    """
    depth, deepest = _depth(mask)
    own: Mask = mask & (depth == deepest)
    thin = own & (depth == 1)
    if thin.any() and not mask.all():
        own[thin] = _is_pure(image, mask, thin)
    return own


def _depth(mask: Mask) -> tuple[Steps, Steps]:
    """How deep each pixel lies in a mask, HxW: 0 outside, 1 and 2 on its outermost pixels, 3 inside; and the deepest of
    those within two pixels."""
    # The array ends where the picture ends or well outside the mask; nothing mixes in at the picture's end.
    padded = np.pad(mask.astype(np.uint8), 4, mode="edge")
    depth = padded + ndimage.minimum_filter(padded, 3) + ndimage.minimum_filter(padded, 5)
    deepest = ndimage.maximum_filter(depth, 5)
    return depth[4:-4, 4:-4], deepest[4:-4, 4:-4]


def _apart(own: Mask, mask: Mask, whole: Mask) -> Mask:
    """The pixels of `own` without those whose colours may be mixed with those of what stands before the thing: in
    slivers that only this makes thin, in tips where purer ones are near, in what little shows elsewhere. If nothing
    else is seen, all of them."""
    depth = _depth(mask)[0]
    parts = ndimage.label(mask)[0]
    large = np.bincount(parts.ravel()) >= CRUMB
    apart: Mask = own & large[parts] & (depth == _depth(whole)[0]) & (depth == ndimage.maximum_filter(depth, TIP))
    return apart if apart.any() else own


def _is_pure(image: Pixels, mask: Mask, thin: Mask) -> Mask:
    """Which pixels of thin parts, in the order of `thin`, are not mixtures of the background and a purer neighbour.

    A mixture lies on the line from the background's colour to the object's, well short of its end.
    """
    window = 2 * CONTEXT + 1
    outside = (~mask).astype(np.float32)
    total = np.maximum(ndimage.uniform_filter(outside, window)[thin], 1e-6)
    contrast = np.zeros((int(thin.sum()) + 1, 3), dtype=np.float32)  # the last row is for pixels that are not thin
    for channel in range(3):
        behind = ndimage.uniform_filter(image[..., channel] * outside, window)[thin] / total
        contrast[:-1, channel] = image[..., channel][thin] - behind
    length = np.linalg.norm(contrast, axis=1)
    row_of = np.full(np.add(thin.shape, 2 * THIN_WINDOW), -1, dtype=np.int32)
    row_of[THIN_WINDOW:-THIN_WINDOW, THIN_WINDOW:-THIN_WINDOW][thin] = np.arange(len(contrast) - 1)
    rows, columns = np.nonzero(thin)
    pure = np.ones(len(rows), dtype=bool)
    for down in range(2 * THIN_WINDOW + 1):
        for right in range(2 * THIN_WINDOW + 1):
            other = row_of[rows + down, columns + right]
            along = (contrast[:-1] * contrast[other]).sum(axis=1)
            same_way = along > 0.95 * length[:-1] * length[other]
            pure &= ~(same_way & (length[:-1] < 0.85 * length[other]))
    return pure


def resized(values: Values, size: tuple[int, int]) -> Values:
    """Area averages, HxW, at another (width, height)."""
    if (values.shape[1], values.shape[0]) == size:
        return values
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


def _blur_levels(covered: Mask) -> Values:
    """How many times each texel of the soft back is halved, HxW: the logarithm of its blur radius."""
    distance = ndimage.distance_transform_edt(covered)
    levels: Values = np.log2(1 + SOFTNESS * distance).astype(np.float32)
    return levels
