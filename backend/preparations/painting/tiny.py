"""Tiny random checkpoints of both families in the published folder layout, for trying the whole way.

Every part of the real ones is there, by its published file and tensor names, in half precision. What they paint is
noise; how they are read, run and released is what the real ones go through.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from backend.weights import WEIGHTS
from models.guidance.tiny import published_text, write_tokenizer

NATIVE = 64
"""Side in pixels of the pictures that the tiny models paint."""

WIDTH = 32
TEXT: dict[str, Any] = {
    "vocab_size": 0,
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "projection_dim": WIDTH,
}
NOISE = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def write_tiny_painting_checkpoints(folder: Path, seed: int = 0) -> None:
    """Write both families into a folder that `SET_DRESSER_MODELS` may name: <folder>/<owner>/<name>/…"""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _write_family(folder, "sd15", "controlnet-depth-sd15", large=False)
        _write_family(folder, "sdxl", "controlnet-depth-sdxl", large=True)


def _write_family(models: Path, base: str, control: str, large: bool) -> None:
    diffusers: Any = importlib.import_module("diffusers")
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    folder = models / WEIGHTS[base].repository
    tokens = write_tokenizer(folder / "tokenizer")
    config = CLIPTextConfig(**{**TEXT, "vocab_size": tokens, "bos_token_id": tokens - 2, "eos_token_id": tokens - 1})
    _write_text_encoder(CLIPTextModel(config), folder / "text_encoder")
    if large:
        write_tokenizer(folder / "tokenizer_2", pad="!")
        _write_text_encoder(CLIPTextModelWithProjection(config), folder / "text_encoder_2")
    shape: dict[str, Any] = {
        "block_out_channels": (WIDTH, 2 * WIDTH),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": 2 * WIDTH if large else WIDTH,
        "attention_head_dim": (2, 4),
        "norm_num_groups": 8,
    }
    if large:
        # The size, twice the size and the crop as six numbers of 8 values each, beside the second encoder's summary.
        shape |= {
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": WIDTH + 6 * 8,
            "transformer_layers_per_block": (1, 2),
        }
    unet = diffusers.UNet2DConditionModel(
        sample_size=NATIVE // 8, up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **shape
    )
    unet.half().save_pretrained(folder / "unet", variant="fp16")
    diffusers.AutoencoderKL(
        block_out_channels=(16, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        latent_channels=4,
        sample_size=NATIVE,
        scaling_factor=0.13025 if large else 0.18215,
    ).half().save_pretrained(folder / "vae", variant="fp16")
    scheduler = diffusers.EulerDiscreteScheduler if large else diffusers.PNDMScheduler
    scheduler(**NOISE, steps_offset=1, timestep_spacing="leading").save_pretrained(folder / "scheduler")
    _write_index(folder, large)
    _write_control(shape, models / WEIGHTS[control].repository)


def _write_index(folder: Path, large: bool) -> None:
    """What diffusers reads first: which class each part has."""
    parts: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if large else "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "scheduler": ["diffusers", "EulerDiscreteScheduler" if large else "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if large:
        parts |= {
            "force_zeros_for_empty_prompt": True,
            "image_encoder": [None, None],
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
        }
    else:
        parts |= {"requires_safety_checker": False, "safety_checker": [None, None]}
    (folder / "model_index.json").write_text(json.dumps(parts, indent=2))


def _write_control(shape: dict[str, Any], folder: Path) -> None:
    diffusers: Any = importlib.import_module("diffusers")
    network = diffusers.ControlNetModel(conditioning_embedding_out_channels=(8, 8, 16, 16), **shape)
    for name, parameter in network.named_parameters():
        if name.startswith(("controlnet_", "controlnet_cond_embedding.conv_out")):
            # Trained ones have left the zeros from which training starts.
            nn.init.normal_(parameter, std=0.1)
    network.half().save_pretrained(folder, variant="fp16")


def _write_text_encoder(network: Any, folder: Path) -> None:
    """With the names that all published files have."""
    from safetensors.torch import save_file

    network.config.save_pretrained(folder)
    state = {name: tensor.half() for name, tensor in published_text(network.state_dict()).items()}
    save_file(state, folder / "model.fp16.safetensors", metadata={"format": "pt"})
