"""The two image encoders: CLIP sees the instance alone, a DINOv2 with seven channels sees it in its scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from models.loading import MOST_LAYERS, CheckpointForeign, load_module, read_json
from models.midi.pictures import Frame, Preprocessor, instance_picture, label_ids

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


@torch.inference_mode()
def encode(inputs: EncoderInputs, clip: nn.Module, dino: nn.Module) -> Conditions:
    """Runs both encoders on the device and in the precision that they have."""
    first = clip(pixel_values=_moved(inputs.clip, clip)).image_embeds
    second = dino(pixel_values=_moved(inputs.dino, dino)).last_hidden_state
    return Conditions(first[:, None], second)


def load_clip(folder: Path, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    """CLIP's picture half with its projection, from `image_encoder_1`. Errors: see `load_module`."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    model = _on_meta(CLIPVisionModelWithProjection, CLIPVisionConfig, folder)
    position_ids = "vision_model.embeddings.position_ids"
    load_module(model, folder, "model", device, dtype, ignore=[position_ids])
    embeddings = model.vision_model.embeddings
    if torch.device(device).type != "meta":
        # The one buffer that is in no file.
        embeddings.position_ids = torch.arange(embeddings.num_positions, device=device)[None]
    return _whole(model, device)


def load_dino(folder: Path, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    """DINOv2 with seven input channels, from `image_encoder_2`; one with three is widened. Errors as `load_module`."""
    from transformers import Dinov2Config, Dinov2Model

    model = _on_meta(Dinov2Model, Dinov2Config, folder)
    load_module(model, folder, "model", device, dtype, rename=_current_name)
    patches = model.embeddings.patch_embeddings
    if patches.num_channels < 3:
        raise CheckpointForeign(f"{folder / 'config.json'}: num_channels is {patches.num_channels}, not 7 or 3.")
    if patches.num_channels < len(WIDENED):
        patches.projection.weight = nn.Parameter(patches.projection.weight[:, WIDENED], requires_grad=False)
        patches.projection.in_channels = patches.num_channels = model.config.num_channels = len(WIDENED)
    return _whole(model, device)


def _on_meta(model_class: Any, config_class: Any, folder: Path) -> Any:
    from huggingface_hub.errors import StrictDataclassError

    file = folder / "config.json"
    content = read_json(file)
    kind = content.get("model_type", config_class.model_type)
    if kind != config_class.model_type:
        raise CheckpointForeign(f"{file} describes a {kind}, not a {config_class.model_type}.")
    layers = content.get("num_hidden_layers", 1)
    if not isinstance(layers, int) or not 1 <= layers <= MOST_LAYERS:
        raise CheckpointForeign(f"{file}: num_hidden_layers is {layers!r}; 1 to {MOST_LAYERS} are possible.")
    try:
        config = config_class.from_dict(content)
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(f"hidden_size {config.hidden_size} is no multiple of {config.num_attention_heads} heads")
        with torch.device("meta"):
            return model_class(config)
    except (StrictDataclassError, ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise CheckpointForeign(f"{file} does not describe a {model_class.__name__}: {error}") from error


def _whole(model: Any, device: torch.device | str) -> nn.Module:
    """Makes sure that no buffer was left without content."""
    if torch.device(device).type != "meta":
        left = [name for name, buffer in model.named_buffers() if buffer.is_meta]
        if left:
            raise NotImplementedError(f"this release of transformers has a buffer that no file fills: {left[0]}")
    module: nn.Module = model.eval()
    return module


def _current_name(name: str) -> str:
    for old, new in RENAMED:
        name = name.replace(old, new)
    return name


def _moved(pixels: Tensor, module: nn.Module) -> Tensor:
    parameter = next(module.parameters())
    return pixels.to(device=parameter.device, dtype=parameter.dtype)
