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
from models.rendering.unwrapping import unwrap

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
    if not 0 <= padding <= LARGEST_PADDING:
        raise ValueError(f"Padding is 0 to {LARGEST_PADDING} texels wide, not {padding}.")
    flat = unwrap(vertices, faces, size, padding)
    texels = flat.uv.double() * size
    places = vertices.float()[flat.vertex]
    hits = rasterise(texels, flat.faces, size, size)
    inside = hits.interpolate(places, flat.faces)
    covered = torch.zeros(size * size, dtype=torch.bool, device=vertices.device)
    covered[hits.pixel] = True
    border, on_border = _border(texels, places, flat.faces, covered, size)
    covered[border] = True
    if progress is not None:
        progress(UNWRAPPED)
    # The border's few texels come last: those before stay in the order of the texture, near each other in space.
    colours = ask(colour_at, torch.cat([inside, on_border]), chunk, part(progress, UNWRAPPED, 1.0))
    image = torch.zeros(size * size, 3, dtype=torch.uint8, device=vertices.device)
    image[torch.cat([hits.pixel, border])] = (colours * 255).round().to(torch.uint8)
    # As far as the corner of a square around each texel: filtering reads squares.
    reach = math.ceil(padding * math.sqrt(2))
    texture = pad(image.reshape(size, size, 3), covered.reshape(size, size), reach)
    return Baked(flat.vertex, flat.uv, flat.faces, texture, flat.charts, float(covered.double().mean()))


def chart_borders(faces: Tensor) -> tuple[Tensor, Tensor]:
    """The edges `[E]`, `[E]` that have one triangle only, by the numbers of their two vertices."""
    count = int(faces.max()) + 1
    edges = torch.cat([faces[:, [one, two]] for one, two in pairwise((0, 1, 2, 0))]).sort(dim=1).values
    number, times = (edges[:, 0] * count + edges[:, 1]).unique(return_counts=True)  # type: ignore[no-untyped-call]
    single = number[times == 1]
    return single // count, single % count


def _border(texels: Tensor, places: Tensor, faces: Tensor, covered: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Texels `[B]` that are not covered but have the border of a chart in them, and places `[B, 3]` on it.

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
    which, part_way = edge[chosen], share[chosen].float()
    return found, torch.lerp(places[start[which]], places[end[which]], part_way)
