"""A colour field baked into a texture: unwrap, find the place in space of each texel, ask, pad.

A texel has colour of its own where a triangle covers its middle, and where the border of a chart passes through it:
otherwise charts thinner than a texel would have none at all. The place of the first is interpolated from the corners,
that of the second lies on the border. Every texel that filtering may read beside a chart then repeats one of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from models.isosurface.sampling import Report, part
from models.rendering.colours import CHUNK, ColourField, Texture, ask
from models.rendering.padding import pad
from models.rendering.rasteriser import NOTHING, rasterise
from models.rendering.unwrapping import Unwrapped, unwrap

PADDING = 8
"""Texels of own colour around each chart. Linear filtering at half resolution reads 3.6 texels beyond a chart, at a
quarter 7.8 (at the corners of a square)."""

LARGEST_PADDING = 16

STEPS = 2
"""Places looked at along a border, per texel."""

UNWRAPPED = 0.25
"""Share of the progress that unwrapping and rasterising take."""


@dataclass(frozen=True)
class Baked:
    """A mesh with its texture.

    Attributes:
        vertex: `[W]` int64, the vertex of the mesh that each vertex here stands for; seams double vertices.
        uv: `[W, 2]` float32 in glTF's convention: (0, 0) is the upper left corner of the texture.
        faces: `[F, 3]` int64, indices into `vertex` and `uv`: the triangles of the mesh in their order.
        texture: `[size, size, 3]` uint8, sRGB.
        charts: how many pieces the surface was cut into.
        covered: share of the texels whose colour was asked for.
    """

    vertex: Tensor
    uv: Tensor
    faces: Tensor
    texture: Tensor
    charts: int
    covered: float

    @property
    def corner_uv(self) -> Tensor:
        """`[F, 3, 2]`, the texture coordinates of each triangle's corners."""
        return self.uv[self.faces]

    def as_texture(self) -> Texture:
        """To look up colours in."""
        return Texture(self.texture, self.uv, self.faces)


@dataclass(frozen=True)
class Texels:
    """The texels of a texture that have a colour of their own, and the place on the surface that each of them shows.

    Attributes:
        flat: the surface laid flat.
        size: side of the texture. padding: see `bake`.
        pixel: `[N]` int64, row * size + column. Those on borders of charts come last; the others are in the order of
            the texture, near each other in space.
        corners: `[N, 3]` int64, vertices of the mesh. weights: `[N, 3]` float32, theirs in the place.
    """

    flat: Unwrapped
    size: int
    padding: int
    pixel: Tensor
    corners: Tensor
    weights: Tensor

    def interpolate(self, values: Tensor, some: slice = slice(None)) -> Tensor:
        """`[N, C]` at the texels, or at some of them, from values `[V, C]` at the vertices of the mesh."""
        corners, weights = self.corners[some], self.weights[some]
        total = weights[:, :1] * values[corners[:, 0]]
        for corner in (1, 2):
            total = total + weights[:, corner : corner + 1] * values[corners[:, corner]]
        return total

    def painted(self, colours: Tensor) -> Baked:
        """The texture with colours `[N, 3]`, 0 to 1, at the texels and padding around the charts."""
        size = self.size
        covered = torch.zeros(size * size, dtype=torch.bool, device=self.pixel.device)
        covered[self.pixel] = True
        image = torch.zeros(size * size, 3, dtype=torch.uint8, device=self.pixel.device)
        image[self.pixel] = (colours * 255).round().to(torch.uint8)
        # As far as the corner of a square around each texel: filtering reads squares.
        reach = math.ceil(self.padding * math.sqrt(2))
        texture = pad(image.reshape(size, size, 3), covered.reshape(size, size), reach)
        share = float(covered.double().mean())
        return Baked(self.flat.vertex, self.flat.uv, self.flat.faces, texture, self.flat.charts, share)


def bake(
    vertices: Tensor,
    faces: Tensor,
    colour_at: ColourField,
    *,
    size: int = 2048,
    padding: int = PADDING,
    chunk: int = CHUNK,
    progress: Report | None = None,
) -> Baked:
    """Give a mesh a texture with the colours of a field on its surface.

    The same mesh and colours give the same bytes. Decimate first: unwrapping grows with the number of triangles, and
    charts of a noisy surface are small.

    Args:
        vertices: `[V, 3]` in the units of the field; their device is where the texels are found.
        faces: `[F, 3]`.
        colour_at: points `[N, 3]` -> colours `[N, 3]`, 0 to 1, sRGB as it is displayed.
        size: side of the texture, texels.
        padding: texels around each chart that repeat its colours, 0 to 16; charts lie twice as far apart.
        chunk: points asked for at once.
        progress: is told the fraction done; an exception from it ends the work.

    Raises:
        NothingToUnwrap: no triangle has an area.
        FieldError: the field did not return finite colours.
        ValueError: a number is out of range.
    """
    texels = lay_out(vertices, faces, size, padding)
    if progress is not None:
        progress(UNWRAPPED)
    places = texels.interpolate(vertices.float())
    return texels.painted(ask(colour_at, places, chunk, part(progress, UNWRAPPED, 1.0)))


def lay_out(vertices: Tensor, faces: Tensor, size: int = 2048, padding: int = PADDING) -> Texels:
    """Unwrap a mesh and find what each texel shows; for the arguments and errors see `bake`."""
    if not 0 <= padding <= LARGEST_PADDING:
        raise ValueError(f"Padding is 0 to {LARGEST_PADDING} texels wide, not {padding}.")
    flat = unwrap(vertices, faces, size, padding)
    places = flat.uv.double() * size
    hits = rasterise(places, flat.faces, size, size)
    covered = torch.zeros(size * size, dtype=torch.bool, device=vertices.device)
    covered[hits.pixel] = True
    border, ends, share = _border(places, flat.faces, covered, size)
    corners = torch.cat([flat.faces[hits.face], torch.cat([ends, ends[:, :1]], dim=1)])
    on_border = torch.stack([1 - share, share, torch.zeros_like(share)], dim=1)
    weights = torch.cat([hits.barycentric, on_border])
    return Texels(flat, size, padding, torch.cat([hits.pixel, border]), flat.vertex[corners], weights)


def chart_borders(faces: Tensor) -> tuple[Tensor, Tensor]:
    """The edges `[E]`, `[E]` that have one triangle only, by the numbers of their two vertices."""
    count = int(faces.max()) + 1
    edges = torch.cat([faces[:, [one, two]] for one, two in pairwise((0, 1, 2, 0))]).sort(dim=1).values
    number, times = (edges[:, 0] * count + edges[:, 1]).unique(return_counts=True)  # type: ignore[no-untyped-call]
    single = number[times == 1]
    return single // count, single % count


def _border(texels: Tensor, faces: Tensor, covered: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Texels `[B]` that are not covered but have the border of a chart in them, and a place on it for each: the edge's
    ends `[B, 2]` and the share `[B]` of the way from the first to the second.

    Of all places on the border in a texel the one nearest to its middle is taken.
    """
    start, end = chart_borders(faces)
    count = ((texels[end] - texels[start]).norm(dim=1) * STEPS).ceil().long() + 1
    edge = torch.repeat_interleave(count)
    step = torch.arange(len(edge), device=edge.device) - (count.cumsum(0) - count)[edge]
    share = ((step.double() + 0.5) / count[edge])[:, None]
    place = torch.lerp(texels[start][edge], texels[end][edge], share)
    column, row = place.floor().long().clamp(0, size - 1).unbind(1)
    pixel = row * size + column
    free = (~covered[pixel]).nonzero()[:, 0]
    away = (place - place.floor() - 0.5).square().sum(1)[free]
    key = ((away * 2**20).long() << 32) | free
    nearest = torch.full((size * size,), NOTHING, dtype=torch.int64, device=edge.device)
    nearest.scatter_reduce_(0, pixel[free], key, "amin")
    found = (nearest != NOTHING).nonzero()[:, 0]
    chosen = nearest[found] & (2**32 - 1)
    which = edge[chosen]
    return found, torch.stack([start[which], end[which]], dim=1), share[chosen, 0].float()
