"""Image tokens → three feature planes: the transformer of LRM (Hong et al. 2023, arXiv 2311.04400).

Learned tokens, one per place on each of three planes, ask the image tokens and each other; a transposed convolution
doubles the resolution. Parameter names are those of the published checkpoint, the attentions in the layout of torch's
`MultiheadAttention`.

Axes: B objects, T plane tokens (plane, row, column), L image tokens, W width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.lrm.configs import TransformerConfig

PLANES = 3
BLOCK_NORM_EPS = 1e-5  # the published configuration says 1e-6, but the blocks never were given it
FINAL_NORM_EPS = 1e-6


class Attention(nn.Module):
    """Attention without biases, parameters laid out as `torch.nn.MultiheadAttention` does.

    Query, key and value are one packed matrix where the context is as wide as the query, three where it is not.
    """

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.packed = context_width in (None, width)
        if self.packed:
            self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        else:
            self.q_proj_weight = nn.Parameter(torch.empty(width, width))
            self.k_proj_weight = nn.Parameter(torch.empty(width, context_width or width))
            self.v_proj_weight = nn.Parameter(torch.empty(width, context_width or width))
        self.out_proj = nn.Linear(width, width, bias=False)
        for name, weight in self.named_parameters():
            if name.endswith("proj_weight"):
                nn.init.xavier_uniform_(weight)

    def forward(self, hidden: Tensor, context: Tensor | None = None) -> Tensor:
        """Queries [B, T, W] and a context [B, L, …], the queries themselves if None → [B, T, W]."""
        context = hidden if context is None else context
        weights = (
            self.in_proj_weight.chunk(3)
            if self.packed
            else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        )
        query, key, value = (
            F.linear(source, weight).view(*source.shape[:2], self.heads, -1).transpose(1, 2)
            for source, weight in zip((hidden, context, context), weights, strict=True)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(-2)
        result: Tensor = self.out_proj(attended)
        return result


def feed_forward(width: int, dropout: float = 0.0) -> nn.Sequential:
    """W → 4·W → W with an exact GELU, indexed as published (0 and 3).

    Args:
        dropout: share of the numbers that training leaves out, of the inner ones and of the result.
    """
    inner, outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    return nn.Sequential(inner, nn.GELU(), nn.Dropout(dropout), outer, nn.Dropout(dropout))


class Block(nn.Module):
    """Cross-attention to the pictures, self-attention among the planes, feed-forward; pre-norm residuals."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=BLOCK_NORM_EPS) for _ in range(3))
        self.cross_attn = Attention(width, config.heads, config.context_width)
        self.self_attn = Attention(width, config.heads)
        self.mlp = feed_forward(width)

    def forward(self, hidden: Tensor, context: Tensor) -> Tensor:
        """[B, T, W] and [B, L, context width] → [B, T, W]."""
        hidden = hidden + self.cross_attn(self.norm1(hidden), context)
        hidden = hidden + self.self_attn(self.norm2(hidden))
        result: Tensor = hidden + self.mlp(self.norm3(hidden))
        return result


class TriplaneTransformer(nn.Module):
    """From the tokens of all views, in any order, to the planes of one object."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, tokens = config.width, PLANES * config.low_resolution**2
        self.pos_embed = nn.Parameter(torch.randn(1, tokens, width) * width**-0.5)
        self.layers = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(width, eps=FINAL_NORM_EPS)
        self.deconv = nn.ConvTranspose2d(width, config.plane_channels, kernel_size=2, stride=2)

    def forward(self, context: Tensor, after_layer: Callable[[], None] | None = None) -> Tensor:
        """Image tokens [B, L, context width] → planes [B, 3, channels, 2·low, 2·low].

        `after_layer` is called after each block; an exception from it ends the work.
        """
        hidden = self.pos_embed.expand(len(context), -1, -1)
        for layer in self.layers:
            hidden = layer(hidden, context)
            if after_layer is not None:
                after_layer()
        side = self.config.low_resolution
        grids: Tensor = self.norm(hidden).reshape(-1, side, side, self.config.width).permute(0, 3, 1, 2)
        planes: Tensor = self.deconv(grids)
        return planes.reshape(-1, PLANES, *planes.shape[1:])
