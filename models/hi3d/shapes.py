"""How large the networks of a checkpoint are, read off the shapes of its tensors: the published files do not say it.

What no shape tells is as published: 64 channels a head in the UNet, 16 heads in both CLIP towers, 12 in the depth
network, groups of 32 in all norms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from models.loading import CheckpointForeign

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of tensors by their published names, without the prefix of their network."""

UNET_CLASS, VAE_CLASS = "UNetSpatioTemporalConditionModel", "AutoencoderKL"
HEAD_CHANNELS = 64
CLIP_HEADS = 16
DEPTH_HEADS = 12
DEPTH_PATCH = 16
DEPTH_BLOCKS = (0, 1, 8, 11)
"""Blocks whose states the depth network fuses; in place of the first two it takes those of its convolutions."""

VAE_SCALING = 0.18215


def unet_config(shapes: Shapes, frames: int, head_channels: int = HEAD_CHANNELS) -> dict[str, Any]:
    """The configuration of `UNetSpatioTemporalConditionModel`.

    Raises:
        CheckpointForeign: these are not the tensors of such a network.
    """
    found = blocks(shapes)
    widths, attend = found.pop("widths"), found.pop("attend")
    return {
        **found,
        "block_out_channels": widths,
        "down_block_types": [f"{'CrossAttn' * each}DownBlockSpatioTemporal" for each in attend],
        "up_block_types": [f"{'CrossAttn' * each}UpBlockSpatioTemporal" for each in reversed(attend)],
        "num_attention_heads": [max(width // head_channels, 1) for width in widths],
        "transformer_layers_per_block": 1,
        "projection_class_embeddings_input_dim": extent(shapes, "label_emb.0.0.weight", 1),
        "num_frames": frames,
    }


def blocks(shapes: Shapes) -> dict[str, Any]:
    """What the blocks of a UNet are, in space or in space and time: entries of the configuration, and for each level
    its "widths" and whether it has attention, "attend". Errors as above."""
    ends = sorted(
        int(match[1]) for name in shapes if (match := re.fullmatch(r"input_blocks\.(\d+)\.0\.op\.weight", name))
    )
    layers = (ends[0] if ends else _count(shapes, r"input_blocks\.(\d+)\.")) - 1
    levels = range(len(ends) + 1)
    first = [level * (layers + 1) + 1 for level in levels]
    channels = [extent(shapes, f"input_blocks.{block}.0.out_layers.3.weight", 0) for block in first]
    attend = [f"input_blocks.{block}.1.proj_in.weight" in shapes for block in first]
    context = extent(shapes, "middle_block.1.transformer_blocks.0.attn2.to_k.weight", 1)
    return {
        "in_channels": extent(shapes, "input_blocks.0.0.weight", 1),
        "out_channels": extent(shapes, "out.2.weight", 0),
        "layers_per_block": layers,
        "cross_attention_dim": context,
        "widths": channels,
        "attend": attend,
    }


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of `AutoencoderKL`. Errors as above."""
    levels = _count(shapes, r"encoder\.down\.(\d+)\.")
    return {
        "in_channels": extent(shapes, "encoder.conv_in.weight", 1),
        "out_channels": extent(shapes, "decoder.conv_out.weight", 0),
        "latent_channels": extent(shapes, "post_quant_conv.weight", 0),
        "block_out_channels": [
            extent(shapes, f"encoder.down.{level}.block.0.norm2.weight", 0) for level in range(levels)
        ],
        "layers_per_block": _count(shapes, r"encoder\.down\.0\.block\.(\d+)\."),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "norm_num_groups": 32,
        "scaling_factor": VAE_SCALING,
    }


def clip_config(shapes: Shapes, activation: str, heads: int = CLIP_HEADS) -> dict[str, Any]:
    """The configuration of `CLIPVisionModelWithProjection`, of a tower in the layout of OpenAI and OpenCLIP.

    Args:
        activation: "gelu" (OpenCLIP) or "quick_gelu" (OpenAI).
    """
    width, patch = extent(shapes, "class_embedding", 0), extent(shapes, "conv1.weight", 2)
    side = math.isqrt(extent(shapes, "positional_embedding", 0) - 1)
    return {
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": extent(shapes, "transformer.resblocks.0.mlp.c_fc.weight", 0),
        "num_hidden_layers": _count(shapes, r"transformer\.resblocks\.(\d+)\."),
        "num_attention_heads": heads,
        "image_size": side * patch,
        "patch_size": patch,
        "projection_dim": extent(shapes, "proj", 1),
        "hidden_act": activation,
    }


def depth_config(shapes: Shapes, heads: int = DEPTH_HEADS) -> dict[str, Any]:
    """The configuration of `DPTForDepthEstimation`, hybrid, of a file of MiDaS.

    The norms of its transformer have an epsilon of 1e-6 as in timm, of which MiDaS took the network; transformers' own
    converted file says 1e-12.
    """
    vit, stem = "pretrained.model", "pretrained.model.patch_embed.backbone"
    stages = _count(shapes, rf"{re.escape(stem)}\.stages\.(\d+)\.")
    widths = [extent(shapes, f"{stem}.stages.{stage}.blocks.0.conv3.weight", 0) for stage in range(stages)]
    side = math.isqrt(extent(shapes, f"{vit}.pos_embed", 1) - 1)
    return {
        "model_type": "dpt",
        "is_hybrid": True,
        "hidden_size": extent(shapes, f"{vit}.cls_token", 2),
        "num_hidden_layers": _count(shapes, rf"{re.escape(vit)}\.blocks\.(\d+)\."),
        "num_attention_heads": heads,
        "intermediate_size": extent(shapes, f"{vit}.blocks.0.mlp.fc1.weight", 0),
        "layer_norm_eps": 1e-6,
        "image_size": side * DEPTH_PATCH,
        "patch_size": DEPTH_PATCH,
        "qkv_bias": True,
        "backbone_out_indices": list(DEPTH_BLOCKS),
        "backbone_featmap_shape": [1, widths[-1], side, side],
        "reassemble_factors": [1, 1, 1, 0.5],
        "neck_hidden_sizes": [extent(shapes, f"scratch.layer{level}_rn.weight", 1) for level in (1, 2, 3, 4)],
        "neck_ignore_stages": [0, 1],
        "fusion_hidden_size": extent(shapes, "scratch.layer1_rn.weight", 0),
        "readout_type": "project",
        "backbone_config": {
            "model_type": "bit",
            "layer_type": "bottleneck",
            "global_padding": "same",
            "embedding_dynamic_padding": True,
            "embedding_size": extent(shapes, f"{stem}.stem.conv.weight", 0),
            "hidden_sizes": widths,
            "depths": [
                _count(shapes, rf"{re.escape(stem)}\.stages\.{stage}\.blocks\.(\d+)\.") for stage in range(stages)
            ],
            "out_features": [f"stage{stage + 1}" for stage in range(stages)],
        },
    }


def extent(shapes: Shapes, name: str, axis: int) -> int:
    """How long a tensor is along an axis. Raises CheckpointForeign if there is none, or it has fewer axes."""
    shape = shapes.get(name, ())
    if len(shape) <= axis:
        raise CheckpointForeign(f"{name} is missing; this is another checkpoint.")
    return int(shape[axis])


def _count(shapes: Shapes, pattern: str) -> int:
    """How many there are of what is numbered from 0. Raises CheckpointForeign if there is none."""
    numbers = {int(match[1]) for name in shapes if (match := re.match(pattern, name))}
    if not numbers:
        raise CheckpointForeign(f"nothing in it is called {pattern!r}; this is another checkpoint.")
    return max(numbers) + 1
