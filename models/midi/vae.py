"""The autoencoder of TripoSG: a surface ↔ a set of latents ↔ a signed field.

Decoding is split where the work can be shared: `context` once per latent, `query` for any number of points. The field
is negative inside and zero on the surface; its values grow with the distance but are not calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.midi.layers import CrossAttention, FeedForward, KeysValues, SelfAttention

QUERY_CHUNK = 50_000


@dataclass(frozen=True)
class VaeConfig:
    """`vae/config.json`. The defaults are the published hyperparameters."""

    in_channels: int = 3
    latent_channels: int = 64
    num_attention_heads: int = 8
    width_encoder: int = 512
    width_decoder: int = 1024
    num_layers_encoder: int = 8
    num_layers_decoder: int = 16
    embedding_type: str = "frequency"
    embed_frequency: int = 8
    embed_include_pi: bool = False

    def __post_init__(self) -> None:
        if self.embedding_type != "frequency":
            raise ValueError(f"embedding_type {self.embedding_type!r} is not supported, only 'frequency'")
        if self.width_encoder % self.num_attention_heads or self.width_decoder % self.num_attention_heads:
            raise ValueError(f"the widths are no multiples of {self.num_attention_heads} heads")

    @property
    def embedding_width(self) -> int:
        """Channels of an embedded point: itself, sines and cosines."""
        return 3 * (1 + 2 * self.embed_frequency)


class Posterior(NamedTuple):
    """A diagonal Gaussian over latents, [B, tokens, latent_channels] each."""

    mean: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """`noise` [B, tokens, latent_channels], standard normal."""
        return self.mean + torch.exp(0.5 * self.logvar) * noise


class SelfBlock(nn.Module):
    """Self-attention and feed-forward, pre-norm residuals."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attn1 = SelfAttention(width, heads)
        self.norm3 = nn.LayerNorm(width, eps=1e-5)
        self.ff = FeedForward(width)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden + self.attn1(self.norm1(hidden))
        result: Tensor = hidden + self.ff(self.norm3(hidden))
        return result


class CrossBlock(nn.Module):
    """Cross-attention and feed-forward, pre-norm residuals."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.attn2 = CrossAttention(width, heads, context_norm=True)
        self.norm3 = nn.LayerNorm(width, eps=1e-5)
        self.ff = FeedForward(width)

    def forward(self, hidden: Tensor, context: KeysValues) -> Tensor:
        hidden = hidden + self.attn2(self.norm2(hidden), context)
        result: Tensor = hidden + self.ff(self.norm3(hidden))
        return result


class Encoder(nn.Module):
    """Embedded surface points → tokens: sampled points ask the whole cloud, then talk among themselves."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        width, heads = config.width_encoder, config.num_attention_heads
        self.proj_in = nn.Linear(config.embedding_width + config.in_channels, width)
        self.blocks = nn.ModuleList([CrossBlock(width, heads)])
        self.blocks.extend(SelfBlock(width, heads) for _ in range(config.num_layers_encoder))
        self.norm_out = nn.LayerNorm(width, eps=1e-5)

    def forward(self, sampled: Tensor, cloud: Tensor) -> Tensor:
        """[B, T, embedding + 3] and [B, P, embedding + 3] → [B, T, width_encoder]."""
        cross = self.blocks[0]
        assert isinstance(cross, CrossBlock)
        hidden = cross(self.proj_in(sampled), cross.attn2.keys_values(self.proj_in(cloud)))
        for block in self.blocks[1:]:
            hidden = block(hidden)
        normed: Tensor = self.norm_out(hidden)
        return normed


class Decoder(nn.Module):
    """Tokens talk among themselves once; then any point asks them for its value."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        width, heads = config.width_decoder, config.num_attention_heads
        self.blocks = nn.ModuleList([SelfBlock(width, heads) for _ in range(config.num_layers_decoder)])
        self.blocks.append(CrossBlock(width, heads))
        self.proj_query = nn.Linear(config.embedding_width, width)
        self.norm_out = nn.LayerNorm(width, eps=1e-5)
        self.proj_out = nn.Linear(width, 1)

    def tokens(self, hidden: Tensor) -> Tensor:
        """[B, T, width_decoder] → the same, after the self-attention blocks."""
        for block in self.blocks[:-1]:
            hidden = block(hidden)
        return hidden

    def keys_values(self, tokens: Tensor) -> KeysValues:
        """Tokens [B, T, width_decoder] → what the points attend to."""
        cross = self.blocks[-1]
        assert isinstance(cross, CrossBlock)
        return cross.attn2.keys_values(tokens)

    def forward(self, embedded: Tensor, context: KeysValues) -> Tensor:
        """Embedded points [B, P, embedding] → the network's value [B, P], positive inside."""
        hidden = self.blocks[-1](self.proj_query(embedded), context)
        value: Tensor = self.proj_out(self.norm_out(hidden))
        return value.squeeze(-1)


class MidiVae(nn.Module):
    """Surface → latents (`encode`), latents → signed field (`context`, `query`, or `field` for one latent)."""

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant = nn.Linear(config.width_encoder, 2 * config.latent_channels)
        self.post_quant = nn.Linear(config.latent_channels, config.width_decoder)

    def embed(self, points: Tensor) -> Tensor:
        """Points [..., 3] → [..., 3 + 6·frequencies] float32: the point, then all sines, then all cosines.

        Within the sines (cosines) the frequencies 1, 2, 4, … of x come first, then those of y, then of z. In half
        precision neighbouring grid planes would collapse, therefore always float32.
        """
        points = points.to(torch.float32)
        frequencies = 2.0 ** torch.arange(self.config.embed_frequency, dtype=torch.float32, device=points.device)
        if self.config.embed_include_pi:
            frequencies = frequencies * torch.pi
        angles = (points[..., None] * frequencies).flatten(-2)
        return torch.cat([points, angles.sin(), angles.cos()], dim=-1)

    def encode(self, surface: Tensor, tokens: int = 2048, seed: int = 0) -> Posterior:
        """Points with unit normals [B, P, 6] → a Gaussian over `tokens` latents, in the order of the sampled points."""
        sampled = sample_surface(surface, tokens, seed)
        dtype = self.quant.weight.dtype
        features = [torch.cat([self.embed(part[..., :3]), part[..., 3:]], -1).to(dtype) for part in (sampled, surface)]
        mean, logvar = self.quant(self.encoder(*features)).chunk(2, dim=-1)
        return Posterior(mean, logvar.clamp(-30.0, 20.0))

    def latent_tokens(self, latents: Tensor) -> Tensor:
        """Latents [B, T, latent_channels] → decoder tokens [B, T, width_decoder]."""
        return self.decoder.tokens(self.post_quant(latents.to(self.post_quant.weight.dtype)))

    def context(self, latents: Tensor) -> KeysValues:
        """Everything that `query` needs of the latents [B, T, latent_channels]; compute it once."""
        return self.decoder.keys_values(self.latent_tokens(latents))

    def query(self, context: KeysValues, points: Tensor, chunk: int = QUERY_CHUNK) -> Tensor:
        """The signed field at points, negative inside.

        Args:
            context: from `context`, B rows.
            points: [B, P, 3], or [P, 3] for the same points in all rows; about −1 … 1.
            chunk: points per row that are evaluated at once (memory grows with it).

        Returns:
            [B, P] float32.
        """
        rows = len(context.keys)
        points = points.to(torch.float32).expand(rows, -1, -1)
        values = torch.empty(points.shape[:2], dtype=torch.float32, device=points.device)
        for start in range(0, points.shape[1], chunk):
            window = slice(start, start + chunk)
            embedded = self.embed(points[:, window]).to(self.post_quant.weight.dtype)
            values[:, window] = -self.decoder(embedded, context)
        return values

    def field(self, latents: Tensor, chunk: int = QUERY_CHUNK) -> Callable[[Tensor], Tensor]:
        """The field of one instance, latents [T, latent_channels], as a function points [P, 3] → values [P].

        Points may be on another device than the network; the values come back to where the points are.
        """
        device = self.post_quant.weight.device
        context = self.context(latents[None].to(device))

        def evaluate(points: Tensor) -> Tensor:
            return self.query(context, points.to(device), chunk)[0].to(points.device)

        return evaluate


def sample_surface(surface: Tensor, tokens: int, seed: int) -> Tensor:
    """Picks well-spread points: 4·tokens at random (the same for all rows), of these `tokens` by farthest distance.

    Args:
        surface: [B, P, ≥ 3]; the first three channels are the position.
        tokens: points to pick.
        seed: of numpy's default generator. Points repeat if there are fewer than 4·tokens.

    Returns:
        [B, tokens, …], in the order of picking, starting at the first random point; ties go to the earlier point.
    """
    chosen = surface[:, candidates(surface.shape[1], tokens, seed)]
    position = chosen[..., :3]
    rows = torch.arange(len(surface), device=surface.device)
    picked = torch.zeros((len(surface), tokens), dtype=torch.int64, device=surface.device)
    nearest = torch.full(position.shape[:2], torch.inf, device=surface.device)
    for index in range(1, tokens):
        last = position[rows, picked[:, index - 1]]
        nearest = torch.minimum(nearest, (position - last[:, None]).square().sum(-1))
        picked[:, index] = nearest.argmax(dim=1)
    return chosen[rows[:, None], picked]


def candidates(points: int, tokens: int, seed: int) -> Tensor:
    """Indices of the 4·tokens points among which `sample_surface` picks."""
    count = 4 * tokens
    return torch.from_numpy(np.random.default_rng(seed).choice(points, count, replace=count > points))
