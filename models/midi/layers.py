"""Attention and feed-forward, as the transformer and the autoencoder share them.

Parameter names are those of the published checkpoint. So is the layout of the heads, which is unusual: they are cut
from the concatenated projections. Of the rows [to_q; to_k; to_v], head h owns the 3·d rows from 3·h·d on, first d of
query, then d of key, then d of value; in cross-attention [to_k; to_v] is cut the same way by pairs.

Axes: B batch, T tokens of the query side, L tokens of the context, W width, H heads, d width of a head (W = H·d).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeysValues(NamedTuple):
    """Projected context of a cross-attention: keys and values, [B, L, H, d] each."""

    keys: Tensor
    values: Tensor

    def of(self, row: int) -> KeysValues:
        """The context of one row, the batch axis kept."""
        return KeysValues(self.keys[row : row + 1], self.values[row : row + 1])


class _Projections(nn.Module):
    """The parameters of an attention: bias-free inputs, output with bias, optional RMS norm of queries and keys."""

    def __init__(self, width: int, heads: int, context_width: int, query_key_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])
        self.norm_q = nn.RMSNorm(width // heads, eps=1e-6) if query_key_norm else nn.Identity()
        self.norm_k = nn.RMSNorm(width // heads, eps=1e-6) if query_key_norm else nn.Identity()

    @property
    def output(self) -> nn.Linear:
        """The output projection."""
        return cast(nn.Linear, self.to_out[0])


class SelfAttention(_Projections):
    """Self-attention within one row, or jointly over the tokens of several rows."""

    def __init__(self, width: int, heads: int, query_key_norm: bool = False) -> None:
        super().__init__(width, heads, width, query_key_norm)

    def forward(self, hidden: Tensor, groups: Sequence[int] | None = None) -> Tensor:
        """[B, T, W] → [B, T, W]; `groups`: sizes of the runs of rows that see each other, each row alone if None.

        A group is attended to as one long sequence, so that its keys and values are never copied.
        """
        rows, tokens, _ = hidden.shape
        weight = torch.cat([self.to_q.weight, self.to_k.weight, self.to_v.weight])
        query, key, value = F.linear(hidden, weight).view(rows, tokens, self.heads, 3, -1).unbind(-2)
        query, key = self.norm_q(query), self.norm_k(key)
        parts = []
        start = 0
        for size, run in groupby(groups or (1,) * rows):
            stop = start + size * sum(1 for _ in run)
            joint = (each[start:stop].reshape(-1, size * tokens, *each.shape[2:]) for each in (query, key, value))
            parts.append(attend(*joint).reshape(stop - start, tokens, -1))
            start = stop
        attended: Tensor = self.output(parts[0] if len(parts) == 1 else torch.cat(parts))
        return attended


class CrossAttention(_Projections):
    """Attention to a context whose keys and values are projected once and used often."""

    def __init__(
        self,
        width: int,
        heads: int,
        context_width: int | None = None,
        query_key_norm: bool = False,
        context_norm: bool = False,
    ) -> None:
        super().__init__(width, heads, context_width or width, query_key_norm)
        self.norm_cross = nn.LayerNorm(context_width or width, eps=1e-5) if context_norm else nn.Identity()

    def keys_values(self, context: Tensor) -> KeysValues:
        """Context [B, L, width of the context] → keys and values [B, L, H, d]."""
        weight = torch.cat([self.to_k.weight, self.to_v.weight])
        projected = F.linear(self.norm_cross(context), weight)
        key, value = projected.view(*context.shape[:2], self.heads, 2, -1).unbind(-2)
        # Contiguous: the keys are read in every step, and a view would keep both halves alive anyway.
        return KeysValues(self.norm_k(key).contiguous(), value.contiguous())

    def constant(self, context: Tensor) -> Tensor:
        """What every query gets from a context of one token [B, 1, …]: the softmax over one key is 1. → [B, 1, W]."""
        result: Tensor = self.output(self.keys_values(context).values.flatten(-2))
        return result

    def forward(self, hidden: Tensor, context: KeysValues) -> Tensor:
        """[B, T, W] → [B, T, W]."""
        query = self.norm_q(self.to_q(hidden).view(*hidden.shape[:2], self.heads, -1))
        attended: Tensor = self.output(attend(query, *context))
        return attended


class Widening(nn.Module):
    """The first half of a `FeedForward`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 4 * width)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.gelu(self.proj(hidden))


class FeedForward(nn.Module):
    """W → 4·W → W with an exact GELU; indexed as published (net.0.proj, net.2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([Widening(width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.net:
            hidden = layer(hidden)
        return hidden


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention, scaled by 1/√d: query [B, T, H, d], key and value [B, L, H, d] → [B, T, H·d]."""
    attended = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    return attended.transpose(1, 2).flatten(-2)
