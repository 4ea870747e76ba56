"""Checkpoints in the published layouts, from any weights; and a tiny random one for trying the whole way.

The tiny one has every part of the real one at a few kilobytes, and makes sheets of the real size. Its networks are
random, so its views show colours and no object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.image_processor import CLIP_COLOURS
from models.writing import write_json, write_safetensors, write_torch

TOKENS = 77
WIDTH = 16
UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": [8, 16, 16],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "norm_num_groups": 4,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": [1, 2, 2],
    "use_linear_projection": True,
}
VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [4, 4, 8, 8],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "scaling_factor": 0.18215,
}
VISION = {
    "model_type": "clip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
    "projection_dim": WIDTH,
    "hidden_act": "gelu",
}
TEXT = {
    "model_type": "clip_text_model",
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 8,
    "max_position_embeddings": TOKENS,
    "hidden_act": "gelu",
    "projection_dim": WIDTH,
    "bos_token_id": 6,
    "eos_token_id": 7,
}
SCHEDULER = {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "prediction_type": "v_prediction",
    "steps_offset": 1,
    "timestep_spacing": "linspace",
    "trained_betas": None,
}
BILINEAR, BICUBIC = 2, 3


@dataclass(frozen=True)
class Part:
    """One folder with a network: library, class, configuration, tensors by their published names."""

    library: str
    class_name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def write_checkpoint(
    folder: Path, parts: Mapping[str, Part], ramp: Sequence[float], vae_size: int = 512, clip_size: int = 224
) -> Path:
    """Writes `unet`, `vae`, `vision_encoder`, `text_encoder` and the small files around them; no tokenizer.

    Args:
        folder: made if it does not exist.
        parts: by folder name.
        ramp: strength of the photo's embedding for each token of text.
        vae_size, clip_size: pixels that the two encoders take.
    """
    index: dict[str, Any] = {"_class_name": "Zero123PlusPipeline", "ramping_coefficients": list(ramp)}
    for name, part in parts.items():
        ours = part.library == "diffusers"
        stem = "diffusion_pytorch_model" if ours else "model"
        write_safetensors(folder / name / f"{stem}.safetensors", part.tensors)
        named = {"_class_name": part.class_name} if ours else {"architectures": [part.class_name]}
        write_json(folder / name / "config.json", {**named, **part.config})
        index[name] = [part.library, part.class_name]
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    index["scheduler"] = ["diffusers", SCHEDULER["_class_name"]]
    mean, deviation = CLIP_COLOURS
    extractors: tuple[tuple[str, int, int, Any, Any], ...] = (
        ("vae", vae_size, BILINEAR, 0.5, 0.8),
        ("clip", clip_size, BICUBIC, mean, deviation),
    )
    for name, size, resample, middle, spread in extractors:
        content = {
            "image_processor_type": "CLIPImageProcessor",
            "size": {"shortest_edge": size},
            "crop_size": {"height": size, "width": size},
            "resample": resample,
            "image_mean": middle,
            "image_std": spread,
        }
        write_json(folder / f"feature_extractor_{name}" / "preprocessor_config.json", content)
        index[f"feature_extractor_{name}"] = ["transformers", "CLIPImageProcessor"]
    write_json(folder / "model_index.json", index)
    return folder


def write_white_unet(file: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Writes a state dict as torch does, the form of `diffusion_pytorch_model.bin`."""
    return write_torch(file, {name: tensor.detach().clone() for name, tensor in tensors.items()})


def write_tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """A complete random checkpoint of about 0.5 MB; the same for the same seed."""
    ramp = torch.linspace(0.1, 1.1, TOKENS).tolist()
    return write_checkpoint(folder, tiny_parts(seed), ramp, vae_size=512, clip_size=28)


def write_tiny_white_unet(file: Path, seed: int = 1) -> Path:
    """A random UNet that fits `write_tiny_checkpoint`, in the form of InstantMesh's file."""
    return write_white_unet(file, tiny_parts(seed)["unet"].tensors)


def tiny_parts(seed: int = 0) -> dict[str, Part]:
    """The networks of `write_tiny_checkpoint`."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet, vae = (
            getattr(diffusers, class_name).from_config(config)
            for class_name, config in (("UNet2DConditionModel", UNET), ("AutoencoderKL", VAE))
        )
        vision = CLIPVisionModelWithProjection(CLIPVisionConfig.from_dict(VISION))
        text = CLIPTextModel(CLIPTextConfig.from_dict(TEXT))
    # Published names have a prefix that newer releases of transformers drop.
    words = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in text.state_dict().items()}
    return {
        "unet": Part("diffusers", "UNet2DConditionModel", UNET, unet.state_dict()),
        "vae": Part("diffusers", "AutoencoderKL", VAE, vae.state_dict()),
        "vision_encoder": Part("transformers", "CLIPVisionModelWithProjection", VISION, vision.state_dict()),
        "text_encoder": Part("transformers", "CLIPTextModel", TEXT, words),
    }
