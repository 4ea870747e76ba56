"""Zero123 as a prior: what the object of a picture looks like from another side (Liu et al. 2023, arXiv:2303.11328).

The network is told by how much the camera has moved: down from the zenith, round, and away. Its azimuth is
counter-clockwise seen from above in a right-handed world, as it is here. Magic123's world is mirrored, so it tells the
sine of minus its own azimuth; `camera(views, mirrored=True)` takes such views.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.guidance.distillation import Distillation, Frugality, LatentPrior, classifier_free, guided_halves
from models.guidance.encoding import ENCODED, Encoding, mode
from models.guidance.prior import RelativeViews
from models.hi3d.conditioning import clip_colours
from models.parts import Parts

SIDE = 256
"""Pixels along a side of what the autoencoder sees, of renders and of the reference."""

SCALE = 5.0
"""Of the guidance, as published."""

LEAST_CLOSENESS = 0.1
"""References that are further away than ten times the nearest one are not asked."""

NEAREST = math.radians(0.01)
"""An angle below which a reference is no closer."""


@dataclass(frozen=True)
class Condition:
    """What the network is told of one reference picture.

    embedding: 1×1×width, float32, projected by CLIP and not normalised.
    latent: 1×4×32×32, float32, the likeliest, not scaled.
    """

    embedding: Tensor
    latent: Tensor


@dataclass(frozen=True)
class Reference:
    """One picture of the object, and from where it was taken.

    condition: of the picture.
    polar: radians from the zenith.
    azimuth, radius: from those of the first reference, which has 0; see `prior.RelativeViews`.
    weight: how much it is trusted beside others.
    """

    condition: Condition
    polar: float = math.pi / 2.0
    azimuth: float = 0.0
    radius: float = 0.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (self.weight > 0.0 and math.isfinite(self.weight)):
            raise ValueError(f"A reference of weight {self.weight}: it has to be a number above 0.")


def condition(picture: Tensor, parts: Parts) -> Condition:
    """What the network is told of a picture. Nothing else needs "image_encoder", which stays until the caller lets it
    go.

    Args:
        picture: 3×H×W in 0…1, the object on white, of the shape of the renders: square.
        parts: of `zero123_files.Zero123Files`.

    Raises:
        ValueError: the picture is of another shape.
    """
    if picture.ndim != 3 or picture.shape[0] != 3 or picture.shape[1] != picture.shape[2]:
        raise ValueError(f"A reference of {list(picture.shape)}: three channels and a square are needed.")
    small = shrunk(picture[None].float(), SIDE).to(parts.device)
    encoder: Any = parts["image_encoder"]
    seen = clip_input(small * 2.0 - 1.0, encoder.config.image_size).to(next(encoder.parameters()).dtype)
    embedding = encoder(pixel_values=seen).image_embeds[:, None].float()
    return Condition(embedding, mode(small, parts["vae"]))


def clip_input(pictures: Tensor, side: int) -> Tensor:
    """Pictures −1…1, N×3×H×W → what CLIP sees, N×3×side×side: bicubic from corner to corner, without a filter."""
    return clip_colours(functional.interpolate(pictures, (side, side), mode="bicubic", align_corners=True))


def shrunk(pictures: Tensor, side: int) -> Tensor:
    """N×C×H×W → N×C×side×side: each pixel is the mean of what it covers, parts of pixels by their share; bilinear where
    that would be less than one pixel."""
    if min(pictures.shape[-2:]) < side:
        return functional.interpolate(pictures, (side, side), mode="bilinear", align_corners=False)
    rows, columns = (_covering(extent, side).to(pictures.device) for extent in pictures.shape[-2:])
    return rows @ pictures @ columns.T


def camera(views: RelativeViews, mirrored: bool = False) -> Tensor:
    """How the camera has moved, N×1×4 float32: polar angle, sine and cosine of the azimuth, distance.

    mirrored: the views' azimuth is of a world whose x axis is turned round, as that of the published program.
    """
    azimuth = -views.azimuth if mirrored else views.azimuth
    return torch.stack([views.polar, azimuth.sin(), azimuth.cos(), views.radius], dim=1)[:, None].float()


def tokens(embedding: Tensor, moved: Tensor, projection: Any) -> Tensor:
    """What the network is told, N×1×width, in the precision of the projection.

    Args:
        embedding: 1×1×width. moved: of `camera`, N×1×4. projection: a linear layer width + 4 → width.
    """
    joined = torch.cat([embedding.expand(len(moved), -1, -1), moved.to(embedding.device)], dim=2)
    found: Tensor = projection(joined.to(projection.weight.dtype))
    return found


def nothing_and(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """What the network is told without a condition, and with it."""
    return torch.zeros_like(tensor), tensor


def inputs(noisy: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
    """What the network sees without a condition and with it, N×8×h×w each: noised latents, then the reference's."""
    without, told = nothing_and(latent.expand(len(noisy), -1, -1, -1))
    return torch.cat([noisy, without], dim=1), torch.cat([noisy, told], dim=1)


def seen_from(views: RelativeViews, first: Reference, other: Reference) -> RelativeViews:
    """The same views, from another reference than the first."""
    polar, azimuth = views.polar + first.polar, views.azimuth - other.azimuth
    azimuth = torch.atan2(azimuth.sin(), azimuth.cos())
    cosine = polar.sin() * math.sin(other.polar) * azimuth.cos() + polar.cos() * math.cos(other.polar)
    return RelativeViews(polar - other.polar, azimuth, views.radius - other.radius, cosine.clamp(-1.0, 1.0).acos())


def trust(angles: Tensor, weights: Tensor) -> Tensor:
    """How much each of K references counts at each of N views, N×K; the rows sum to 1.

    Args:
        angles: N×K, radians from the view to the reference. weights: K, the user's.
    """
    closeness = 1.0 / angles.clamp(min=NEAREST)
    for factor in (torch.ones_like(weights), weights):
        closeness = closeness * factor
        closeness = closeness / closeness.amax(dim=1, keepdim=True)
        closeness = torch.where(closeness < LEAST_CLOSENESS, 0.0, closeness)
    return closeness / closeness.sum(dim=1, keepdim=True)


class Zero123Prior(LatentPrior):
    """See the module.

    Attributes:
        references: at least one.
        by_angle: the gradient counts in proportion to the angle to the nearest reference, so that it is 0 there.
    """

    name = "zero123"
    formula = staticmethod(classifier_free)
    side = SIDE

    def __init__(
        self,
        parts: Parts,
        references: Sequence[Reference],
        distillation: Distillation | None = None,
        encoding: Encoding = ENCODED,
        frugality: Frugality | None = None,
        by_angle: bool = True,
    ) -> None:
        """parts: of `zero123_files.Zero123Files`.

        Raises:
            ValueError: there is no reference.
        """
        super().__init__(parts, distillation or Distillation(SCALE), encoding, frugality)
        if not references:
            raise ValueError("There is no reference picture: give one at least.")
        self.references = tuple(references)
        self.by_angle = by_angle

    def predictions(self, noisy: Tensor, timesteps: Tensor, views: RelativeViews) -> tuple[Tensor, Tensor]:
        shares = self._trust(views)
        sums: list[Tensor] = []
        for share, reference, seen in zip(shares.T, self.references, self._from_each(views), strict=True):
            if not bool((share > 0.0).any()):
                continue
            found = self._predictions(noisy, timesteps, reference, seen)
            weighted = [share.to(each.device)[:, None, None, None] * each for each in found]
            sums = [first + second for first, second in zip(sums, weighted, strict=True)] if sums else weighted
        without, conditioned = sums
        return without, conditioned

    def factors(self, views: RelativeViews) -> Tensor | float:
        if not self.by_angle:
            return 1.0
        nearest = torch.stack([each.angle for each in self._from_each(views)], dim=1).amin(dim=1)
        return (len(self.references) * nearest / math.pi).to(self.parts.device)

    def _predictions(
        self, noisy: Tensor, timesteps: Tensor, reference: Reference, views: RelativeViews
    ) -> tuple[Tensor, Tensor]:
        told = reference.condition
        token = tokens(told.embedding.to(noisy.device), camera(views), self.parts["projection"])
        latent = told.latent.to(noisy.device)
        if latent.shape[-2:] != noisy.shape[-2:]:
            latent = functional.interpolate(latent, noisy.shape[-2:], mode="area")
        seen, unet = inputs(noisy, latent), self.parts["unet"]
        return guided_halves(unet, self.frugality.slices, seen, timesteps, nothing_and(token))

    def _from_each(self, views: RelativeViews) -> list[RelativeViews]:
        first = self.references[0]
        return [views, *(seen_from(views, first, other) for other in self.references[1:])]

    def _trust(self, views: RelativeViews) -> Tensor:
        angles = torch.stack([each.angle for each in self._from_each(views)], dim=1)
        weights = torch.tensor([each.weight for each in self.references], dtype=angles.dtype, device=angles.device)
        return trust(angles, weights)


def _covering(extent: int, side: int) -> Tensor:
    """[side, extent]: by which share each old pixel is in each new one."""
    edges = torch.arange(side + 1, dtype=torch.float64) * extent / side
    old = torch.arange(extent, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], old + 1.0) - torch.maximum(edges[:-1, None], old)
    return (covered.clamp(min=0.0) * side / extent).float()
