"""Silhouettes that are followed: what a pixel beside one shows depends on where in it the edge runs, with gradients.

Which triangle covers a pixel's middle is a choice: it has no gradient, and a picture made of such choices does not
change while a vertex moves. At a silhouette the picture is therefore made of the edge's own position. Between the
middles of two neighbouring pixels the silhouette's edge passes at a distance s from the inner one, 0 to 1. The way
between them lies half in either pixel, so with s below 1/2 the inner pixel shows 1/2 - s of what is outside, and with s
above it the outer one shows s - 1/2 of what is inside. For an edge that crosses the whole row of a pixel that is the
exact share of the pixel's area, by the midpoint rule; so edges that are more upright than flat are followed along
rows and the others along columns, rows first, whose product is exact at the corner of a box. As in nvdiffrast (Laine
et al., "Modular Primitives for High-Performance Differentiable Rendering", 2020) all of it works on the finished
picture, and costs what the silhouette is long.

The edges are looked for from the mesh, not from the triangles that pixels see: an edge is a silhouette if all its
triangles lie on one side of it in the picture. So triangles may be smaller than pixels, and need not be turned alike.
Where a surface passes through another there is no edge, and nothing is followed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.rendering.rasteriser import (
    FACE_BITS,
    FARTHEST,
    NOTHING,
    PARTS,
    Hits,
    crossing,
    expand,
    next_middle,
    projected,
)

BACKGROUND = 2.0
"""Depth of a pixel that shows nothing: beyond the far plane, which is at 1."""

BEHIND = 1e-6
"""What is outside lies at least so much deeper than the edge; depth is from 0 to 1 and has 24 bits."""


@dataclass(frozen=True)
class Edges:
    """Which edges triangles have: of the mesh alone, whatever looks at it.

    Attributes:
        ends: `[E, 2]` int64, vertices, the lower number first.
        of_side: `[3, F]` int64, the edge of the side from each triangle's corner k to corner k + 1.
        along: `[3, F]` int64, 1 where that side runs from the lower number to the higher one, -1 where it runs back.
    """

    ends: Tensor
    of_side: Tensor
    along: Tensor

    @classmethod
    def of(cls, faces: Tensor) -> Edges:
        """The edges of triangles `[F, 3]`."""
        start = faces.long().T
        end = start.roll(-1, 0)
        count = int(faces.max()) + 1 if len(faces) else 1
        number = torch.minimum(start, end) * count + torch.maximum(start, end)
        unique, of_side = number.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        along = torch.where(start < end, 1, -1)
        return cls(torch.stack([unique // count, unique % count], dim=1), of_side, along)


@dataclass(frozen=True)
class Passage:
    """Where silhouettes pass between neighbouring pixels, along rows or along columns.

    Attributes:
        inner, outer: `[S]` int64, pixels: row * width + column; no pair is there twice.
        share: `[S]`, s - 1/2 of the module's text, -1/2 to 1/2, with gradients to the vertices.
    """

    inner: Tensor
    outer: Tensor
    share: Tensor

    def blended(self, flat: Tensor) -> Tensor:
        """A picture `[P, C]` in which the pixels beside the silhouette show what they cover of both sides."""
        inside, outside = flat.index_select(0, self.inner), flat.index_select(0, self.outer)
        share = self.share.to(flat.dtype)[:, None]
        changed = torch.where(self.share < 0, self.inner, self.outer)
        return flat.index_add(0, changed, share * (inside - outside))


@dataclass(frozen=True)
class Silhouettes:
    """All that is followed in one picture of a mesh: along rows, then along columns."""

    along_rows: Passage
    along_columns: Passage

    def blended(self, picture: Tensor) -> Tensor:
        """A picture `[H, W, *]` of the mesh, as `Hits.picture` makes it, with its silhouettes followed."""
        flat = picture.reshape(picture.shape[0] * picture.shape[1], -1)
        return self.along_columns.blended(self.along_rows.blended(flat)).reshape(picture.shape)


def silhouettes(clip: Tensor, faces: Tensor, hits: Hits, edges: Edges | None = None) -> Silhouettes:
    """Find where silhouettes pass between the middles of pixels.

    Args:
        clip: `[V, 4]` clip coordinates, as `rasterise` takes them; gradients come to them.
        faces: `[F, 3]`.
        hits: what `rasterise` has found of both.
        edges: of `faces`, where they are known already.
    """
    edges = Edges.of(faces) if edges is None else edges
    place = _places(clip, hits.width, hits.height)
    # Choices are made on numbers in 64 bits, which Metal does not have.
    where = torch.device("cpu") if clip.device.type == "mps" else clip.device
    flat, depth, inverse = projected(clip.detach().to(where, torch.float64), hits.width, hits.height)
    assert depth is not None
    reachable = (flat.abs() <= FARTHEST).all(1) & torch.isfinite(inverse) & (inverse > 0)
    snapped = torch.where(reachable[:, None], flat * PARTS, 0.0).round().long()
    ends, side = _outlines(snapped, reachable, faces.to(where).long(), edges)
    seen = torch.full((hits.height * hits.width,), BACKGROUND, device=where)
    seen[hits.pixel.to(where)] = hits.depth.to(where)
    seen = seen.reshape(hits.height, hits.width)
    rows, columns = (_passage(axis, _Walls.of(axis, snapped, depth, ends, side), seen, place) for axis in (0, 1))
    return Silhouettes(rows, columns)


def _places(clip: Tensor, width: int, height: int) -> Tensor:
    """`[V, 2]` pixel coordinates, with gradients; those of vertices beside or behind the camera mean nothing."""
    w = torch.where(clip[:, 3].abs() < 1e-12, 1e-12, clip[:, 3])
    return torch.stack([(1 + clip[:, 0] / w) * (width / 2), (1 - clip[:, 1] / w) * (height / 2)], dim=1)


def _outlines(snapped: Tensor, reachable: Tensor, faces: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
    """The edges `[S, 2]` all of whose triangles lie on one side in the picture, and on which `[S]`, 1 or -1.

    With y down, 1 is on the right hand of whoever walks from the first vertex to the second.
    """
    corner = snapped[faces]
    one, two = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    turned = (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sign() * reachable[faces].all(1)
    sides = (turned * edges.along.to(faces.device)).reshape(-1)
    of_side = edges.of_side.to(faces.device).reshape(-1)
    none = torch.zeros(len(edges.ends), dtype=torch.int64, device=faces.device)
    least = none.scatter_reduce(0, of_side, sides, "amin")
    most = none.scatter_reduce(0, of_side, sides, "amax")
    chosen = ((least < 0) != (most > 0)).nonzero()[:, 0]
    return edges.ends.to(faces.device)[chosen], (least + most)[chosen]


@dataclass(frozen=True)
class _Walls:
    """The outlines that are followed along an axis: each runs from a smaller level to a larger one, and less across
    than that. Along rows (axis 0) the level is y and across is x, along columns (axis 1) the other way round.

    Attributes:
        ends: `[S, 2]` vertices. level, across: `[S, 2]` int64 in parts of a pixel. depth: `[S, 2]`.
        before: `[S]`, whether what they are the outlines of lies where across is smaller.
    """

    ends: Tensor
    level: Tensor
    across: Tensor
    depth: Tensor
    before: Tensor

    @classmethod
    def of(cls, axis: int, snapped: Tensor, depth: Tensor, ends: Tensor, side: Tensor) -> _Walls:
        """Those of outlines `[S, 2]` with sides as `_outlines` finds them."""
        span = (snapped[ends[:, 1]] - snapped[ends[:, 0]]).abs()
        steep = span[:, 1] >= span[:, 0] if axis == 0 else span[:, 0] > span[:, 1]
        chosen = (steep & (span[:, 1 - axis] > 0)).nonzero()[:, 0]
        ends, side = ends[chosen], side[chosen]
        back = snapped[ends[:, 0], 1 - axis] > snapped[ends[:, 1], 1 - axis]
        ends, side = torch.where(back[:, None], ends.flip(1), ends), torch.where(back, -side, side)
        # Whoever walks down has what is on the left on their right hand, and whoever walks right what is below.
        before = side > 0 if axis == 0 else side < 0
        return cls(ends, snapped[ends][..., 1 - axis], snapped[ends][..., axis], depth[ends], before)


def _passage(axis: int, walls: _Walls, seen: Tensor, place: Tensor) -> Passage:
    """Where outlines pass between pixels that are neighbours along an axis, 0 along rows and 1 along columns.

    Args:
        seen: `[H, W]`, depth of what pixels show. place: `[V, 2]`, pixels, with gradients.
    """
    rows, columns = seen.shape if axis == 0 else seen.T.shape
    first = next_middle(walls.level[:, 0]).clamp(0, rows)
    which, row = expand(first, next_middle(walls.level[:, 1]).clamp(0, rows) - first)
    middle = row * PARTS + PARTS // 2
    (level, end_level), (across, end_across) = walls.level[which].unbind(1), walls.across[which].unbind(1)
    after = crossing(across, level, end_across, end_level, middle)
    way = (middle - level) / (end_level - level).double()
    deep = torch.lerp(walls.depth[which, 0], walls.depth[which, 1], way)
    slope = (end_across - across) / (end_level - level).double()

    def pixel(column: Tensor) -> Tensor:
        held = column.clamp(0, columns - 1)
        return row * columns + held if axis == 0 else held * rows + row

    before = walls.before[which]
    within = torch.where(before, after - 1, after)
    inner, outer = pixel(within), pixel(torch.where(before, after, after - 1))
    # The edge is seen if nothing before it covers the outer pixel, and the inner one shows what it is the edge of:
    # something that is nearer to the edge than to what is outside.
    flat = seen.reshape(-1)
    clear = (flat[outer] > deep + BEHIND) & (flat[inner] < (deep + flat[outer]) / 2)
    clear &= (after >= 1) & (after < columns)
    # Of several edges between the same two pixels the nearest is taken.
    order = torch.arange(len(which), device=which.device)
    key = (deep.clamp(0, 1).float().view(torch.int32).long() << FACE_BITS) | order
    pair = pixel(after)
    nearest = torch.full_like(flat, NOTHING, dtype=torch.int64)
    nearest.scatter_reduce_(0, pair[clear], key[clear], "amin")
    chosen = (clear & (nearest[pair] == key)).nonzero()[:, 0]
    # Held are the way along the edge and its slope m: where it passes has the derivatives 1 - way and way by its ends'
    # places across, and -m times these by their levels. So nothing is divided by a small number.
    begin, end = (place.index_select(0, walls.ends[which[chosen], each].to(place.device)) for each in (0, 1))
    way, slope, level, centre = (part[chosen].to(place) for part in (way, slope, row + 0.5, within + 0.5))
    at = slope * level
    for share, each in ((1 - way, begin), (way, end)):
        at = at + share * (each[:, axis] - slope * each[:, 1 - axis])
    outwards = torch.where(before[chosen], 1, -1).to(place)
    found = inner[chosen].to(place.device), outer[chosen].to(place.device)
    return Passage(*found, (at - centre) * outwards - 0.5)
