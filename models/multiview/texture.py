"""A mesh's texture taken from views of it: what each sees well, levelled, blended, and spread over what none sees.

The coarse band of the views is blended widely, so that no view ends visibly beside another one; the fine band is taken
nearly from the best view alone, so that views which disagree by a pixel do not blur each other (after Burt and Adelson,
"A Multiresolution Spline With Application to Image Mosaics", 1983, with two bands).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.isosurface.sampling import Report
from models.multiview.filling import filled
from models.multiview.levelling import levelled
from models.multiview.sight import Sight
from models.multiview.views import Views
from models.rendering.baking import PADDING, UNWRAPPED, Baked, lay_out
from models.rendering.drawing import vertex_normals

CHUNK = 2**15
"""Places looked at at once, by all views."""

SAMPLES = 20_000
"""Vertices at which exposures are compared, at most."""

WIDE, NARROW = 2, 8
"""Powers of the weights of views in the coarse and in the fine band."""

STRAY = 0.15
"""Difference of coarse colours from which on a view counts as showing something else than the others do."""

TRUSTING = 4
"""Power of how much less a view agrees with the others than the middle one of the views does."""

FAINT = 0.05
"""Weight below which a colour is more and more taken from what surrounds it."""


@dataclass(frozen=True)
class Blend:
    """Views of a mesh as one colour for each place on it.

    Attributes:
        sight: what views see. gains: `[V, 3]`, see `levelling`. trust: `[V]`, how much each view counts, 0 to 1.
    """

    sight: Sight
    gains: Tensor
    trust: Tensor

    @classmethod
    def of(
        cls, views: Views, vertices: Tensor, faces: Tensor, trust: Tensor | None = None, level: bool = True
    ) -> Blend:
        """Look at a mesh, find which views agree, and level their exposures; for the arguments see `texture`."""
        sight = Sight(views, vertices, faces)
        given = (torch.ones(len(views)) if trust is None else trust).to(vertices)
        gains = torch.ones(len(views), 3).to(vertices)
        some = slice(None, None, max(1, len(vertices) // SAMPLES))
        seen = sight.at(vertices[some], vertex_normals(vertices, faces)[some])
        trusted = given * trust_of(seen.coarse, seen.weight * given)
        if level:
            gains = levelled(seen.coarse, seen.weight.square() * trusted)
            trusted = given * trust_of(seen.coarse * gains, seen.weight * given)
        return cls(sight, gains, trusted)

    def at(self, points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
        """Colours `[N, 3]` and how well the best view sees each place, `[N]`, 0 to 1."""
        seen = self.sight.at(points, normals)
        weight = seen.weight * self.trust
        coarse, fine = seen.coarse * self.gains, seen.fine * self.gains
        agreeing = weight * _agreement(coarse, weight)
        blended = _mean(coarse, agreeing**WIDE) + _mean(fine, agreeing**NARROW)
        return blended.clamp(0, 1), weight.amax(1)


def texture(
    vertices: Tensor,
    faces: Tensor,
    views: Views,
    *,
    size: int = 2048,
    padding: int = PADDING,
    trust: Tensor | None = None,
    level: bool = True,
    progress: Report | None = None,
) -> Baked:
    """Give a mesh a texture with the colours of the pictures that were taken of it.

    Args:
        vertices: `[V, 3]` in the world of the views' cameras. faces: `[F, 3]`, counter-clockwise seen from outside.
        views: on the device of `vertices`.
        size, padding: see `models.rendering.bake`.
        trust: `[V]`, how much each view counts, 0 for one that is to be left out; all alike if not told.
        level: fit a gain for each view, so that their exposures agree.
        progress: is told the fraction done; an exception from it ends the work.

    Raises:
        NothingToUnwrap: no triangle has an area.
        ValueError: a number is out of range.
    """
    vertices = vertices.float()
    texels = lay_out(vertices, faces, size, padding)
    if progress is not None:
        progress(UNWRAPPED)
    blend = Blend.of(views, vertices, faces, trust, level)
    around = vertex_colours(blend, vertices, faces)
    values = torch.cat([vertices, vertex_normals(vertices, faces), around], dim=1)
    count = len(texels.pixel)
    colours = torch.empty(count, 3, device=vertices.device)
    for start in range(0, count, CHUNK):
        found = texels.interpolate(values, slice(start, start + CHUNK))
        place, normal, fallback = found[:, :3], found[:, 3:6], found[:, 6:]
        own, weight = blend.at(place, functional.normalize(normal, dim=1))
        colours[start : start + CHUNK] = torch.lerp(fallback, own, (weight / FAINT).clamp(max=1)[:, None])
        if progress is not None:
            progress(UNWRAPPED + (1 - UNWRAPPED) * min(1.0, (start + CHUNK) / count))
    return texels.painted(colours)


def vertex_colours(blend: Blend, vertices: Tensor, faces: Tensor) -> Tensor:
    """Colours `[V, 3]` at vertices: those of the views, and where none sees them those around."""
    normals = vertex_normals(vertices, faces)
    parts = [slice(start, start + CHUNK) for start in range(0, len(vertices), CHUNK)]
    found = [blend.at(vertices[part], normals[part]) for part in parts]
    colours, weight = (torch.cat(each) for each in zip(*found, strict=True))
    return filled(colours, 100 * (weight / FAINT).square(), faces)


def trust_of(coarse: Tensor, weight: Tensor) -> Tensor:
    """`[V]`, 0 to 1: how far each view as a whole shows what the others show where they see the same.

    Args:
        coarse: `[P, V, 3]` of places as views see them. weight: `[P, V]`.
    """
    count = weight.shape[1]
    shared, agreed = (torch.zeros(count, count).to(weight) for _ in range(2))
    for view in range(count):
        both = weight * weight[:, view : view + 1]
        apart = (coarse - coarse[:, view : view + 1]).square().sum(2) / STRAY**2
        shared[view], agreed[view] = both.sum(0), (both / (1 + apart)).sum(0)
    others = ~torch.eye(count, dtype=torch.bool, device=weight.device)
    total = (shared * others).sum(1)
    found = (agreed * others).sum(1) / total.clamp(min=1e-12)
    known = total > 0
    if not known.any():
        return torch.ones_like(found)
    return torch.where(known, (found / found[known].median().clamp(min=1e-12)).clamp(max=1) ** TRUSTING, 1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """`[N, 3]` of values `[N, V, 3]` with weights `[N, V]`; zeros where all are 0."""
    total = weight.sum(1, keepdim=True)
    shares = weight / torch.where(total > 0, total, 1)
    return (values * shares[..., None]).sum(1)


def _agreement(coarse: Tensor, weight: Tensor) -> Tensor:
    """`[N, V]`, 0 to 1: how far each view shows what the others show, their weighted mean without those that stray."""
    sure = weight.square()
    for _ in range(3):
        apart = (coarse - _mean(coarse, sure)[:, None]).square().sum(2) / STRAY**2
        agreement = 1 / (1 + apart).square()
        sure = weight.square() * agreement
    return agreement
