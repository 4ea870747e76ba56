"""The picture as the texture of a lens: a tile for the front and one for the back.

Nothing of the background may show, neither at the rim nor in a mip map nor between the tiles. So only pixels that are
certainly the object's own give colour, and every other texel is filled from them: the background is nowhere in the
texture. Filling is push-pull (Gortler, Grzeszczuk, Szeliski, Cohen: The Lumigraph, 1996): a pyramid of weighted means
is built, and gaps are filled from coarser levels on the way back. The same pyramid blurs the back.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from backend.geometry.lens import Lens

Floats = NDArray[np.float64]
Values = NDArray[np.float32]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

MARGIN = 8
"""Texels around each tile, filled with the object's colours, so that small mip levels do not mix the tiles."""

CONTEXT = 6
"""Pixels around the mask's bounds in which the background is looked at."""

THIN_WINDOW = 4
"""Pixels to each side in which a thin part's purest colour is looked for."""

SOFTNESS = 0.5
"""Blur of the soft back, in texels per texel of distance from the rim."""


def paint(image: Pixels, mask: Mask, lens: Lens, size: int, back: Literal["soft", "mirror"]) -> tuple[Floats, Pixels]:
    """Make a lens's texture from its instance's part of the picture.

    Args:
        image: HxWx4 uint8 sRGB, straight alpha.
        mask: HxW, True on the instance.
        lens: its surface; pixel coordinates count from the upper left corner of the image.
        size: longest side of the texture in texels; a smaller part of the picture is not enlarged.
        back: "soft": the back has a tile of its own, which is the front at the rim and loses detail away from it.
            "mirror": the back shows the front's tile.

    Returns:
        corner_uv: (M, 3, 2), one row per corner of `lens.faces`, glTF's convention: (0, 0) is the texture's upper
            left corner.
        texture: HxWx3 uint8 sRGB.

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("the mask is empty")
    left, top, right, bottom = _bounds(mask, lens)
    crop = slice(top, bottom), slice(left, right)
    around = slice(max(top - CONTEXT, 0), bottom + CONTEXT), slice(max(left - CONTEXT, 0), right + CONTEXT)
    within = (
        slice(top - around[0].start, bottom - around[0].start),
        slice(left - around[1].start, right - around[1].start),
    )
    own = _own_pixels(image[around], mask[around])[within]

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
    sums = np.dstack([_resized(plane, inner) for plane in (*planes, weights)])
    sums = np.pad(sums, ((margin, margin), (margin, margin), (0, 0)))
    covered = np.pad(_resized(mask[crop].astype(np.float32), inner) > 0.5, margin)
    front, soft = _push_pull(sums, _blur_levels(covered))
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


def _own_pixels(image: Pixels, mask: Mask) -> Mask:
    """HxW, True where a pixel's colour is certainly the object's own.

    The outermost two pixels of a mask may be mixed with what is behind it, by anti-aliasing, lens or compression. They
    are left out; where a part is too thin for that, its middle line stays.
    """
    # The array ends where the picture ends or well outside the mask; nothing mixes in at the picture's end.
    padded = np.pad(mask.astype(np.uint8), 4, mode="edge")
    depth = padded + ndimage.minimum_filter(padded, 3) + ndimage.minimum_filter(padded, 5)
    deepest = ndimage.maximum_filter(depth, 5)
    depth, deepest = depth[4:-4, 4:-4], deepest[4:-4, 4:-4]
    own: Mask = mask & (depth == deepest)
    thin = own & (depth == 1)
    if thin.any() and not mask.all():
        own[thin] = _is_pure(image, mask, thin)
    return own


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


def _resized(values: Values, size: tuple[int, int]) -> Values:
    """Area averages, HxW, at another (width, height)."""
    if (values.shape[1], values.shape[0]) == size:
        return values
    return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))


def _blur_levels(covered: Mask) -> Values:
    """How many times each texel of the soft back is halved, HxW: the logarithm of its blur radius."""
    distance = ndimage.distance_transform_edt(covered)
    levels: Values = np.log2(1 + SOFTNESS * distance).astype(np.float32)
    return levels


def _push_pull(sums: Values, levels: Values) -> tuple[Values, Values]:
    """Fill and blur in one walk through the pyramid.

    Args:
        sums: HxWx4, weighted colours and weight; weight 0 where the colour is unknown.
        levels: HxW, pyramid level from which each texel of the soft tile is taken.

    Returns:
        The filled tile and the soft tile, both HxWx3.
    """
    if min(sums.shape[:2]) <= 1:
        weight = sums[..., 3:]
        mean = sums[..., :3].sum(axis=(0, 1)) / max(float(weight.sum()), 1e-12)
        filled = np.where(weight > 0, sums[..., :3] / np.maximum(weight, 1e-12), mean).astype(np.float32)
        return filled, filled
    coarse_filled, coarse_soft = _push_pull(_halved(sums), _halved(levels[..., None])[..., 0] - 1)
    weight = sums[..., 3:]
    known = np.minimum(4 * weight, 1)
    own = sums[..., :3] / np.maximum(weight, 1e-12)
    filled = _doubled(coarse_filled, sums.shape[:2])
    filled += (own - filled) * known
    sharp = np.clip(1 - levels, 0, 1)[..., None]
    soft = _doubled(coarse_soft, sums.shape[:2])
    soft += (filled - soft) * sharp
    return filled, soft


def _halved(values: Values) -> Values:
    """Means of 2 x 2 blocks; an odd last row or column is repeated."""
    odd_rows, odd_columns = values.shape[0] % 2, values.shape[1] % 2
    if odd_rows or odd_columns:
        values = np.pad(values, ((0, odd_rows), (0, odd_columns), (0, 0)), mode="edge")
    rows = values[::2] + values[1::2]
    halved: Values = (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)
    return halved


def _doubled(values: Values, shape: tuple[int, ...]) -> Values:
    """Bilinear enlargement to the shape that `_halved` came from."""
    for axis in (0, 1):
        low, high = np.roll(values, 1, axis), np.roll(values, -1, axis)
        first, last = [slice(None)] * 3, [slice(None)] * 3
        first[axis], last[axis] = slice(0, 1), slice(-1, None)
        low[tuple(first)], high[tuple(last)] = values[tuple(first)], values[tuple(last)]
        pairs = np.stack([0.75 * values + 0.25 * low, 0.75 * values + 0.25 * high], axis=axis + 1)
        values = pairs.reshape(
            *[side * 2 if side_axis == axis else side for side_axis, side in enumerate(values.shape)]
        )
    return np.ascontiguousarray(values[: shape[0], : shape[1]])
