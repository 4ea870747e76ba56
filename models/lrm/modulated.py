"""Image tokens and a camera → three feature planes: the transformer of LRM (Hong et al. 2023, arXiv 2311.04400) as
OpenLRM and MIRA have it, whose every norm is scaled and shifted by the camera's embedding.

Parameter names are those of OpenLRM 1.1. Axes: N objects, T plane tokens (plane, row, column), L image tokens, W width,
E width of the camera's embedding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.lrm.transformer import PLANES, Attention, feed_forward

NORM_EPS = 1e-6


class CameraEmbedder(nn.Module):
    """The numbers of a camera → its embedding."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, cameras: Tensor) -> Tensor:
        """[N, inputs] → [N, E]."""
        embedded: Tensor = self.mlp(cameras)
        return embedded


class ModulatedNorm(nn.Module):
    """A layer norm, then a scale and a shift that the camera decides.

    Args:
        scale_first: which half of the numbers is the scale: the first (MIRA) or the second (OpenLRM).
    """

    def __init__(self, width: int, camera_width: int, scale_first: bool) -> None:
        super().__init__()
        self.scale_first = scale_first
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(camera_width, 2 * width))

    def forward(self, hidden: Tensor, camera: Tensor) -> Tensor:
        """[N, T, W] and [N, E] → [N, T, W]."""
        one, other = self.mlp(camera)[:, None].chunk(2, dim=-1)
        scale, shift = (one, other) if self.scale_first else (other, one)
        result: Tensor = self.norm(hidden) * (1 + scale) + shift
        return result


class ModulatedBlock(nn.Module):
    """Cross-attention to the picture, self-attention among the planes, feed-forward; pre-norm residuals."""

    def __init__(
        self, width: int, heads: int, context_width: int, camera_width: int, scale_first: bool, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (ModulatedNorm(width, camera_width, scale_first) for _ in range(3))
        self.cross_attn = Attention(width, heads, context_width)
        self.self_attn = Attention(width, heads)
        self.mlp = feed_forward(width, dropout)

    def forward(self, hidden: Tensor, context: Tensor, camera: Tensor) -> Tensor:
        """[N, T, W], [N, L, context width] and [N, E] → [N, T, W]."""
        hidden = hidden + self.cross_attn(self.norm1(hidden, camera), context)
        hidden = hidden + self.self_attn(self.norm2(hidden, camera))
        result: Tensor = hidden + self.mlp(self.norm3(hidden, camera))
        return result


class ModulatedTransformer(nn.Module):
    """All blocks and the last norm."""

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        context_width: int,
        camera_width: int,
        scale_first: bool,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [ModulatedBlock(width, heads, context_width, camera_width, scale_first, dropout) for _ in range(layers)]
        )
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(
        self, hidden: Tensor, context: Tensor, camera: Tensor, after_layer: Callable[[], None] | None = None
    ) -> Tensor:
        """As `ModulatedBlock`; `after_layer` is called after each block, an exception from it ends the work."""
        for layer in self.layers:
            hidden = layer(hidden, context, camera)
            if after_layer is not None:
                after_layer()
        normed: Tensor = self.norm(hidden)
        return normed


def to_planes(tokens: Tensor, upsampler: nn.Module) -> Tensor:
    """Tokens [N, T, W] → planes [N, 3, channels, 2 · side, 2 · side], all three by the same up-sampling."""
    count, amount, width = tokens.shape
    side = round((amount / PLANES) ** 0.5)
    grids = tokens.reshape(count * PLANES, side, side, width).permute(0, 3, 1, 2)
    planes: Tensor = upsampler(grids)
    return planes.reshape(count, PLANES, *planes.shape[1:])


def first_tokens(side: int, width: int) -> nn.Parameter:
    """The learned tokens that planes begin with, [1, 3 · side · side, W]."""
    return nn.Parameter(torch.randn(1, PLANES * side**2, width) * width**-0.5)
