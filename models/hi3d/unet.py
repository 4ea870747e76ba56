"""The network that denoises the frames: diffusers' spatio-temporal UNet, with the arithmetic of the published one.

Three things differ from diffusers' own Stable Video Diffusion: the residual blocks' norms have one epsilon everywhere,
the vector that goes with the time comes ready, and the only token of the picture is attended to without asking: a
softmax over one token is 1, so queries, keys and scores are left out, and the value is computed once and not for
every pixel. The numbers are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hi3d.frugal import able
from models.hi3d.shapes import UNET_CLASS

EPSILON = 1e-5
"""Of all norms in residual blocks. diffusers has 1e-6 in some; those of the transformers are 1e-6 in both."""


def as_published(unet: Any) -> Any:
    """The same network, brought to the published arithmetic; it takes ready vectors as `added_time_ids`."""
    for name, module in unet.named_modules():
        if "_res_block." in name and name.rpartition(".")[2] in ("norm1", "norm2"):
            module.eps = EPSILON
    unet.add_time_proj = nn.Identity()
    unet.set_attn_processor({name: FrameAttention() for name in unet.attn_processors})
    able(unet)
    return unet


def make_unet(config: Mapping[str, Any]) -> Any:
    """A network with random weights; `config`: see `shapes.unet_config`."""
    import diffusers

    return as_published(getattr(diffusers, UNET_CLASS).from_config(dict(config)))


def predict(unet: Any, sample: Tensor, timestep: Tensor, token: Tensor, vector: Tensor) -> Tensor:
    """The network's v.

    Args:
        sample: [clips, T, channels, h, w], noisy latents as `Schedule.scaled` gives them, then what is known of the
            frames.
        timestep: a number, shared by all clips.
        token: [clips, 1, width] of the picture.
        vector: [clips, length].

    Returns:
        [clips, T, latent channels, h, w], float32.
    """
    dtype = next(unet.parameters()).dtype
    found: Tensor = unet(
        sample.to(dtype),
        timestep,
        encoder_hidden_states=token.to(dtype),
        added_time_ids=vector.to(dtype),
        return_dict=False,
    )[0]
    return found.float()


class FrameAttention:
    """An attention processor of diffusers: attention to oneself, and to a single token.

    rows: queries at once, where attention holds a matrix of scores; None: all.
    """

    def __init__(self, rows: int | None = None) -> None:
        self.rows = rows

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """hidden_states [n, tokens, channels]; encoder_hidden_states [m, 1, width] of which each belongs to n / m rows
        in turn; None: attention to oneself."""
        if attention_mask is not None:
            raise NotImplementedError("no attention of Hi3D has a mask")
        if encoder_hidden_states is not None:
            if encoder_hidden_states.shape[1] != 1:
                raise ValueError(f"the picture is one token, not {encoder_hidden_states.shape[1]}")
            told: Tensor = attn.to_out[0](attn.to_v(encoder_hidden_states))
            times = len(hidden_states) // len(told)
            if times > 1:
                told = told[:, None].expand(-1, times, -1, -1).flatten(0, 1) if len(told) > 1 else told
            return told.expand(len(hidden_states), hidden_states.shape[1], -1)
        query, key, value = (
            layer(hidden_states).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            for layer in (attn.to_q, attn.to_k, attn.to_v)
        )
        pieces = [query] if self.rows is None else query.split(self.rows, dim=2)
        seen = [functional.scaled_dot_product_attention(each, key, value) for each in pieces]
        del query, key, value, pieces
        joined = seen[0] if len(seen) == 1 else torch.cat(seen, dim=2)
        output: Tensor = attn.to_out[0](joined.transpose(1, 2).flatten(2))
        return output
