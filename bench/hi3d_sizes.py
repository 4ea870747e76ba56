"""How large the networks of Hi3D are, as published; tests/parity/hi3d/test_sizes.py compares them with the files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from bench.midi_stages import made
from models.hi3d.denoising import Conditions
from models.hi3d.files import FRAMES, ORBIT, Stage
from models.hi3d.shapes import CLIP_HEADS, DEPTH_BLOCKS, DEPTH_HEADS, DEPTH_PATCH, UNET_CLASS, VAE_CLASS, VAE_SCALING
from models.hi3d.unet import as_published

TOKEN = 1024
VECTOR: Mapping[int, int] = {1: 768, 2: 512}
CHANNELS: Mapping[int, int] = {1: 8, 2: 17}
"""Of the UNet's vector and input, by stage."""

PARAMETERS: Mapping[int, Mapping[str, int]] = {
    1: {"unet": 1_524_623_082, "vae": 83_653_863, "image_encoder": 632_076_800, "score_encoder": 303_966_208},
    2: {"unet": 1_524_321_322, "vae": 83_653_863, "image_encoder": 632_076_800, "depth_estimator": 122_377_985},
}

VAE: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "norm_num_groups": 32,
    "scaling_factor": VAE_SCALING,
}
"""As `shapes.vae_config` has it."""


def unet(stage: Stage) -> dict[str, Any]:
    """As `shapes.unet_config` has it."""
    down = [*["CrossAttnDownBlockSpatioTemporal"] * 3, "DownBlockSpatioTemporal"]
    return {
        "in_channels": CHANNELS[stage.number],
        "out_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "down_block_types": down,
        "up_block_types": [each.replace("Down", "Up") for each in reversed(down)],
        "layers_per_block": 2,
        "cross_attention_dim": TOKEN,
        "num_attention_heads": [5, 10, 20, 20],
        "transformer_layers_per_block": 1,
        "projection_class_embeddings_input_dim": VECTOR[stage.number],
        "num_frames": FRAMES,
    }


def tower(large: bool) -> dict[str, Any]:
    """As `shapes.clip_config` has it: of the picture, or of the score."""
    width, layers, projected = (1280, 32, 1024) if large else (1024, 24, 768)
    return {
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": CLIP_HEADS,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": projected,
        "hidden_act": "gelu" if large else "quick_gelu",
    }


DEPTH: dict[str, Any] = {
    "model_type": "dpt",
    "is_hybrid": True,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": DEPTH_HEADS,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-6,
    "image_size": 384,
    "patch_size": DEPTH_PATCH,
    "qkv_bias": True,
    "backbone_out_indices": list(DEPTH_BLOCKS),
    "backbone_featmap_shape": [1, 1024, 24, 24],
    "reassemble_factors": [1, 1, 1, 0.5],
    "neck_hidden_sizes": [256, 512, 768, 768],
    "neck_ignore_stages": [0, 1],
    "fusion_hidden_size": 256,
    "readout_type": "project",
    "backbone_config": {
        "model_type": "bit",
        "layer_type": "bottleneck",
        "global_padding": "same",
        "embedding_dynamic_padding": True,
        "embedding_size": 64,
        "hidden_sizes": [256, 512, 1024],
        "depths": [3, 4, 9],
        "out_features": ["stage1", "stage2", "stage3"],
    },
}
"""As `shapes.depth_config` has it."""


def configs(stage: Stage) -> dict[str, dict[str, Any]]:
    """Of all networks of a stage."""
    own = {"score_encoder": tower(False)} if stage is ORBIT else {"depth_estimator": DEPTH}
    return {"unet": unet(stage), "vae": VAE, "image_encoder": tower(True), **own}


def network(stage: Stage, part: str, dtype: torch.dtype = torch.float32, published: bool = False) -> Any:
    """One network at the published size, on the meta device.

    published: the UNet with diffusers' own attention, which does the arithmetic of the reference.
    """
    import diffusers
    import transformers

    config = configs(stage)[part]

    def make() -> Any:
        if part == "unet":
            made_unet = getattr(diffusers, UNET_CLASS).from_config(config)
            if published:
                made_unet.add_time_proj = torch.nn.Identity()
                return made_unet
            return as_published(made_unet)
        if part == "vae":
            return getattr(diffusers, VAE_CLASS).from_config(config)
        if part == "depth_estimator":
            return transformers.DPTForDepthEstimation(transformers.DPTConfig.from_dict(config))
        return transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig.from_dict(config))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing is initialised there, which torch remarks on
        # A few numbers are made on the CPU whatever is said.
        return made(make, torch.device("meta"), dtype).to("meta")


def told(stage: Stage) -> Conditions:
    """Conditions of the published size, on the meta device."""
    side = stage.size // 8
    with torch.device("meta"):
        latents = torch.empty(FRAMES, 4, side, side)
        concat = torch.empty(FRAMES, CHANNELS[stage.number] - 4, side, side)
        returned = None if stage is ORBIT else latents.clone()
        return Conditions(torch.empty(1, TOKEN), torch.empty(VECTOR[stage.number]), concat, latents, returned)
