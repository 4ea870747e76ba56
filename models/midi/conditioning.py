"""The two image encoders: CLIP sees the instance alone, a DINOv2 with seven channels sees it in its scene."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.image_processor import Preprocessor
from models.loading import CheckpointForeign, load_module
from models.midi.pictures import Frame, instance_picture, label_ids
from models.published import transformers_network, whole

# Input channels of DINOv2: instance RGB, scene RGB, mask. A plain DINOv2 is widened by repeating its own three.
WIDENED = [0, 1, 2, 0, 1, 2, 0]

# The published names, and those of newer releases of transformers.
RENAMED = (
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
)


class EncoderInputs(NamedTuple):
    """Pixels of n instances: clip [n, 3, S₁, S₁] and dino [n, 7, S₂, S₂], float32."""

    clip: Tensor
    dino: Tensor


class Conditions(NamedTuple):
    """What the transformer is told about n instances: clip [n, 1, d₁] and dino [n, L, d₂]."""

    clip: Tensor
    dino: Tensor


def encoder_inputs(frame: Frame, clip: Preprocessor, dino: Preprocessor, reference: bool = False) -> EncoderInputs:
    """The pixels of all instances of a frame, ascending by label.

    `reference`: masks squeezed from the whole frame whatever is cropped from the picture, as the reference does.
    """
    scene = dino.pixels(frame.picture)
    clip_rows, dino_rows = [], []
    for label in label_ids(frame.labels):
        picture, mask = instance_picture(frame, label)
        small_mask = dino.reference_mask(mask) if reference else dino.mask(mask)
        clip_rows.append(clip.pixels(picture))
        dino_rows.append(np.concatenate([dino.pixels(picture), scene, small_mask[None]]))
    return EncoderInputs(torch.from_numpy(np.stack(clip_rows)), torch.from_numpy(np.stack(dino_rows)))


def encode(inputs: EncoderInputs, clip: nn.Module, dino: nn.Module) -> Conditions:
    """Runs both encoders on the device and in the precision that they have."""
    first = clip(pixel_values=_moved(inputs.clip, clip)).image_embeds
    second = dino(pixel_values=_moved(inputs.dino, dino)).last_hidden_state
    return Conditions(first[:, None], second)


def load_dino(folder: Path, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    """DINOv2 with seven input channels, from `image_encoder_2`; one with three is widened. Errors as `load_module`."""
    from transformers import Dinov2Config, Dinov2Model

    model = transformers_network(folder, Dinov2Model, Dinov2Config)
    load_module(model, folder, "model", device, dtype, rename=_current_name)
    patches = model.embeddings.patch_embeddings
    if patches.num_channels < 3:
        raise CheckpointForeign(f"{folder / 'config.json'}: num_channels is {patches.num_channels}, not 7 or 3.")
    if patches.num_channels < len(WIDENED):
        narrow = patches.projection.weight
        patches.projection.weight = nn.Parameter(narrow[:, WIDENED], requires_grad=narrow.requires_grad)
        patches.projection.in_channels = patches.num_channels = model.config.num_channels = len(WIDENED)
    module: nn.Module = whole(model, device)
    return module


def _current_name(name: str) -> str:
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name


def _moved(pixels: Tensor, module: nn.Module) -> Tensor:
    parameter = next(module.parameters())
    return pixels.to(device=parameter.device, dtype=parameter.dtype)
