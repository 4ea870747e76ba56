"""The way back: diffusers' names of UNet and autoencoder → those of the published files, to write such files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from models.hi3d.names import MIDDLE, POSITIONS, RESNET, UNET_ENDS, VAE_ATTENTION


def published_unet(tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Tensors of `UNetSpatioTemporalConditionModel` by their published names, without prefix; see
    `names.unet_tensors`."""
    return {_unet_name(name, layers, tensors): each for name, each in tensors.items()}


def published_vae(tensors: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """Tensors of `AutoencoderKL` by their published names, without prefix; see `names.vae_tensors`."""
    return {
        _vae_name(name, levels): each[:, :, None, None] if ".attentions." in name and each.ndim == 2 else each
        for name, each in tensors.items()
    }


def _unet_name(name: str, layers: int, known: Collection[str]) -> str:
    for old, new in UNET_ENDS.items():
        if name.startswith(f"{new}."):
            return name.replace(new, old, 1)
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
    if match is None:
        place, rest = next((each, name.removeprefix(f"mid_block.{each}.")) for each in MIDDLE if f".{each}." in name)
        return f"middle_block.{MIDDLE.index(place)}.{_inner(rest)}"
    way, level, kind, layer, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    first = level * (layers + 1) + (1 if way == "down" else 0)
    blocks = "input_blocks" if way == "down" else "output_blocks"
    if kind == "downsamplers":
        return f"{blocks}.{first + layers}.0.{rest.replace('conv.', 'op.', 1)}"
    if kind == "upsamplers":
        attends = any(each.startswith(f"up_blocks.{level}.attentions.") for each in known)
        return f"{blocks}.{first + layers}.{2 if attends else 1}.{rest}"
    return f"{blocks}.{first + layer}.{0 if kind == 'resnets' else 1}.{_inner(rest)}"


def _inner(rest: str) -> str:
    for old, new in POSITIONS.items():
        if rest.startswith(f"{new}."):
            return rest.replace(new, old, 1)
    for place, prefix in (("spatial_res_block.", ""), ("temporal_res_block.", "time_stack.")):
        inside = rest.removeprefix(place)
        for old, new in RESNET.items():
            if rest.startswith(place) and inside.startswith(f"{new}."):
                return prefix + inside.replace(new, old, 1)
    return rest.replace("temporal_transformer_blocks.", "time_stack.", 1)


def _vae_name(name: str, levels: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
    for old, new in VAE_ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{new}.", f"mid.attn_1.{old}.")
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda match: f"up.{levels - 1 - int(match[1])}.block.", name)
    return re.sub(
        r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda match: f"up.{levels - 1 - int(match[1])}.upsample.", name
    )
