"""Checkpoints in the published layout, small and made by chance, for trying the whole way.

They have every network of the real ones at a few megabytes, and make small frames. Their UNet says that every frame is
what it is told of it, and their autoencoder makes pictures coarse; so an orbit shows the picture sixteen times, paler
where the picture is dark, on white, the more contrast the more a frame is guided. With two or three steps next to
nothing is left of the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.hi3d import encoder_names, names
from models.hi3d.conditioning import depth_side
from models.hi3d.files import FRAMES, ORBIT, PREFIX, REFINE, SIZES, WEIGHTS, Stage
from models.hi3d.published_names import published_unet, published_vae
from models.hi3d.shapes import DEPTH_BLOCKS, DEPTH_PATCH, HEAD_CHANNELS, VAE_CLASS, VAE_SCALING
from models.hi3d.unet import make_unet
from models.writing import write_torch

SIZE = {ORBIT: 64, REFINE: 128}
"""Pixels along a side of a frame."""

WIDTH = HEAD_CHANNELS
CONTEXT = 32
CLIP = {"width": 64, "layers": 2, "patch": 14, "side": 2, "wide": 96}
SCORE = (24, 16, 8, 8, 4, 1)
LAYERS = 1
VAE_LEVELS = 4
LARGE = 50.0
"""A constant that every norm's group has beside a value, against which the value is small: what is left of a norm is
that it takes the mean away."""

CALM = 0.02
"""What is left of the UNet's random layers, so that seeds differ."""


def write_tiny_stage(
    file: Path,
    stage: Stage,
    seed: int = 0,
    frames: int = FRAMES,
    size: int | None = None,
    second_vae: Mapping[str, Tensor] | None = None,
) -> Path:
    """A stage's file as DeepSpeed keeps it; the same for the same seed.

    Args:
        size: pixels along a side of a frame, a multiple of 16; None: as in `SIZE`.
        second_vae: published tensors in place of a copy of the first autoencoder.
    """
    tensors = tiny_tensors(stage, seed, frames, size, second_vae)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    content = {
        WEIGHTS: tensors,
        SIZES: {"frames": frames, "size": size or SIZE[stage]},
        "param_shapes": [shapes],
        "buffer_names": [],
        "skipped_steps": 0,
        "global_steps": 1,
    }
    return write_torch(file, content)


def write_tiny_checkpoints(folder: Path, seed: int = 0, frames: int = FRAMES) -> Path:
    """Both stages by their published names."""
    for stage in (ORBIT, REFINE):
        write_tiny_stage(folder / stage.file, stage, seed, frames)
    return folder


def tiny_tensors(
    stage: Stage,
    seed: int = 0,
    frames: int = FRAMES,
    size: int | None = None,
    second_vae: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """A stage's tensors by their published names: 16 bits in the UNet, 32 elsewhere."""
    size = size or SIZE[stage]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = published_unet(_copying_unet(stage, frames).state_dict(), LAYERS)
        vae = published_vae(_coarse_vae().state_dict(), VAE_LEVELS)
        groups = {
            names.UNET: {name: each.half() for name, each in unet.items()},
            names.VAE: vae,
            names.SECOND_VAE: dict(vae if second_vae is None else second_vae),
            encoder_names.IMAGE_TOWER: clip_source(CONTEXT),
            # Left over from text, and of no use.
            encoder_names.IMAGE_TOWER.removesuffix("visual."): {"logit_scale": torch.ones(())},
        }
        if stage is ORBIT:
            groups[encoder_names.SCORE_TOWER] = clip_source(SCORE[0])
            groups[encoder_names.SCORE_HEAD] = {
                name: each
                for number, (given, made) in zip((0, 2, 4, 6, 7), pairwise(SCORE), strict=True)
                for name, each in (
                    (f"{number}.weight", torch.randn(made, given) / given**0.5),
                    (f"{number}.bias", torch.randn(made)),
                )
            }
        else:
            groups[encoder_names.DEPTH] = depth_source(depth_side(size), seed)
    return {f"{PREFIX}{prefix}{name}": each for prefix, group in groups.items() for name, each in group.items()}


def clip_source(projected: int) -> dict[str, Tensor]:
    """A tower's tensors by the names of OpenAI and OpenCLIP, without prefix."""
    width, patch, wide = CLIP["width"], CLIP["patch"], CLIP["wide"]
    found = {
        "class_embedding": torch.randn(width) / width**0.5,
        "positional_embedding": torch.randn(CLIP["side"] ** 2 + 1, width) / width**0.5,
        "conv1.weight": torch.randn(width, 3, patch, patch) * (3 * patch**2) ** -0.5,
        "proj": torch.randn(width, projected) / width**0.5,
    }
    for name in ("ln_pre", "ln_post"):
        found |= _norm(name, width)
    for layer in range(CLIP["layers"]):
        place = f"transformer.resblocks.{layer}"
        found |= {f"{place}.attn.in_proj_weight": torch.randn(3 * width, width) / width**0.5}
        found |= {f"{place}.attn.in_proj_bias": torch.randn(3 * width) * 0.1}
        found |= _linear(f"{place}.attn.out_proj", width, width)
        found |= _linear(f"{place}.mlp.c_fc", wide, width) | _linear(f"{place}.mlp.c_proj", width, wide)
        found |= _norm(f"{place}.ln_1", width) | _norm(f"{place}.ln_2", width)
    return found


def depth_source(side: int, seed: int = 0) -> dict[str, Tensor]:
    """A depth network's tensors by the names of MiDaS, without prefix, for pictures of `side` pixels."""
    width, wide, stem, stages, fused = 48, 96, 32, (128, 128, 128), 8
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vit, backbone = "pretrained.model", "pretrained.model.patch_embed.backbone"
        found = {
            f"{vit}.cls_token": torch.randn(1, 1, width),
            f"{vit}.pos_embed": torch.randn(1, (side // DEPTH_PATCH) ** 2 + 1, width),
            f"{backbone}.stem.conv.weight": torch.randn(stem, 3, 7, 7),
        }
        found |= _norm(f"{backbone}.stem.norm", stem)
        given = stem
        for stage, made in enumerate(stages):
            place, inner = f"{backbone}.stages.{stage}.blocks.0", made // 4
            extents = (("downsample.conv", made, given, 1), ("conv1", inner, given, 1), ("conv2", inner, inner, 3))
            for name, rows, columns, kernel in (*extents, ("conv3", made, inner, 1)):
                found[f"{place}.{name}.weight"] = torch.randn(rows, columns, kernel, kernel)
                found |= _norm(f"{place}.{name.replace('conv', 'norm')}", rows)
            given = made
        found |= _convolution(f"{vit}.patch_embed.proj", width, given, 1)
        for block in range(DEPTH_BLOCKS[-1] + 1):
            place = f"{vit}.blocks.{block}"
            found |= _norm(f"{place}.norm1", width) | _norm(f"{place}.norm2", width)
            found |= _linear(f"{place}.attn.qkv", 3 * width, width) | _linear(f"{place}.attn.proj", width, width)
            found |= _linear(f"{place}.mlp.fc1", wide, width) | _linear(f"{place}.mlp.fc2", width, wide)
        found |= _norm(f"{vit}.norm", width) | _linear(f"{vit}.head", 4, width)
        for number in (3, 4):
            place = f"pretrained.act_postprocess{number}"
            found |= _linear(f"{place}.0.project.0", width, 2 * width) | _convolution(f"{place}.3", width, width, 1)
        found |= _convolution("pretrained.act_postprocess4.4", width, width, 3)
        for number, given in enumerate((*stages[:2], width, width), 1):
            found[f"scratch.layer{number}_rn.weight"] = torch.randn(fused, given, 3, 3) / (9 * given) ** 0.5
            place = f"scratch.refinenet{number}"
            found |= _convolution(f"{place}.out_conv", fused, fused, 1)
            for unit in (1, 2):
                for part in (1, 2):
                    found |= _convolution(f"{place}.resConfUnit{unit}.conv{part}", fused, fused, 3)
        found |= _convolution("scratch.output_conv.0", fused // 2, fused, 3)
        found |= _convolution("scratch.output_conv.2", 32, fused // 2, 3)
        found |= _convolution("scratch.output_conv.4", 1, 32, 1)
        found["scratch.output_conv.4.bias"] += 3.0  # what would be negative is cut off
    return found


def _copying_unet(stage: Stage, frames: int) -> Any:
    """A network whose v is minus the frames' own latents, nearly: data is what it was told."""
    inputs, vector = (8, 768) if stage is ORBIT else (17, 512)
    network = make_unet(
        {
            "in_channels": inputs,
            "out_channels": 4,
            "block_out_channels": [WIDTH, WIDTH],
            "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
            "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
            "layers_per_block": LAYERS,
            "cross_attention_dim": CONTEXT,
            "num_attention_heads": WIDTH // HEAD_CHANNELS,
            "projection_class_embeddings_input_dim": vector,
            "num_frames": frames,
        }
    ).requires_grad_(False)
    for name, parameter in network.named_parameters():
        if name.endswith(("_res_block.conv2.weight", "proj_out.weight")):
            parameter *= CALM
        if name.endswith("mix_factor"):
            parameter.uniform_(-1.0, 1.0)
    _beside_constants(network.conv_in)
    for place in range(4):
        network.conv_in.weight[2 * place] = 0.0
        network.conv_in.weight[2 * place, inputs - 4 + place, 1, 1] = VAE_SCALING
        network.conv_in.bias[2 * place] = 0.0
    shortcut = network.up_blocks[-1].resnets[-1].spatial_res_block.conv_shortcut
    shortcut.weight.zero_()
    shortcut.weight[:, WIDTH:, 0, 0] = torch.eye(WIDTH)  # what came from the first convolution
    shortcut.bias.zero_()
    _straight(network.conv_norm_out, network.conv_out, -torch.eye(4), 0.0)
    return network


def _coarse_vae() -> Any:
    """An autoencoder whose first three latents are the colours of 8 × 8 pixels, less their mean over the picture."""
    import diffusers

    config = {
        "block_out_channels": [WIDTH] * VAE_LEVELS,
        "layers_per_block": 1,
        "latent_channels": 4,
        "down_block_types": ["DownEncoderBlock2D"] * VAE_LEVELS,
        "up_block_types": ["UpDecoderBlock2D"] * VAE_LEVELS,
    }
    network: Any = getattr(diffusers, VAE_CLASS).from_config(config).requires_grad_(False)
    for name, parameter in network.named_parameters():
        if ".conv2." in name or ".to_out.0." in name:
            parameter.zero_()
        elif "samplers.0.conv." in name:
            parameter.zero_()
            if parameter.ndim == 4 and "down" in name:
                parameter[..., :2, :2] = torch.eye(WIDTH)[..., None, None] / 4.0
            elif parameter.ndim == 4:
                parameter[..., 1, 1] = torch.eye(WIDTH)
    for half, given, factor in ((network.encoder, 3, 1.0), (network.decoder, 3, VAE_SCALING)):
        _beside_constants(half.conv_in)
        for place in range(given):
            half.conv_in.weight[2 * place] = 0.0
            half.conv_in.weight[2 * place, place, 1, 1] = factor
            half.conv_in.bias[2 * place] = 0.0
    mean = torch.zeros(8, 3)
    mean[:3] = torch.eye(3) / VAE_SCALING
    _straight(network.encoder.conv_norm_out, network.encoder.conv_out, mean, 0.0)
    network.encoder.conv_out.bias[4:] = -20.0  # next to no deviation
    _straight(network.decoder.conv_norm_out, network.decoder.conv_out, torch.eye(3), 1.0)
    for each in (network.quant_conv, network.post_quant_conv):
        each.weight[:, :, 0, 0] = torch.eye(len(each.weight))
        each.bias.zero_()
    return network


def _beside_constants(convolution: Any) -> None:
    """Every second channel becomes a constant."""
    convolution.weight[1::2] = 0.0
    convolution.bias[1::2] = LARGE


def _straight(norm: Any, convolution: Any, matrix: Tensor, offset: float) -> None:
    """Norm, SiLU and convolution become matrix [made, given] · (values − their means) + offset.

    A group is a value and a constant, so they come out of the norm as about −1 and 1. Made large and positive they pass
    SiLU as they are, and their difference is the value less its mean and the constant.
    """
    norm.weight.fill_(LARGE / 2.0)
    norm.bias.fill_(LARGE)
    convolution.weight.zero_()
    given = matrix.shape[1]
    convolution.weight[:, 0 : 2 * given : 2, 1, 1] = matrix
    convolution.weight[:, 1 : 2 * given : 2, 1, 1] = -matrix
    convolution.bias.copy_(matrix.sum(1) * LARGE + offset)


def _norm(name: str, width: int) -> dict[str, Tensor]:
    return {f"{name}.weight": 1.0 + 0.1 * torch.randn(width), f"{name}.bias": 0.1 * torch.randn(width)}


def _linear(name: str, made: int, given: int) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.randn(made, given) / given**0.5, f"{name}.bias": 0.1 * torch.randn(made)}


def _convolution(name: str, made: int, given: int, kernel: int) -> dict[str, Tensor]:
    weight = torch.randn(made, given, kernel, kernel) / (given * kernel**2) ** 0.5
    return {f"{name}.weight": weight, f"{name}.bias": 0.1 * torch.randn(made)}
