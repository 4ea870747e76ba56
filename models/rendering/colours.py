"""Where the colours of a surface come from: a field in space, or a texture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.isosurface.sampling import FieldError, Report
from models.rendering.rasteriser import Hits

ColourField = Callable[[Tensor], Tensor]
"""`[N, 3]` float32 points -> `[N, 3]` colours 0 to 1, sRGB as it is displayed, of any float type and on any device."""

CHUNK = 2**15
"""Points asked for at once: what a field makes of these stays in a processor's cache, which halves the time there."""


def ask(field: ColourField, points: Tensor, chunk: int = CHUNK, progress: Report | None = None) -> Tensor:
    """Colours `[N, 3]` float32 at points `[N, 3]`, in chunks, limited to 0 to 1, on the points' device.

    Raises:
        FieldError: the field returned something else than three finite numbers per point.
    """
    colours = torch.empty(len(points), 3, dtype=torch.float32, device=points.device)
    for start in range(0, len(points), chunk):
        piece = points[start : start + chunk].float()
        answer = field(piece)
        if answer.shape != piece.shape:
            raise FieldError(f"The field returned {list(answer.shape)} colours for {len(piece)} points.")
        if not bool(torch.isfinite(answer).all()):
            raise FieldError("The field returned a colour that is not a finite number.")
        colours[start : start + len(piece)] = answer.to(colours).clamp(0, 1)
        if progress is not None:
            progress((start + len(piece)) / len(points))
    return colours


@dataclass(frozen=True)
class Texture:
    """A picture on a surface.

    Attributes:
        image: `[H, W, 3]`, uint8 or float 0 to 1.
        uv: `[W, 2]` texture coordinates in glTF's convention. faces: `[F, 3]`, which of them a triangle's corners have.
    """

    image: Tensor
    uv: Tensor
    faces: Tensor

    def at(self, hits: Hits) -> Tensor:
        """`[N, 3]` float32 colours, filtered linearly between texels, the border repeated (glTF's clamp to edge)."""
        return sampled(self.image, hits.interpolate(self.uv, self.faces))

    def halved(self) -> Texture:
        """The next mip level: means of two by two texels, of an image with even sides."""
        image = unit(self.image)
        return Texture(functional.avg_pool2d(image.movedim(2, 0)[None], 2)[0].movedim(0, 2), self.uv, self.faces)


def sampled(image: Tensor, uv: Tensor) -> Tensor:
    """`[N, 3]` float32 colours of an image `[H, W, 3]` at texture coordinates `[N, 2]`, filtered linearly."""
    grid = (2 * uv.float() - 1)[None, None]
    return functional.grid_sample(
        unit(image).movedim(2, 0)[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0, :, 0].T


def unit(image: Tensor) -> Tensor:
    """An image as float32, 0 to 1."""
    return image.float() / 255 if image.dtype == torch.uint8 else image.float()
