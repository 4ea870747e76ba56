"""Which triangle covers each pixel's centre: a rasteriser in torch for any device, with nothing compiled.

Corners are rounded to a 256th of a pixel and all decisions are made in whole numbers (Pineda, "A Parallel Algorithm for
Polygon Rasterization", 1988). A triangle covers the half-open row of pixels between two of its edges, and an edge that
two triangles share gives both the same number: there is no hole between neighbours and no pixel is covered twice.

There is no loop over triangles. All triangles are cut into rows of pixels at once, all rows into pixels; one minimum
per pixel over (depth, number of the triangle) then decides, in whatever order a device works.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

PARTS = 256
"""Steps per pixel to which corners are rounded."""

FARTHEST = 2**20
"""Pixels from the picture's corner. Triangles with a corner farther out, as nearly beside the camera, are left out;
up to here no product of two coordinates leaves 64 bits."""

NEAREST = 1e-6
"""Least w of clip coordinates: triangles with a corner beside or behind the camera are left out."""

CHUNK = 2**21
"""Pixels in the bounding boxes of triangles that are worked on at once."""

PIECE = 2**17
"""Hits whose weights are computed at once: these stay in a processor's cache."""

NOTHING = torch.iinfo(torch.int64).max
FACE_BITS = 32


@dataclass(frozen=True)
class Hits:
    """What is seen, one entry per covered pixel, in the order of the pixels.

    Attributes:
        width, height: of the picture, pixels.
        pixel: `[N]` int64, row * width + column; row 0 is the upper one.
        face: `[N]` int64, the triangle.
        barycentric: `[N, 3]` float32, weights of the triangle's corners on its surface (perspective is undone).
        depth: `[N]` float32, 0 at the near plane to 1 at the far plane; zeros for vertices without depth.
    """

    width: int
    height: int
    pixel: Tensor
    face: Tensor
    barycentric: Tensor
    depth: Tensor

    def interpolate(self, values: Tensor, faces: Tensor) -> Tensor:
        """`[N, C]` values at the hits from values `[V, C]` at the corners that `faces` `[F, 3]` names."""
        corners = faces.long().index_select(0, self.face)
        weights = self.barycentric.to(values.dtype)
        total = weights[:, :1] * values.index_select(0, corners[:, 0])
        for corner in (1, 2):
            total = total + weights[:, corner : corner + 1] * values.index_select(0, corners[:, corner])
        return total

    def picture(self, values: Tensor, background: float = 0.0) -> Tensor:
        """`[height, width, *]` with values `[N, *]` where something is seen."""
        flat = values.new_full((self.height * self.width, *values.shape[1:]), background)
        flat[self.pixel] = values
        return flat.reshape(self.height, self.width, *values.shape[1:])


def rasterise(vertices: Tensor, faces: Tensor, width: int, height: int) -> Hits:
    """Find what covers the centre of each pixel.

    Args:
        vertices: `[V, 2]` pixel coordinates, (0, 0) the upper left corner of the picture, y down: where triangles
            overlap, the one with the lowest number is seen. Or `[V, 4]` clip coordinates in OpenGL's convention,
            -w to w, y up; `[V, 3]` is the same with w = 1: the nearest triangle is seen, of equally near ones the one
            with the lowest number, and nothing nearer than the near or farther than the far plane.
        faces: `[F, 3]` indices into `vertices`, turned either way.
        width, height: of the picture, pixels.

    Returns:
        The hits, on the device of `vertices`. Triangles without area, with a corner that is not finite, and with a
        corner beside or behind the camera are not seen.

    Raises:
        ValueError: the shapes are others, or a face names a vertex that is not there.
    """
    _check(vertices, faces, width, height)
    home = vertices.device
    if home.type == "mps":  # Metal has no 64-bit floating point numbers
        hits = rasterise(vertices.cpu(), faces.cpu(), width, height)
        parts = (part.to(home) for part in (hits.pixel, hits.face, hits.barycentric, hits.depth))
        return Hits(width, height, *parts)
    faces = faces.to(home, torch.int64)
    flat, depth, inverse = projected(vertices.double(), width, height)
    # What is not finite would become any whole number: it is put out of reach instead.
    reachable = (flat.abs() <= FARTHEST).all(1) & torch.isfinite(inverse) & (inverse > 0)
    snapped = torch.where(reachable[:, None], flat * PARTS, 0.0).round().long()
    drawn = _drawn(snapped, reachable, faces, width, height)
    nearest = torch.full((height * width,), NOTHING, dtype=torch.int64, device=home)
    for chosen in _chunks(snapped, faces, drawn, width, height):
        which, pixel = _covered(snapped[faces[chosen]], width, height)
        key = chosen[which]
        if depth is not None:
            near = _plane(snapped[faces[chosen]], depth[faces[chosen]], which, pixel, width)
            inside = (near >= 0) & (near <= 1)
            # The bits of floating point numbers that are not negative are ordered as the numbers are.
            order = near[inside].float().view(torch.int32).long()
            key, pixel = (order << FACE_BITS) | key[inside], pixel[inside]
        nearest.scatter_reduce_(0, pixel, key, "amin")
    pixel = (nearest != NOTHING).nonzero()[:, 0]
    key = nearest[pixel]
    face = key & (2**FACE_BITS - 1)
    seen = (key >> FACE_BITS).int().view(torch.float32)
    weights = torch.empty(len(pixel), 3, device=home)
    for start in range(0, len(pixel), PIECE):
        piece = slice(start, start + PIECE)
        weights[piece] = _barycentric(snapped, inverse, faces[face[piece]], pixel[piece], width)
    return Hits(width, height, pixel, face, weights, seen)


def _check(vertices: Tensor, faces: Tensor, width: int, height: int) -> None:
    if vertices.ndim != 2 or vertices.shape[1] not in (2, 3, 4):
        raise ValueError(f"Vertices are [V, 2], [V, 3] or [V, 4], not {list(vertices.shape)}.")
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"Faces are [F, 3], not {list(faces.shape)}.")
    if width < 1 or height < 1:
        raise ValueError(f"A picture has pixels, not {width} x {height}.")
    if len(faces) and not 0 <= int(faces.min()) <= int(faces.max()) < len(vertices):
        raise ValueError(f"A face names a vertex that is not among the {len(vertices)}.")


def projected(vertices: Tensor, width: int, height: int) -> tuple[Tensor, Tensor | None, Tensor]:
    """Pixel coordinates `[V, 2]`, depth `[V]` from 0 (near plane) to 1 or None, and 1 / w `[V]`, 0 where not ahead."""
    if vertices.shape[1] == 2:
        return vertices, None, torch.ones_like(vertices[:, 0])
    w = vertices[:, 3] if vertices.shape[1] == 4 else torch.ones_like(vertices[:, 0])
    inverse = torch.where(w > NEAREST, 1 / w, 0.0)
    x, y, z = (vertices[:, axis] * inverse for axis in range(3))
    return torch.stack([(1 + x) * width / 2, (1 - y) * height / 2], dim=1), (1 + z) / 2, inverse


def _box(snapped: Tensor, faces: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Number of columns and of rows `[F]` of the picture whose middles lie in the bounding box of each triangle."""
    sides = []
    for axis, size in ((0, width), (1, height)):
        first, second, third = (snapped[faces[:, corner], axis] for corner in range(3))
        low = torch.minimum(torch.minimum(first, second), third)
        high = torch.maximum(torch.maximum(first, second), third)
        sides.append(next_middle(high).clamp(0, size) - next_middle(low).clamp(0, size))
    return sides[0], sides[1]


def next_middle(coordinate: Tensor) -> Tensor:
    """The first row or column whose middle lies at a coordinate (in parts of a pixel) or beyond."""
    return (coordinate + (PARTS // 2 - 1)) >> (PARTS.bit_length() - 1)


def _drawn(snapped: Tensor, reachable: Tensor, faces: Tensor, width: int, height: int) -> Tensor:
    """The numbers of the triangles that may cover a pixel's middle."""
    across, down = _box(snapped, faces, width, height)
    return ((across > 0) & (down > 0) & reachable[faces].all(1)).nonzero()[:, 0]


def _chunks(snapped: Tensor, faces: Tensor, drawn: Tensor, width: int, height: int) -> Iterator[Tensor]:
    """The triangles `drawn` in their order, in parts that need little memory."""
    across, down = _box(snapped, faces[drawn], width, height)
    start = 0
    for count in ((across * down).cumsum(0) // CHUNK).bincount().tolist():
        if count:
            yield drawn[start : start + count]
        start += count


def _covered(corners: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """For every pixel whose middle is in a triangle, `[T, 3, 2]` in parts of a pixel: the triangle and the pixel."""
    order = corners[..., 1].argsort(dim=1)
    x, y = (corners[..., axis].gather(1, order) for axis in (0, 1))
    first = next_middle(y[:, 0]).clamp(0, height)
    which, row = expand(first, next_middle(y[:, 2]).clamp(0, height) - first)
    level = row * PARTS + PARTS // 2
    (x0, x1, x2), (y0, y1, y2) = x[which].unbind(1), y[which].unbind(1)
    long = crossing(x0, y0, x2, y2, level)
    upper = level < y1
    short = crossing(
        torch.where(upper, x0, x1), torch.where(upper, y0, y1), torch.where(upper, x1, x2), torch.where(upper, y1, y2),
        level,
    )  # fmt: skip
    left = torch.minimum(long, short).clamp(0, width)
    span, column = expand(left, torch.maximum(long, short).clamp(0, width) - left)
    return which[span], (row * width)[span] + column


def crossing(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, level: Tensor) -> Tensor:
    """The first column whose middle lies on or right of edges from (x0, y0) down to (x1, y1), at y0 <= level < y1."""
    drop = y1 - y0
    numerator = (x0 - PARTS // 2) * drop + (level - y0) * (x1 - x0)
    return -torch.div(-numerator, PARTS * drop, rounding_mode="floor")


def expand(first: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Runs first, first + 1, … of the given lengths, one after the other: each entry's run and its value."""
    total = int(counts.sum())
    run = torch.repeat_interleave(counts, output_size=total)
    return run, torch.arange(total, device=first.device) + (first - counts.cumsum(0) + counts)[run]


def _plane(corners: Tensor, depth: Tensor, which: Tensor, pixel: Tensor, width: int) -> Tensor:
    """Depths `[N]` at pixels of triangles with corners `[T, 3, 2]` and depths `[T, 3]` there: linear in the picture."""
    place = corners.double() / PARTS
    one, two = place[:, 1] - place[:, 0], place[:, 2] - place[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    first, second = depth[:, 1] - depth[:, 0], depth[:, 2] - depth[:, 0]
    across = (first * two[:, 1] - second * one[:, 1]) / area
    down = (second * one[:, 0] - first * two[:, 0]) / area
    start = depth[:, 0] - across * (place[:, 0, 0] - 0.5) - down * (place[:, 0, 1] - 0.5)
    value = start[which] + across[which] * (pixel % width) + down[which] * (pixel // width)
    # A sliver's plane may run away between its corners' depths; it never leaves them.
    return torch.minimum(torch.maximum(value, depth.amin(1)[which]), depth.amax(1)[which])


def _barycentric(snapped: Tensor, inverse: Tensor, corners: Tensor, pixel: Tensor, width: int) -> Tensor:
    """Weights `[N, 3]` of the corners `[N, 3]` of the triangles seen at pixels."""
    x, y = (pixel % width) * PARTS + PARTS // 2, (pixel // width) * PARTS + PARTS // 2
    away = [snapped[corners[:, corner]] - torch.stack([x, y], dim=1) for corner in range(3)]
    weights = []
    for corner in range(3):
        one, two = away[(corner + 1) % 3], away[(corner + 2) % 3]
        opposite = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]  # twice the area between the pixel and a side
        weights.append(opposite.double() * inverse[corners[:, corner]])
    stacked = torch.stack(weights, dim=1)
    return (stacked / stacked.sum(dim=1, keepdim=True)).float()
