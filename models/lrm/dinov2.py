"""Pictures → tokens: DINOv2 with registers (Oquab et al. 2023, arXiv 2304.07193; Darcet et al. 2023, arXiv 2309.16588).

Registers are tokens of no place that the network has for its own use; they are not given on. Parameter names are the
original ones. Axes: V views, T tokens of a view, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-6
FIRST_SCALE = 1e-5
"""What a layer's part is scaled with before training."""


@dataclass(frozen=True)
class DinoV2Config:
    """Sizes; the defaults are `dinov2_vitb14_reg`."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    patch_size: int = 14
    image_size: int = 518  # pixels that the position table was made for
    registers: int = 4


class Attention(nn.Module):
    """Self-attention with biases and one matrix for query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[V, T, W] → [V, T, W]."""
        query, key, value = self.qkv(hidden).view(*hidden.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended: Tensor = self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(-2))
        return attended


class LayerScale(nn.Module):
    """A factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), FIRST_SCALE))

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden * self.gamma


class Block(nn.Module):
    """Self-attention and feed-forward, pre-norm residuals, scaled."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=NORM_EPS) for _ in range(2))
        self.attn = Attention(width, heads)
        self.ls1, self.ls2 = LayerScale(width), LayerScale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, hidden: Tensor) -> Tensor:
        """[V, T, W] → [V, T, W]."""
        hidden = hidden + self.ls1(self.attn(self.norm1(hidden)))
        inner = self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(hidden))))
        result: Tensor = hidden + self.ls2(inner)
        return result


class DinoV2(nn.Module):
    """The network; `forward` gives the class token and the patches, normed."""

    def __init__(self, config: DinoV2Config) -> None:
        super().__init__()
        width, side = config.width, config.image_size // config.patch_size
        self.config = config
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + side * side, width) * 0.02)
        self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, config.patch_size, stride=config.patch_size)})
        self.blocks = nn.ModuleList([Block(width, config.heads) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, pixels: Tensor, after_layer: Callable[[], None] | None = None) -> Tensor:
        """Pixels [V, 3, H, W], both sides multiples of the patch size → [V, 1 + patches, W].

        `after_layer` is called after each block; an exception from it ends the work.
        """
        patches: Tensor = self.patch_embed["proj"](pixels)
        rows, columns = patches.shape[2:]
        tokens = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        tokens = tokens + self.positions(rows, columns)
        registers = self.register_tokens.expand(len(pixels), -1, -1)
        hidden = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
        for block in self.blocks:
            hidden = block(hidden)
            if after_layer is not None:
                after_layer()
        normed = self.norm(hidden)
        return torch.cat([normed[:, :1], normed[:, 1 + self.config.registers :]], dim=1)

    def positions(self, rows: int, columns: int) -> Tensor:
        """The position table resized to another grid, bicubic with antialiasing: [1, 1 + rows · columns, W]."""
        table = self.pos_embed
        side = self.config.image_size // self.config.patch_size
        if (rows, columns) == (side, side):
            return table
        grid = table[:, 1:].transpose(1, 2).reshape(1, -1, side, side).float()
        scale = (rows / side, columns / side)
        resized = F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=True, align_corners=False)
        return torch.cat([table[:, :1], resized.flatten(2).transpose(1, 2).to(table.dtype)], dim=1)
