"""What the published files call the tensors of the conditioning networks, and what transformers calls them.

CLIP's towers are in the layout of OpenAI and OpenCLIP, where queries, keys and values are one matrix; the depth network
is MiDaS's `dpt_hybrid`, whose backbone has the names of timm. Keys and shapes were compared at the published size; the
arithmetic of the depth network with a plain reading of its file's layout: tests/models/hi3d/test_depth.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from models.loading import CheckpointForeign

IMAGE_TOWER = "conditioner.embedders.0.open_clip.model.visual."
SCORE_TOWER = "conditioner.embedders.1.aesthetic_model.visual."
SCORE_HEAD = "conditioner.embedders.1.aesthetic_mlp.layers."
DEPTH = "conditioner.embedders.2.model.model."
"""Prefixes, after the `module.` of DeepSpeed. Beside the towers lie rests of text models, which nothing needs."""

CLIP_ENDS = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}
CLIP_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
DEPTH_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
DEPTH_ENDS = {
    "pretrained.model.cls_token": "dpt.embeddings.cls_token",
    "pretrained.model.pos_embed": "dpt.embeddings.position_embeddings",
    "pretrained.model.patch_embed.proj": "dpt.embeddings.projection",
    "pretrained.model.norm": "dpt.layernorm",
    "pretrained.model.patch_embed.backbone.stem.conv": "dpt.embeddings.backbone.bit.embedder.convolution",
    "pretrained.model.patch_embed.backbone.stem.norm": "dpt.embeddings.backbone.bit.embedder.norm",
    "pretrained.act_postprocess3.0.project.0": "neck.reassemble_stage.readout_projects.2.0",
    "pretrained.act_postprocess3.3": "neck.reassemble_stage.layers.2.projection",
    "pretrained.act_postprocess4.0.project.0": "neck.reassemble_stage.readout_projects.3.0",
    "pretrained.act_postprocess4.3": "neck.reassemble_stage.layers.3.projection",
    "pretrained.act_postprocess4.4": "neck.reassemble_stage.layers.3.resize",
    "scratch.output_conv.0": "head.head.0",
    "scratch.output_conv.2": "head.head.2",
    "scratch.output_conv.4": "head.head.4",
}
DEPTH_UNUSED = ("pretrained.model.head.",)
"""The classes that the backbone was first trained for."""


def clip_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A tower's tensors by the names of `CLIPVisionModelWithProjection`. `tensors`: without their prefix.

    Raises:
        CheckpointForeign: a name is none of such a tower.
    """
    found: dict[str, Tensor] = {}
    for name, each in tensors.items():
        block = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", name)
        if name == "proj":
            found["visual_projection.weight"] = each.T
        elif name in CLIP_ENDS:
            found[f"vision_model.{CLIP_ENDS[name]}"] = each
        elif block is None:
            raise _unknown(name)
        else:
            place, rest = f"vision_model.encoder.layers.{block[1]}.", block[2]
            if rest in ("attn.in_proj_weight", "attn.in_proj_bias"):
                kind = rest.rpartition("_")[2]
                for part, third in zip("qkv", each.chunk(3), strict=True):
                    found[f"{place}self_attn.{part}_proj.{kind}"] = third
            else:
                found[place + _renamed(rest, CLIP_BLOCK, name)] = each
    return found


def score_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The aesthetic head folded to one line: score = weight [width] · unit features + bias [].

    Its five linear layers have nothing between them. `tensors`: without `SCORE_HEAD`, as `0.weight`.

    Raises:
        CheckpointForeign: these are no linear layers one after the other to one number.
    """
    numbers = sorted({int(name.partition(".")[0]) for name in tensors if name.partition(".")[0].isdigit()})
    weight, bias = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    try:
        for number in reversed(numbers):
            matrix, offset = (tensors[f"{number}.{kind}"] for kind in ("weight", "bias"))
            weight, bias = weight.to(matrix.device), bias.to(matrix.device)
            bias = bias + weight @ offset.double()
            weight = weight @ matrix.double()
    except (KeyError, RuntimeError) as error:
        raise CheckpointForeign(f"the aesthetic head is no row of linear layers to one number: {error}") from error
    return {"weight": weight[0].float(), "bias": bias[0].float()}


def depth_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MiDaS's tensors by the names of `DPTForDepthEstimation`. `tensors`: without `DEPTH`. Errors as above."""
    found: dict[str, Tensor] = {}
    for name, each in tensors.items():
        if name.startswith(DEPTH_UNUSED):
            continue
        block = re.fullmatch(r"pretrained\.model\.blocks\.(\d+)\.(.+)", name)
        if block is not None and block[2].startswith("attn.qkv."):
            place, kind = f"dpt.encoder.layer.{block[1]}.attention.attention", block[2].rpartition(".")[2]
            for part, third in zip(("query", "key", "value"), each.chunk(3), strict=True):
                found[f"{place}.{part}.{kind}"] = third
        elif block is not None:
            found[f"dpt.encoder.layer.{block[1]}.{_renamed(block[2], DEPTH_BLOCK, name)}"] = each
        else:
            found[_depth_name(name)] = each
    return found


def _depth_name(name: str) -> str:
    stage = re.fullmatch(r"pretrained\.model\.patch_embed\.backbone\.stages\.(\d+)\.blocks\.(.+)", name)
    if stage is not None:
        return f"dpt.embeddings.backbone.bit.encoder.stages.{stage[1]}.layers.{stage[2]}"
    if match := re.fullmatch(r"scratch\.layer([1-4])_rn\.(.+)", name):
        return f"neck.convs.{int(match[1]) - 1}.{match[2]}"
    if match := re.fullmatch(r"scratch\.refinenet([1-4])\.(.+)", name):
        # MiDaS counts from the finest, transformers from where fusing begins.
        rest = re.sub(r"resConfUnit([12])\.conv([12])", r"residual_layer\1.convolution\2", match[2])
        return f"neck.fusion_stage.layers.{4 - int(match[1])}.{rest.replace('out_conv', 'projection')}"
    return _renamed(name, DEPTH_ENDS, name)


def _renamed(name: str, names: Mapping[str, str], whole: str) -> str:
    for old, new in names.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    raise _unknown(whole)


def _unknown(name: str) -> CheckpointForeign:
    return CheckpointForeign(f"{name} is no tensor of such networks; this is another checkpoint.")
