"""The denoiser: a TripoSG transformer with skip connections, some of whose self-attentions see all instances.

Forty lines of structure are in `MidiTransformer.forward`; what makes it fast without changing a number is:

- a context of one token has a softmax of 1, so the first cross-attention is one constant vector per block and row;
- an unconditional row has a context of zeros and bias-free keys and values, so both its cross-attentions are their
  output biases: rows without a context cost nothing there;
- keys and values of a context do not depend on the timestep: `context` projects them once for a run;
- joint attention runs over one long sequence, so keys and values are never repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.midi.layers import CrossAttention, FeedForward, KeysValues, SelfAttention


@dataclass(frozen=True)
class TransformerConfig:
    """`transformer/config.json`. The defaults are the published hyperparameters.

    `multi_instance_blocks`: the blocks whose self-attention sees all instances of a scene. The published file does
    not name them; they are the five around the middle.
    """

    num_attention_heads: int = 16
    width: int = 2048
    in_channels: int = 64
    num_layers: int = 21
    cross_attention_dim: int = 768
    cross_attention_2_dim: int = 1024
    multi_instance_blocks: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.width % (2 * self.num_attention_heads):
            raise ValueError(f"width {self.width} is no even multiple of {self.num_attention_heads} heads")
        if self.multi_instance_blocks is None:
            middle = self.num_layers // 2
            around = range(max(middle - 2, 0), min(middle + 3, self.num_layers))
            object.__setattr__(self, "multi_instance_blocks", tuple(around))


@dataclass(frozen=True)
class BlockContext:
    """What one block reads from the two contexts, for all rows that have one.

    first: keys and values of the first cross-attention, or its finished output [B, 1, W] if the context is one token.
    second: keys and values of the second cross-attention.
    """

    first: KeysValues | Tensor
    second: KeysValues


Context = tuple[BlockContext, ...]


class TransformerBlock(nn.Module):
    """Optional skip connection, self-attention, two parallel cross-attentions, feed-forward; pre-norm residuals."""

    def __init__(self, config: TransformerConfig, takes_skip: bool) -> None:
        super().__init__()
        width, heads = config.width, config.num_attention_heads
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attn1 = SelfAttention(width, heads, query_key_norm=True)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.attn2 = CrossAttention(width, heads, config.cross_attention_dim, query_key_norm=True)
        self.norm2_2 = nn.LayerNorm(width, eps=1e-5)
        self.attn2_2 = CrossAttention(width, heads, config.cross_attention_2_dim, query_key_norm=True)
        self.norm3 = nn.LayerNorm(width, eps=1e-5)
        self.ff = FeedForward(width)
        if takes_skip:
            self.skip_norm = nn.LayerNorm(width, eps=1e-5)
            self.skip_linear = nn.Linear(2 * width, width)

    def context(self, first: Tensor, second: Tensor) -> BlockContext:
        """Projects the contexts [B, L₁, ·] and [B, L₂, ·] for all later calls."""
        single = first.shape[1] == 1
        return BlockContext(
            first=self.attn2.constant(first) if single else self.attn2.keys_values(first),
            second=self.attn2_2.keys_values(second),
        )

    def forward(
        self,
        hidden: Tensor,
        context: BlockContext | None = None,
        groups: Sequence[int] | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        """[B, T, W] → [B, T, W]; `context` belongs to the last rows, those before have none."""
        if skip is not None:
            hidden = self.skip_norm(self.skip_linear(torch.cat([skip, hidden], dim=-1)))
        hidden = hidden + self.attn1(self.norm1(hidden), groups)
        hidden = self._read(hidden, context)
        result: Tensor = hidden + self.ff(self.norm3(hidden))
        return result

    def _read(self, hidden: Tensor, context: BlockContext | None) -> Tensor:
        rows = 0 if context is None else len(context.second.keys)
        free, bound = hidden.tensor_split([len(hidden) - rows])
        parts = []
        if len(free):
            parts.append(free + (self.attn2.output.bias + self.attn2_2.output.bias))
        if context is not None:
            known = context.first
            first = known if isinstance(known, Tensor) else self.attn2(self.norm2(bound), known)
            parts.append(bound + first + self.attn2_2(self.norm2_2(bound), context.second))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class TimeProjection(nn.Module):
    """Sinusoid → vector of the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(width, 4 * width)
        self.linear_2 = nn.Linear(4 * width, width)

    def forward(self, sinusoid: Tensor) -> Tensor:
        projected: Tensor = self.linear_2(F.gelu(self.linear_1(sinusoid)))
        return projected


class MidiTransformer(nn.Module):
    """Latents of all instances, time, contexts → velocity (clean minus noise)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.time_proj = TimeProjection(config.width)
        self.proj_in = nn.Linear(config.in_channels, config.width)
        middle = config.num_layers // 2
        self.blocks = nn.ModuleList(
            [TransformerBlock(config, takes_skip=index > middle) for index in range(config.num_layers)]
        )
        self.norm_out = nn.LayerNorm(config.width, eps=1e-5)
        self.proj_out = nn.Linear(config.width, config.in_channels)

    def context(self, first: Tensor, second: Tensor) -> Context:
        """Everything that the blocks need of the conditions, computed once for a whole run.

        Args:
            first: [B, L₁, cross_attention_dim], L₁ is 1 in the published pipeline (one CLIP vector).
            second: [B, L₂, cross_attention_2_dim] (DINOv2 tokens).
        """
        dtype = self.proj_in.weight.dtype
        return tuple(block.context(first.to(dtype), second.to(dtype)) for block in self._blocks())

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        context: Context | None = None,
        groups: Sequence[int] | None = None,
    ) -> Tensor:
        """Predicts the velocity.

        Args:
            hidden_states: noisy latents [B, N, in_channels].
            timestep: [B], 0 … 1000.
            context: from `context`, for the last rows of the batch; the rows before are unconditional.
            groups: sizes of the runs of rows that form one scene (see `instance_groups`), summing to B; None: each
                row is a scene of its own.

        Returns:
            [B, N, in_channels], in the dtype of the weights.

        Raises:
            ValueError: groups or context do not fit the batch.
        """
        rows = len(hidden_states)
        if groups is not None and (sum(groups) != rows or min(groups) < 1):
            raise ValueError(f"the groups {tuple(groups)} do not add up to the {rows} rows of the batch")
        if context is not None and len(context[0].second.keys) > rows:
            raise ValueError(f"there are contexts for {len(context[0].second.keys)} rows but only {rows} rows")
        dtype = self.proj_in.weight.dtype
        time = self.time_proj(sinusoid(timestep, self.config.width).to(dtype))
        hidden = torch.cat([time.unsqueeze(1), self.proj_in(hidden_states.to(dtype))], dim=1)
        middle = self.config.num_layers // 2
        skips: list[Tensor] = []
        for index, block in enumerate(self._blocks()):
            hidden = block(
                hidden,
                context=None if context is None else context[index],
                groups=groups if index in (self.config.multi_instance_blocks or ()) else None,
                skip=skips.pop() if index > middle else None,
            )
            if index < middle:
                skips.append(hidden)
        velocity: Tensor = self.proj_out(self.norm_out(hidden[:, 1:]))
        return velocity

    def _blocks(self) -> list[TransformerBlock]:
        return [block for block in self.blocks if isinstance(block, TransformerBlock)]


def sinusoid(timestep: Tensor, width: int) -> Tensor:
    """[B] → [B, width] float32: sines, then cosines, of `timestep` at width/2 frequencies from 1 down to 1/10000."""
    half = width // 2
    exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=timestep.device) / half
    angle = timestep.to(torch.float32)[:, None] * exponent.exp()
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def instance_groups(rows: int, num_instances: int | Sequence[int], slots: int | None = None) -> tuple[int, ...]:
    """Which rows of a batch form a scene, as group sizes for `MidiTransformer.forward`.

    Args:
        rows: rows of the batch: all scenes, once or (with guidance) twice.
        num_instances: instances of every scene; or, with `slots`, one number per scene.
        slots: rows that each scene takes. Those beyond its instances are padding and see only themselves.

    Raises:
        ValueError: the numbers do not fit together.
    """
    counts = (num_instances,) if isinstance(num_instances, int) else tuple(num_instances)
    slots = slots or max(counts, default=0)
    if not counts or min(counts) < 1 or max(counts) > slots:
        raise ValueError(f"scenes of {counts} instances do not fit into {slots} rows each")
    pattern = tuple(size for count in counts for size in (count, *(1,) * (slots - count)))
    if rows % sum(pattern):
        raise ValueError(f"{rows} rows are no multiple of {len(counts)} scenes with {slots} rows each")
    return pattern * (rows // sum(pattern))
