"""What the published files call the tensors of UNet and autoencoder, and what diffusers calls them.

The files have the names of Stability's generative-models, in which blocks are numbered through; diffusers numbers them
by level. Keys and shapes of both were compared at the published size: tests/parity/hi3d.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from models.loading import CheckpointForeign

UNET = "model.diffusion_model."
VAE = "first_stage_model."
SECOND_VAE = "conditioner.embedders.3.encoder."
"""Prefixes, after the `module.` of DeepSpeed."""

UNET_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
MIDDLE = ("resnets.0", "attentions.0", "resnets.1")
RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
POSITIONS = {"time_pos_embed.0": "time_pos_embed.linear_1", "time_pos_embed.2": "time_pos_embed.linear_2"}
VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
NUMBERED = re.compile(r"(input|output|middle)_blocks?\.(\d+)(?:\.(\d+))?\.(.+)")


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}


def unet_tensors(tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A UNet's tensors by the names of `UNetSpatioTemporalConditionModel`.

    Args:
        tensors: by their published names without `UNET`.
        layers: residual blocks of a level on the way down; one more on the way up.

    Raises:
        CheckpointForeign: a name is none of such a network.
    """
    return dict(_named(tensors, lambda name: unet_name(name, layers)))


def unet_name(name: str, layers: int) -> str | None:
    """One of those names; None for a name that is none of a UNet's."""
    for old, new in UNET_ENDS.items():
        if name.startswith(f"{old}."):
            return name.replace(old, new, 1)
    match = NUMBERED.fullmatch(name)
    if match is None:
        return None
    way, block, part, rest = match[1], int(match[2]), match[3], match[4]
    if way == "middle":
        rest = rest if part is None else f"{part}.{rest}"
        return f"mid_block.{MIDDLE[block]}.{_inner(rest)}" if block < len(MIDDLE) else None
    if part is None:
        return None
    if way == "input":
        level, layer = divmod(block - 1, layers + 1)
        place = f"down_blocks.{level}"
        if layer == layers:
            return f"{place}.downsamplers.0.conv.{rest.removeprefix('op.')}" if rest.startswith("op.") else None
    else:
        level, layer = divmod(block, layers + 1)
        place = f"up_blocks.{level}"
        if rest.startswith("conv."):
            return f"{place}.upsamplers.0.{rest}"
    return f"{place}.{'resnets' if part == '0' else 'attentions'}.{layer}.{_inner(rest)}"


def vae_tensors(tensors: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """An autoencoder's tensors by the names of `AutoencoderKL`. `tensors`: without their prefix. Errors as above."""
    found = dict(_named(tensors, lambda name: vae_name(name, levels)))
    # What diffusers multiplies as a matrix, the file has as a convolution of one pixel.
    return {
        name: each.flatten(1) if ".attentions." in name and each.ndim == 4 else each for name, each in found.items()
    }


def vae_name(name: str, levels: int) -> str | None:
    """One of those names; None for a name that is none of an autoencoder's."""
    if re.match(r"(quant_conv|post_quant_conv|(en|de)coder\.conv_(in|out))\.", name):
        return name
    if match := re.fullmatch(r"((?:en|de)coder)\.norm_out\.(.+)", name):
        return f"{match[1]}.conv_norm_out.{match[2]}"
    if match := re.fullmatch(r"((?:en|de)coder)\.mid\.block_([12])\.(.+)", name):
        return f"{match[1]}.mid_block.resnets.{int(match[2]) - 1}.{_shortcut(match[3])}"
    if (match := re.fullmatch(r"((?:en|de)coder)\.mid\.attn_1\.(\w+)\.(.+)", name)) and match[2] in VAE_ATTENTION:
        return f"{match[1]}.mid_block.attentions.0.{VAE_ATTENTION[match[2]]}.{match[3]}"
    if match := re.fullmatch(r"encoder\.down\.(\d+)\.block\.(\d+)\.(.+)", name):
        return f"encoder.down_blocks.{match[1]}.resnets.{match[2]}.{_shortcut(match[3])}"
    if match := re.fullmatch(r"encoder\.down\.(\d+)\.downsample\.(.+)", name):
        return f"encoder.down_blocks.{match[1]}.downsamplers.0.{match[2]}"
    if match := re.fullmatch(r"decoder\.up\.(\d+)\.(block|upsample)\.(.+)", name):
        place = f"decoder.up_blocks.{levels - 1 - int(match[1])}"
        return f"{place}.{'upsamplers.0' if match[2] == 'upsample' else 'resnets'}.{_shortcut(match[3])}"
    return None


def _named(tensors: Mapping[str, Tensor], naming: Callable[[str], str | None]) -> Iterator[tuple[str, Tensor]]:
    for name, each in tensors.items():
        new = naming(name)
        if new is None:
            raise CheckpointForeign(f"{name} is no tensor of such networks; this is another checkpoint.")
        yield new, each


def _shortcut(rest: str) -> str:
    return rest.replace("nin_shortcut", "conv_shortcut")


def _inner(rest: str) -> str:
    """Names inside of a residual block or a transformer."""
    for old, new in POSITIONS.items():
        if rest.startswith(f"{old}."):
            return rest.replace(old, new, 1)
    for prefix, place in (("time_stack.", "temporal_res_block."), ("", "spatial_res_block.")):
        inside = rest.removeprefix(prefix)
        for old, new in RESNET.items():
            if rest.startswith(prefix) and inside.startswith(f"{old}."):
                return place + inside.replace(old, new, 1)
    return rest.replace("time_stack.", "temporal_transformer_blocks.", 1)
