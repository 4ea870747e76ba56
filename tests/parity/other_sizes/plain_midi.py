"""The transformer and the autoencoder of MIDI once more, as plain functions of a state dict.

As `plain.py`, nothing of `models/` is used: attention is computed row by row and head by head, contexts are given to
every row whether they are zero or not, and nothing is computed once for several steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tests.parity.other_sizes.plain import Weights, linear, norm, under

Seen = Sequence[Sequence[int]]
"""Of each row the rows whose tokens its self-attention sees."""


def cut(parts: Sequence[Tensor], heads: int) -> list[Tensor]:
    """Heads are cut from all projections laid side by side: [B, T, W] each → [B, T, H, d] each."""
    joined = torch.cat(list(parts), -1)
    width = joined.shape[-1] // heads // len(parts)
    starts = [[(head * len(parts) + part) * width for head in range(heads)] for part in range(len(parts))]
    return [torch.stack([joined[..., at : at + width] for at in row], 2) for row in starts]


def rms(w: Weights, name: str, x: Tensor) -> Tensor:
    if f"{name}.weight" not in w:
        return x
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * w[f"{name}.weight"]


def attention(w: Weights, x: Tensor, heads: int, context: Tensor | None = None, seen: Seen | None = None) -> Tensor:
    """[B, T, W]: to itself, or to a context [B, L, …]."""
    if context is None:
        query, key, value = cut([linear(w, name, x) for name in ("to_q", "to_k", "to_v")], heads)
    else:
        (query,) = cut([linear(w, "to_q", x)], heads)
        if "norm_cross.weight" in w:
            context = norm(w, "norm_cross", context, 1e-5)
        key, value = cut([linear(w, name, context) for name in ("to_k", "to_v")], heads)
    query, key = rms(w, "norm_q", query), rms(w, "norm_k", key)
    rows = []
    for row in range(len(x)):
        others = [row] if seen is None else list(seen[row])
        keys, values = key[others].flatten(0, 1), value[others].flatten(0, 1)
        each = []
        for head in range(heads):
            scores = query[row, :, head] @ keys[:, head].T / math.sqrt(query.shape[-1])
            each.append(scores.softmax(-1) @ values[:, head])
        rows.append(torch.cat(each, -1))
    return linear(w, "to_out.0", torch.stack(rows))


def widened(w: Weights, x: Tensor) -> Tensor:
    return linear(w, "ff.net.2", F.gelu(linear(w, "ff.net.0.proj", x)))


def sinusoid(times: Tensor, width: int) -> Tensor:
    """In float32, as published."""
    half = width // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angles = times.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def time_vector(w: Weights, times: Tensor, width: int) -> Tensor:
    projected = linear(w, "time_proj.linear_1", sinusoid(times, width).double())
    return linear(w, "time_proj.linear_2", F.gelu(projected))


def velocity(
    w: Weights, latents: Tensor, times: Tensor, first: Tensor, second: Tensor, heads: int, layers: int,
    joint: Sequence[int] = (), seen: Seen | None = None,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """Latents [B, N, channels] with both contexts of every row → the velocity, and what each block gave.

    joint: blocks whose self-attention sees the rows in `seen`.
    """
    width, middle = w["proj_in.weight"].shape[0], layers // 2
    x = torch.cat([time_vector(w, times, width)[:, None], linear(w, "proj_in", latents)], 1)
    stack: list[Tensor] = []
    blocks = []
    for index in range(layers):
        b = under(w, f"blocks.{index}.")
        if index > middle:
            x = norm(b, "skip_norm", linear(b, "skip_linear", torch.cat([stack.pop(), x], -1)), 1e-5)
        own = norm(b, "norm1", x, 1e-5)
        x = x + attention(under(b, "attn1."), own, heads, seen=seen if index in joint else None)
        one = attention(under(b, "attn2."), norm(b, "norm2", x, 1e-5), heads, first)
        x = x + one + attention(under(b, "attn2_2."), norm(b, "norm2_2", x, 1e-5), heads, second)
        x = x + widened(b, norm(b, "norm3", x, 1e-5))
        blocks.append(x)
        if index < middle:
            stack.append(x)
    return linear(w, "proj_out", norm(w, "norm_out", x[:, 1:], 1e-5)), blocks


def scenes(counts: Sequence[int], slots: int) -> Seen:
    """Of scenes in so many slots each: instances see each other, padding sees itself alone."""
    found: list[list[int]] = []
    for scene, count in enumerate(counts):
        rows = [scene * slots + slot for slot in range(slots)]
        found += [rows[:count] if slot < count else [rows[slot]] for slot in range(slots)]
    return found


def sigmas(steps: int, shift: float = 1.0, mu: float | None = None) -> tuple[Tensor, Tensor]:
    """Sigmas, which end with 0, and timesteps."""
    found = []
    for step in range(steps):
        u = 1 - step / steps
        found.append(shift * u / (1 + (shift - 1) * u) if mu is None else math.exp(mu) / (math.exp(mu) + 1 / u - 1))
    each = torch.tensor(found)
    return F.pad(each, (0, 1)), each * 1000


# the autoencoder


def embedded(points: Tensor, frequencies: Tensor) -> Tensor:
    """[…, 3] → the point, the sines of x, y and z, the cosines."""
    angles = torch.cat([points[..., axis : axis + 1] * frequencies for axis in range(3)], -1)
    return torch.cat([points, angles.sin(), angles.cos()], -1)


def block(w: Weights, x: Tensor, heads: int, context: Tensor | None = None) -> Tensor:
    """Attention and feed-forward of the autoencoder: to itself by attn1, to a context by attn2."""
    if context is None:
        x = x + attention(under(w, "attn1."), norm(w, "norm1", x, 1e-5), heads)
    else:
        x = x + attention(under(w, "attn2."), norm(w, "norm2", x, 1e-5), heads, context)
    return x + widened(w, norm(w, "norm3", x, 1e-5))


def spread(positions: NDArray[np.float64], count: int) -> list[int]:
    """Indices of well-spread points, the first one first, each the farthest from those before."""
    picked = [0]
    while len(picked) < count:
        squares = [((positions - positions[each]) ** 2).sum(1) for each in picked]
        picked.append(int(np.argmax(np.min(squares, axis=0))))
    return picked


def encoded(w: Weights, sampled: Tensor, cloud: Tensor, frequencies: Tensor, layers: int, heads: int) -> Tensor:
    """Points with normals [B, P, 6] → means and logarithms of variances, side by side."""
    e = under(w, "encoder.")
    first, second = (
        linear(e, "proj_in", torch.cat([embedded(each[..., :3], frequencies), each[..., 3:]], -1))
        for each in (sampled, cloud)
    )
    x = block(under(e, "blocks.0."), first, heads, second)
    for index in range(1, layers + 1):
        x = block(under(e, f"blocks.{index}."), x, heads)
    return linear(w, "quant", norm(e, "norm_out", x, 1e-5))


def tokens(w: Weights, latents: Tensor, layers: int, heads: int) -> Tensor:
    x = linear(w, "post_quant", latents)
    for index in range(layers):
        x = block(under(w, f"decoder.blocks.{index}."), x, heads)
    return x


def values(w: Weights, known: Tensor, points: Tensor, frequencies: Tensor, layers: int, heads: int) -> Tensor:
    """The field at points [B, P, 3] of latents whose `tokens` are known, [B, P, 1]; negative inside."""
    d = under(w, "decoder.")
    x = block(under(d, f"blocks.{layers}."), linear(d, "proj_query", embedded(points, frequencies)), heads, known)
    return -linear(d, "proj_out", norm(d, "norm_out", x, 1e-5))


# from values to triangles


def box_mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of 27 neighbours, zeros beyond the border."""
    padded = np.pad(values.astype(np.float64), 1)
    x, y, z = values.shape
    shifts = [padded[i : i + x, j : j + y, k : k + z] for i in range(3) for j in range(3) for k in range(3)]
    return np.sum(shifts, axis=0) / 27


def lattice(low: Sequence[float], high: Sequence[float], count: int) -> NDArray[np.float32]:
    """[count³, 3], x slowest."""
    axes = [np.linspace(a, b, count, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    return np.array([(x, y, z) for x in axes[0] for y in axes[1] for z in axes[2]], np.float32)
