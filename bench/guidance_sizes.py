"""How large the networks of the priors are, as published, and they themselves without weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from bench.hi3d_sizes import VAE, tower
from bench.midi_stages import made
from models.guidance.memory import STABLE_DIFFUSION, ZERO123

UNET: dict[str, Any] = {
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
TEXT: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "projection_dim": 768,
}
TOKENS: Mapping[str, int] = {STABLE_DIFFUSION: 77, ZERO123: 1}
CHANNELS: Mapping[str, int] = {STABLE_DIFFUSION: 4, ZERO123: 8}
LATENTS: Mapping[str, int] = {STABLE_DIFFUSION: 64, ZERO123: 32}
"""Along a side."""

PARAMETERS: Mapping[str, Mapping[str, int]] = {
    STABLE_DIFFUSION: {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    ZERO123: {"unet": 859_532_484, "vae": 83_653_863, "image_encoder": 303_966_208},
}


def network(prior: str, part: str, dtype: torch.dtype = torch.float16) -> Any:
    """One network at the published size, on the meta device, frozen."""
    import diffusers
    import transformers

    def make() -> Any:
        if part == "unet":
            config = {**UNET, "in_channels": CHANNELS[prior], "sample_size": LATENTS[prior]}
            return diffusers.UNet2DConditionModel.from_config(config)
        if part == "vae":
            return diffusers.AutoencoderKL.from_config(VAE)
        if part == "text_encoder":
            return transformers.CLIPTextModel(transformers.CLIPTextConfig.from_dict(TEXT))
        return transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig.from_dict(tower(False)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is initialised there, which torch remarks on
        return made(make, torch.device("meta"), dtype).to("meta").requires_grad_(False)
