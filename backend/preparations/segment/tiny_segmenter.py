"""A tiny SAM that needs no training: its weights are set so that it outlines a disc in the middle of each box.

It has every part of the real network and is run by the same code, so a box that went through the wrong coordinates,
or a mask that came back through them, shows. What is in the picture it does not see.

How: with the angle a(x), which goes from -π/2 to π/2 across the picture, each pixel carries sin and cos of a(x) and
a(y), each twice, once negated (so that every layer norm is a mere scaling). Attention that is uniform averages the
positional encodings of a box's two corners, which gives A sin and A cos of its middle, with A the cosine of half its
width. Their product with the pixel's is A cos(distance), and that is compared with 1.5 A - 0.5: about a circle of the
box's mean radius. A itself, a length, is made of rectified projections onto evenly spread directions.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

WIDTH = 64
"""Channels of the decoder."""

VISION_WIDTH = 16
DIRECTIONS = 21
"""An odd number; the length is then exact to 0.1 %."""

LIFT = 8.0
"""What keeps the last features so far above zero that the activation leaves them as they are."""

EXPECTED_AGREEMENT = (0.1, 0.6, 0.9, 0.3)
"""What it says of its masks: of the single one, and of three, of which only the middle one is the disc."""


def tiny_segmenter(side: int) -> Any:
    """A `SamModel` for padded squares of `side` pixels."""
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    patch = side // 32
    vision = SamVisionConfig(
        hidden_size=VISION_WIDTH,
        output_channels=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=side,
        patch_size=patch,
        window_size=4,
        global_attn_indexes=[0],
        num_pos_feats=WIDTH // 2,
    )
    prompts = SamPromptEncoderConfig(hidden_size=WIDTH, image_size=side, patch_size=patch)
    decoder = SamMaskDecoderConfig(
        hidden_size=WIDTH, mlp_dim=8, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=8
    )
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
    model: Any = SamModel(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        _see(model, side // patch)
        _listen(model.mask_decoder.transformer.layers[0].self_attn)
        _draw(model.mask_decoder)
    return model


def _see(model: Any, cells: int) -> None:
    """Pixels carry where they are: sin and cos of both angles and a constant, each with its negative."""
    encoding = model.shared_image_embedding.positional_embedding
    encoding[0, 0] = encoding[1, 1] = 0.25
    angles = (torch.arange(cells) + 0.5) / cells * math.pi - math.pi / 2
    down, across = torch.meshgrid(angles, angles, indexing="ij")
    features = torch.stack([across.sin(), across.cos(), down.sin(), down.cos(), torch.ones_like(down)], dim=-1)
    vision = model.vision_encoder
    vision.pos_embed[0, ..., :10] = torch.stack([features, -features], dim=-1).flatten(-2)
    vision.neck.conv1.weight[:VISION_WIDTH, :, 0, 0] = torch.eye(VISION_WIDTH)
    vision.neck.conv2.weight[:, :, 1, 1] = torch.eye(WIDTH)


def _listen(attention: Any) -> None:
    """Tokens carry the mean of the corners' encodings, laid out as the pixels' features."""
    half = WIDTH // 2
    # Encoded are the sines of all frequencies, then the cosines; a frequency of zero has the cosine one.
    for feature, source in enumerate((0, half, 1, half + 1, half + 2)):
        attention.v_proj.weight[2 * feature, source] = 1.0
        attention.v_proj.weight[2 * feature + 1, source] = -1.0
    attention.out_proj.weight.copy_(torch.eye(WIDTH))


def _draw(decoder: Any) -> None:
    """The product of what pixels and tokens carry, less the threshold."""
    for feature in range(5):
        decoder.upscale_conv1.weight[2 * feature, 2 * feature] = 1.0
        decoder.upscale_conv1.weight[2 * feature + 1, 2 * feature + 1] = 1.0
    for feature in range(4):
        # The activation of f less that of -f is f.
        decoder.upscale_conv2.weight[2 * feature, feature] = 1.0
        decoder.upscale_conv2.weight[2 * feature + 1, feature] = -1.0
    decoder.upscale_conv2.bias[:5] = LIFT
    for network, (lengths, constant) in zip(
        decoder.output_hypernetworks_mlps, ((1.5, -1.0), (1.9, -1.8), (1.5, -1.0), (0.0, 0.0)), strict=True
    ):
        network.proj_in.weight.copy_(_lines())
        network.layers[0].weight.copy_(torch.eye(WIDTH))
        network.proj_out.weight.copy_(_products(lengths, constant))
    decoder.iou_prediction_head.proj_out.bias.copy_(torch.tensor(EXPECTED_AGREEMENT))


def _lines() -> Tensor:
    """Of a token's ten features: themselves, then projections of (sin, cos) onto directions, across and down."""
    lines = torch.zeros(WIDTH, WIDTH)
    lines[:10, :10] = torch.eye(10)
    turns = torch.arange(DIRECTIONS) * (2 * math.pi / DIRECTIONS)
    for axis in range(2):
        rows = slice(10 + axis * DIRECTIONS, 10 + (axis + 1) * DIRECTIONS)
        lines[rows, 4 * axis] = turns.sin()
        lines[rows, 4 * axis + 2] = turns.cos()
    return lines


def _products(lengths: float, constant: float) -> Tensor:
    """What each of the pixel's channels is multiplied with, (8, WIDTH), from the rectified lines of the token.

    The first four channels meet their own feature, the fifth, a constant, -(`lengths` · A + `constant`) over both axes
    and what the lift of the four adds.
    """
    rows = torch.zeros(WIDTH // 8, WIDTH)
    for feature in range(4):
        rows[feature, 2 * feature], rows[feature, 2 * feature + 1] = 1.0, -1.0
    # The fifth channel is LIFT. The others have been through a layer norm over WIDTH / 4 channels, six of them filled.
    scale = math.sqrt(WIDTH / 4 / 6) / LIFT
    rows[4, 10 : 10 + 2 * DIRECTIONS] = -lengths * scale * math.pi / DIRECTIONS
    rows[4, 8] = -constant * scale
    rows[4] -= rows[:4].sum(dim=0)
    return rows
