"""How large the networks of InstantMesh are: those that make the views, as published. `models/lrm/configs.py` has the
others."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from bench.midi_stages import made

UNET: dict[str, Any] = {
    "sample_size": 96,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 2,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
}
VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "scaling_factor": 0.18215,
}
VISION: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 1024,
    "hidden_act": "gelu",
}
TOKENS, WIDTH = 77, 1024
"""Of the empty text's embedding."""

PHOTO = 512
"""Pixels along a side of the picture that the VAE encodes."""

PARAMETERS: Mapping[str, int] = {"unet": 865_910_724, "vae": 83_653_863, "vision_encoder": 632_076_800}


def network(part: str, dtype: torch.dtype = torch.float32) -> Any:
    """ "unet", "vae" or "vision_encoder" at the published size, on the meta device."""
    import diffusers
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    def diffusion(class_name: str, config: dict[str, Any]) -> Any:
        return getattr(diffusers, class_name).from_config(config)

    makers = {
        "unet": lambda: diffusion("UNet2DConditionModel", UNET),
        "vae": lambda: diffusion("AutoencoderKL", VAE),
        "vision_encoder": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is initialised there, which torch remarks on
        return made(makers[part], torch.device("meta"), dtype)
