"""Small checkpoints made by chance, in every published layout of the priors, for trying the whole way.

They have all networks of the real ones and are read by the same code. What they know of pictures is nothing, so their
gradients are noise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from models.converted_folders import INDEX
from models.guidance import zero123_files
from models.guidance.distillation import BETAS, TIMESTEPS
from models.guidance.zero123_files import CAMERA, HEADS, PROJECTION, PROJECTIONS, RAW, UNET, VAE, VISION, contents
from models.hi3d import names
from models.hi3d.published_names import published_unet, published_vae
from models.hi3d.tiny import CONTEXT, clip_source
from models.writing import write_json, write_safetensors, write_torch

Layout = Literal["checkpoint", "cc_projection", "clip_camera_projection"]
"""The authors' file, or one of the two families of mirrors."""

LAYOUTS: tuple[Layout, ...] = ("checkpoint", "cc_projection", "clip_camera_projection")
WIDTH, LAYERS = 32, 1
TEXT: dict[str, Any] = {
    "model_type": "clip_text_model",
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "projection_dim": WIDTH,
}
VAE_CONFIG: dict[str, Any] = {
    "_class_name": VAE,
    "block_out_channels": [WIDTH] * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "norm_num_groups": 32,
    "scaling_factor": 0.18215,
}
SCHEDULER: dict[str, Any] = {**BETAS, "num_train_timesteps": TIMESTEPS, "prediction_type": "epsilon"}
SHIFT = 0.125
"""By how much the raw weights of a UNet are off the average of them."""


class ModelCheckpoint:
    """Stands for what the program that trained has left in its checkpoint."""

    def __init__(self) -> None:
        self.best = Path("last.ckpt")


def unet_config(channels: int) -> dict[str, Any]:
    """Of a tiny UNet with so many channels in."""
    return {
        "_class_name": UNET,
        "in_channels": channels,
        "out_channels": 4,
        "sample_size": 32,
        "block_out_channels": [WIDTH, 2 * WIDTH],
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": LAYERS,
        "cross_attention_dim": CONTEXT,
        "attention_head_dim": HEADS,
        "norm_num_groups": 32,
    }


def write_tiny_stable_diffusion(folder: Path, seed: int = 0) -> Path:
    """A folder as diffusers has it, in 32 bits; the same for the same seed. Gives back `folder`."""
    import diffusers
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        count = write_tokenizer(folder / "tokenizer")
        config = {**TEXT, "vocab_size": count, "bos_token_id": count - 2, "eos_token_id": count - 1}
        encoder = CLIPTextModel(CLIPTextConfig.from_dict(config))
        tensors = published_text(encoder.state_dict())
        write_safetensors(folder / "text_encoder" / "model.safetensors", tensors)
        write_json(folder / "text_encoder" / "config.json", config)
        for part, network in (("unet", unet_config(4)), ("vae", VAE_CONFIG)):
            made = getattr(diffusers, network["_class_name"]).from_config(network)
            write_safetensors(folder / part / "diffusion_pytorch_model.safetensors", made.state_dict())
            write_json(folder / part / "config.json", network)
    write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": "PNDMScheduler", **SCHEDULER})
    write_json(folder / INDEX, {"_class_name": "StableDiffusionPipeline"})
    return folder


def write_tiny_zero123(
    place: Path, layout: Layout, seed: int = 0, pickled: bool = False, averaged: bool = False
) -> Path:
    """Zero123 in one of its layouts; the same tensors for the same seed in all of them.

    Args:
        place: the file, or the folder of a mirror.
        pickled: a mirror whose networks are torch's own files.
        averaged: a mirror whose files are called those of the running average.

    Returns:
        `place`.
    """
    tensors = tiny_tensors(seed)
    if layout == "checkpoint":
        return write_torch(place, training(tensors))
    found = contents(tensors)
    layer = PROJECTIONS[layout]
    tables: dict[str, Mapping[str, Tensor]] = {name: part.tensors for name, part in found.parts.items()}
    tables[layout] = {f"{layer}.{name}": each for name, each in found.projection.items()}
    configs = {name: dict(part.config) for name, part in found.parts.items()}
    configs[layout] = {"_class_name": "CCProjection" if layer == "projection" else "CLIPCameraProjection"}
    for name, table in tables.items():
        stem = zero123_files.STEMS[name]
        if pickled:
            positions = {"vision_model.embeddings.position_ids": torch.arange(5)[None]} if stem == "model" else {}
            write_torch(place / name / zero123_files.PICKLED.get(name, f"{stem}.bin"), {**table, **positions})
        else:
            ending = zero123_files.AVERAGED if averaged else ""
            write_safetensors(place / name / f"{stem}{ending}.safetensors", table)
        write_json(place / name / "config.json", configs[name])
    write_json(place / "scheduler" / "scheduler_config.json", {"_class_name": "DDIMScheduler", **SCHEDULER})
    write_json(place / INDEX, {"_class_name": "Zero123Pipeline"})
    return place


def tiny_tensors(seed: int = 0) -> dict[str, Tensor]:
    """All tensors of an authors' file by their names there."""
    import diffusers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = getattr(diffusers, UNET).from_config(unet_config(8)).state_dict()
        vae = getattr(diffusers, VAE).from_config(VAE_CONFIG).state_dict()
        projection = torch.nn.Linear(CONTEXT + CAMERA, CONTEXT).state_dict()
        return original_tensors(unet, LAYERS, vae, clip_source(CONTEXT), projection)


def original_tensors(
    unet: Mapping[str, Tensor],
    layers: int,
    vae: Mapping[str, Tensor],
    vision: Mapping[str, Tensor],
    projection: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Tensors of diffusers' networks, and of CLIP as OpenAI names it, by the names of an authors' file. What is given
    of the UNet is the average; the raw weights are a little off it."""
    average = published_unet({_inside(name): each for name, each in unet.items()}, layers)
    groups: dict[str, Mapping[str, Tensor]] = {
        RAW: {name: each + SHIFT for name, each in average.items()},
        "model_ema.diffusion_model": {name.replace(".", ""): each for name, each in average.items()},
        names.VAE: published_vae(vae, 4),
        VISION: vision,
        PROJECTION: projection,
    }
    found = {f"{prefix}{name}": each for prefix, group in groups.items() for name, each in group.items()}
    return {
        **found,
        "model_ema.decay": torch.tensor(0.9999),
        "model_ema.num_updates": torch.tensor(105_000, dtype=torch.int32),
        "alphas_cumprod": torch.linspace(0.9, 0.1, 8),
        "sqrt_one_minus_alphas_cumprod": torch.linspace(0.1, 0.9, 8),
        "cond_stage_model.model.logit_scale": torch.tensor(4.6),
        "cond_stage_model.model.ln_final.weight": torch.ones(4),
    }


def training(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What a training keeps: the state, and much else."""
    return {
        "epoch": 1,
        "global_step": 105_000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": dict(tensors),
        "callbacks": {ModelCheckpoint: {"monitor": "val", "kept": ModelCheckpoint()}},
        "optimizer_states": [{"state": {0: {"step": 3, "exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 1e-4}]}],
        "lr_schedulers": [{"last_epoch": 3, "_last_lr": [1e-4], "lr_lambdas": [None]}],
    }


def write_words(file: Path, word: str = "<prop>", width: int = WIDTH, seed: int = 0) -> Path:
    """A file of one learned word, in torch's format or as safetensors by its suffix."""
    row = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    return write_safetensors(file, {word: row}) if file.suffix == ".safetensors" else write_torch(file, {word: row})


def published_text(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A text encoder's tensors with the prefix that all published files have, whatever this release of transformers
    calls them."""
    outside = ("text_model.", "text_projection.")
    return {name if name.startswith(outside) else f"text_model.{name}": each for name, each in state.items()}


def write_tokenizer(folder: Path, pad: str = "<|endoftext|>") -> int:
    """A CLIP tokenizer that knows single bytes only; returns the number of its tokens."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    settings = {**special, "pad_token": pad, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(tokens)


def _inside(name: str) -> str:
    """A name as that of a network in space and time, of which `published_unet` knows."""
    for place in ("resnets.0.", "resnets.1.", "resnets.2."):
        if f".{place}" in name:
            return name.replace(f".{place}", f".{place}spatial_res_block.", 1)
    return name
