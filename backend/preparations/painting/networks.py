"""The parts of a Stable Diffusion checkpoint, each loaded strictly: every tensor by name and shape, or a sentence.

The networks are those of diffusers and transformers, built without memory (meta device) from the folder's configuration
and filled by `models/loading.py`, straight to the device and precision that is wanted. Nothing comes from the network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.loading import CheckpointForeign, load_module, read_headers, read_json
from models.published import (
    diffusers_network,
    load_tokenizer,
    stored_stem,
    todays_name,
    transformers_network,
    whole,
)

POSITION_IDS = "text_model.embeddings.position_ids"


@dataclass(frozen=True)
class Family:
    """One generation of Stable Diffusion.

    base, control: ids of `backend/weights`; control is the depth ControlNet, which not everybody needs.
    text: folders of its text encoders, each with its class in transformers and the folder of its tokenizer.
    pipeline, controlled: classes of diffusers, without and with the ControlNet.
    scheduler: another one; that of the model card of the depth ControlNet.
    """

    title: str
    base: str
    control: str
    text: tuple[tuple[str, str, str], ...]
    pipeline: str
    controlled: str
    scheduler: str


FAMILIES = {
    "sdxl": Family(
        title="SDXL",
        base="sdxl",
        control="controlnet-depth-sdxl",
        text=(
            ("text_encoder", "CLIPTextModel", "tokenizer"),
            ("text_encoder_2", "CLIPTextModelWithProjection", "tokenizer_2"),
        ),
        pipeline="StableDiffusionXLPipeline",
        controlled="StableDiffusionXLControlNetPipeline",
        scheduler="EulerDiscreteScheduler",
    ),
    "sd15": Family(
        title="Stable Diffusion 1.5",
        base="sd15",
        control="controlnet-depth-sd15",
        text=(("text_encoder", "CLIPTextModel", "tokenizer"),),
        pipeline="StableDiffusionPipeline",
        controlled="StableDiffusionControlNetPipeline",
        scheduler="UniPCMultistepScheduler",
    ),
}


def native_side(base: Path) -> int:
    """Side in pixels of the squares that a model was trained on, from its configuration.

    Raises:
        CheckpointError: the configuration is missing or makes no sense.
    """
    latent: object = read_json(base / "unet" / "config.json").get("sample_size")
    blocks = read_json(base / "vae" / "config.json").get("block_out_channels")
    if not isinstance(latent, int) or latent < 1 or not isinstance(blocks, list) or not blocks:
        raise CheckpointForeign(f"{base} does not say at which size it paints (sample_size, block_out_channels).")
    side: int = latent * 2 ** (len(blocks) - 1)
    return side


def numbers_of(folder: Path, stem: str = "diffusion_pytorch_model") -> int:
    """How many numbers the tensors of one part are, read from the headers of its files.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    headers = read_headers(folder, stored_stem(folder, stem))
    return sum(math.prod(header.shape) for header in headers.values())


def check_base(family: Family, folder: Path) -> None:
    """Everything that can be known of the parts beside the ControlNet without reading a tensor.

    Raises:
        CheckpointError: a part is missing, damaged or that of another model.
    """
    load_scheduler(folder / "scheduler", family.scheduler)
    for part, class_name, tokenizer in family.text:
        load_tokenizer(folder / tokenizer)
        load_text_encoder(folder / part, class_name, "meta", torch.float32)
    load_network(folder / "unet", "UNet2DConditionModel", "meta", torch.float32)
    load_network(folder / "vae", "AutoencoderKL", "meta", torch.float32)


def check_control(folder: Path) -> None:
    """The same for the ControlNet."""
    load_network(folder, "ControlNetModel", "meta", torch.float32)


def load_network(folder: Path, class_name: str, device: str, dtype: torch.dtype) -> nn.Module:
    """One network of diffusers: UNet2DConditionModel, ControlNetModel or AutoencoderKL.

    device: "meta" only checks, see `load_module`.

    Raises:
        CheckpointError: see `load_module`; also where the configuration describes another network.
    """
    stem = stored_stem(folder, "diffusion_pytorch_model")
    network: nn.Module = diffusers_network(folder, class_name)
    return load_module(network, folder, stem, device, dtype, rename=todays_name)


def load_text_encoder(folder: Path, class_name: str, device: str, dtype: torch.dtype) -> nn.Module:
    """The text half of CLIP. Errors: see `load_network`."""
    import transformers

    network: nn.Module = transformers_network(folder, getattr(transformers, class_name), transformers.CLIPTextConfig)
    load_module(
        network, folder, stored_stem(folder, "model"), device, dtype, rename=_without_prefix, ignore=[POSITION_IDS]
    )
    return whole(network, device)


def load_scheduler(folder: Path, class_name: str) -> Any:
    """The noise schedule of a folder, in the way of stepping that `class_name` names.

    Raises:
        CheckpointError: the file is missing or describes no schedule.
    """
    import diffusers

    file = folder / "scheduler_config.json"
    config = read_json(file)
    try:
        return getattr(diffusers, class_name).from_config(config)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise CheckpointForeign(f"{file} describes no schedule that can be used: {error}") from error


def _without_prefix(name: str) -> str:
    """Published text encoders have a prefix that newer releases of transformers drop in one of the two classes."""
    return name.removeprefix("text_model.")
