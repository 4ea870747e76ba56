"""The one picture that is known of an object, and from where it was taken."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.magic123.cameras import FIELD_OF_VIEW, RADIUS, Orbit


@dataclass(frozen=True)
class Reference:
    """A square picture of an object that fills it as `radius` and `field_of_view` say.

    picture: `[S, S, 3]` float32 in 0 … 1, on white.
    alpha: `[S, S]`, what of each pixel the object covers.
    depth: `[S, S]` or None, relative and nearer the larger, 0 … 1, as networks for single pictures tell it.
    polar, azimuth: of its camera, degrees; see `cameras`. radius: its distance. field_of_view: degrees.

    Raises:
        ValueError: shapes do not fit, something is not finite, or the picture shows no object.
    """

    picture: Tensor
    alpha: Tensor
    depth: Tensor | None = None
    polar: float = 90.0
    azimuth: float = 0.0
    radius: float = RADIUS
    field_of_view: float = FIELD_OF_VIEW

    def __post_init__(self) -> None:
        size = self.picture.shape[0] if self.picture.dim() else 0
        shapes = [self.alpha.shape] if self.depth is None else [self.alpha.shape, self.depth.shape]
        if not size or self.picture.shape != (size, size, 3) or any(each != (size, size) for each in shapes):
            raise ValueError("A reference view has a square picture [S, S, 3] and alpha and depth [S, S] beside it.")
        kept = [each for each in (self.picture, self.alpha, self.depth) if each is not None]
        if not all(bool(each.isfinite().all()) for each in kept):
            raise ValueError("The reference view has pixels that are no numbers.")
        if not bool((self.alpha > 0.5).any()):
            raise ValueError("The reference view shows no object: nothing of it is covered.")

    @property
    def orbit(self) -> Orbit:
        """Its camera."""
        return Orbit.of(self.polar, self.azimuth, self.radius, self.field_of_view)

    def at(self, size: int) -> Reference:
        """The same view with `size` pixels along each side, each the mean of what it covers."""
        if size == len(self.picture):
            return self
        layers = [self.picture.permute(2, 0, 1), self.alpha[None]]
        layers += [] if self.depth is None else [self.depth[None]]
        together = torch.cat(layers)[None].float()
        resized = functional.interpolate(together, (size, size), mode="bilinear", antialias=True)[0].clamp(0, 1)
        depth = None if self.depth is None else resized[4]
        return Reference(
            resized[:3].permute(1, 2, 0), resized[3], depth, self.polar, self.azimuth, self.radius, self.field_of_view
        )
