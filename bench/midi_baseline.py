"""MIDI the published way, from the same weights: nothing is shared and every point of the lattice is asked.

What `python -m bench.midi` compares with, and what tests count operations of. Both halves of the guidance read both
contexts, the unconditional half zeros; the contexts are projected anew in every step; joint attention repeats its keys
and values for each instance; the decoder projects its context anew for every chunk of points and in both passes.
The numbers that come out are those of `models.midi`, up to rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.midi.conditioning import Conditions
from models.midi.denoising import Progress
from models.midi.layers import SelfAttention, attend
from models.midi.scheduler import Schedule
from models.midi.transformer import MidiTransformer, TransformerBlock, sinusoid
from models.midi.vae import MidiVae

CHUNK = 50_000
PASSES = 2


@torch.inference_mode()
def denoise(
    network: MidiTransformer,
    conditions: Conditions,
    noise: Tensor,
    schedule: Schedule,
    scale: float = 7.0,
    progress: Progress | None = None,
) -> Tensor:
    """Noise [n, tokens, channels] to latents, all rows one scene; arguments as for `models.midi.denoising.denoise`."""
    device, dtype = network.proj_in.weight.device, network.proj_in.weight.dtype
    first, second = (torch.cat([torch.zeros_like(each), each]).to(device, dtype) for each in conditions)
    latents = noise.to(device, torch.float32)
    for index in range(len(schedule)):
        if progress is not None:
            progress(index, len(schedule))
        time = schedule.timesteps[index].to(device).expand(2 * len(latents))
        both = velocity(network, latents.repeat(2, 1, 1), time, first, second).float()
        unconditional, conditional = both.chunk(2)
        latents = schedule.step(latents, unconditional + scale * (conditional - unconditional), index)
    if progress is not None:
        progress(len(schedule), len(schedule))
    return latents


def velocity(network: MidiTransformer, latents: Tensor, time: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Latents [2n, tokens, channels], time [2n], contexts [2n, 1, ·] and [2n, L, ·] → velocity as the latents."""
    config, dtype = network.config, network.proj_in.weight.dtype
    embedded = network.time_proj(sinusoid(time, config.width).to(dtype))
    hidden = torch.cat([embedded[:, None], network.proj_in(latents.to(dtype))], dim=1)
    middle = config.num_layers // 2
    skips: list[Tensor] = []
    for index, block in enumerate(network.blocks):
        assert isinstance(block, TransformerBlock)
        if index > middle:
            hidden = block.skip_norm(block.skip_linear(torch.cat([skips.pop(), hidden], dim=-1)))
        joint = len(hidden) // 2 if index in (config.multi_instance_blocks or ()) else 1
        hidden = hidden + self_attention(block.attn1, block.norm1(hidden), joint)
        read = block.attn2(block.norm2(hidden), block.attn2.keys_values(first))
        hidden = hidden + read + block.attn2_2(block.norm2_2(hidden), block.attn2_2.keys_values(second))
        hidden = hidden + block.ff(block.norm3(hidden))
        if index < middle:
            skips.append(hidden)
    result: Tensor = network.proj_out(network.norm_out(hidden[:, 1:]))
    return result


def self_attention(attention: SelfAttention, hidden: Tensor, joint: int) -> Tensor:
    """[B, T, W] → [B, T, W]; each run of `joint` rows sees its tokens together, each row through a copy of its own."""
    rows, tokens, _ = hidden.shape
    weight = torch.cat([attention.to_q.weight, attention.to_k.weight, attention.to_v.weight])
    query, key, value = F.linear(hidden, weight).view(rows, tokens, attention.heads, 3, -1).unbind(-2)
    query, key = attention.norm_q(query), attention.norm_k(key)
    key, value = (
        each.reshape(rows // joint, joint * tokens, *each.shape[2:]).repeat_interleave(joint, dim=0)
        for each in (key, value)
    )
    result: Tensor = attention.output(attend(query, key, value))
    return result


@torch.inference_mode()
def dense_values(vae: MidiVae, latents: Tensor, points: Tensor, chunk: int = CHUNK) -> Tensor:
    """One pass over points [P, 3], the same for all latents [n, tokens, channels] → values [n, P], float32."""
    tokens = vae.latent_tokens(latents)
    return torch.cat([chunk_values(vae, tokens, part) for part in torch.split(points, chunk)], dim=1)


@torch.inference_mode()
def chunk_values(vae: MidiVae, tokens: Tensor, points: Tensor) -> Tensor:
    """One chunk of `dense_values`; tokens [n, T, W] from `MidiVae.latent_tokens`."""
    return vae.query(vae.decoder.keys_values(tokens), points, chunk=len(points))
