"""The depth network is MiDaS's: a plain reading of its file's layout gives the same disparity.

`plain` computes from the published names, with nothing of transformers: a ResNet-50 v2's stem and stages with
standardised weights and padding as TensorFlow's "same", a ViT of which blocks 8 and 11 are read out with their class
token, four feature maps fused from coarse to fine (Ranftl et al., "Vision Transformers for Dense Prediction",
arXiv 2103.13413).
"""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import Tensor  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from models.hi3d.encoder_names import depth_tensors  # noqa: E402
from models.hi3d.shapes import DEPTH_BLOCKS, DEPTH_HEADS, depth_config  # noqa: E402
from models.hi3d.tiny import depth_source  # noqa: E402

BACKBONE = "pretrained.model.patch_embed.backbone"


def same_convolution(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Weights of each output with mean 0 and deviation 1; as much padding as makes ceil(size / stride) places, the odd
    one to the right and below."""
    flat = weight.flatten(1)
    weight = ((flat - flat.mean(1, keepdim=True)) / (flat.var(1, unbiased=False, keepdim=True) + 1e-8).sqrt()).reshape(
        weight.shape
    )
    return F.conv2d(padded(x, weight.shape[-1], stride), weight, stride=stride)


def padded(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    needed = [max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
    (top, left) = (each // 2 for each in needed)
    return F.pad(x, (left, needed[1] - left, top, needed[0] - top), value=value)


def norm(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    return F.group_norm(x, 32, t[f"{name}.weight"], t[f"{name}.bias"], 1e-5)


def bottleneck(x: Tensor, t: dict[str, Tensor], name: str, stride: int) -> Tensor:
    shortcut = x
    if f"{name}.downsample.conv.weight" in t:
        shortcut = norm(same_convolution(x, t[f"{name}.downsample.conv.weight"], stride), t, f"{name}.downsample.norm")
    x = F.relu(norm(same_convolution(x, t[f"{name}.conv1.weight"], 1), t, f"{name}.norm1"))
    x = F.relu(norm(same_convolution(x, t[f"{name}.conv2.weight"], stride), t, f"{name}.norm2"))
    return F.relu(norm(same_convolution(x, t[f"{name}.conv3.weight"], 1), t, f"{name}.norm3") + shortcut)


def linear(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])


def convolution(x: Tensor, t: dict[str, Tensor], name: str, stride: int = 1) -> Tensor:
    weight = t[f"{name}.weight"]
    return F.conv2d(x, weight, t.get(f"{name}.bias"), stride, weight.shape[-1] // 2)


def transformer_block(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    width = x.shape[-1]
    normed = F.layer_norm(x, (width,), t[f"{name}.norm1.weight"], t[f"{name}.norm1.bias"], 1e-6)
    q, k, v = (
        each.unflatten(-1, (DEPTH_HEADS, -1)).transpose(1, 2)
        for each in linear(normed, t, f"{name}.attn.qkv").chunk(3, -1)
    )
    scores = (q @ k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), t, f"{name}.attn.proj")
    normed = F.layer_norm(x, (width,), t[f"{name}.norm2.weight"], t[f"{name}.norm2.bias"], 1e-6)
    return x + linear(F.gelu(linear(normed, t, f"{name}.mlp.fc1")), t, f"{name}.mlp.fc2")


def unit(x: Tensor, t: dict[str, Tensor], name: str) -> Tensor:
    return x + convolution(F.relu(convolution(F.relu(x), t, f"{name}.conv1")), t, f"{name}.conv2")


def twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def plain(pictures: Tensor, t: dict[str, Tensor]) -> Tensor:
    x = F.relu(norm(same_convolution(pictures, t[f"{BACKBONE}.stem.conv.weight"], 2), t, f"{BACKBONE}.stem.norm"))
    x = F.max_pool2d(padded(x, 3, 2, -math.inf), 3, 2)
    maps = []
    for stage in range(3):
        block = 0
        while f"{BACKBONE}.stages.{stage}.blocks.{block}.conv1.weight" in t:
            stride = 2 if stage and not block else 1
            x = bottleneck(x, t, f"{BACKBONE}.stages.{stage}.blocks.{block}", stride)
            block += 1
        maps.append(x)
    x = convolution(x, t, "pretrained.model.patch_embed.proj")
    grid = x.shape[-2:]
    tokens = torch.cat([t["pretrained.model.cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
    tokens = tokens + t["pretrained.model.pos_embed"]
    read = {}
    for block in range(DEPTH_BLOCKS[-1] + 1):
        tokens = transformer_block(tokens, t, f"pretrained.model.blocks.{block}")
        read[block] = tokens
    layers = maps[:2]
    for number, block in ((3, DEPTH_BLOCKS[2]), (4, DEPTH_BLOCKS[3])):
        place = f"pretrained.act_postprocess{number}"
        states = read[block]
        told = torch.cat([states[:, 1:], states[:, :1].expand_as(states[:, 1:])], dim=-1)
        told = F.gelu(linear(told, t, f"{place}.0.project.0")).transpose(1, 2).unflatten(2, grid)
        layer = convolution(told, t, f"{place}.3")
        layers.append(layer if number == 3 else convolution(layer, t, f"{place}.4", stride=2))
    path: Tensor | None = None
    for number in (4, 3, 2, 1):
        layer = convolution(layers[number - 1], t, f"scratch.layer{number}_rn")
        place = f"scratch.refinenet{number}"
        path = layer if path is None else path + unit(layer, t, f"{place}.resConfUnit1")
        path = convolution(twice(unit(path, t, f"{place}.resConfUnit2")), t, f"{place}.out_conv")
    assert path is not None
    head = twice(convolution(path, t, "scratch.output_conv.0"))
    head = F.relu(convolution(head, t, "scratch.output_conv.2"))
    return F.relu(convolution(head, t, "scratch.output_conv.4"))[:, 0]


@pytest.mark.parametrize("side", [32, 96])
def test_the_network_reads_its_file_as_midas_does(side: int) -> None:
    from transformers import DPTConfig, DPTForDepthEstimation

    tensors = depth_source(side, seed=3)
    config = depth_config({name: tuple(each.shape) for name, each in tensors.items()})
    network: Any = DPTForDepthEstimation(DPTConfig.from_dict(config)).eval()
    network.load_state_dict(depth_tensors(tensors), strict=True)
    pictures = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected, found = plain(pictures, tensors), network(pixel_values=pictures).predicted_depth
    assert expected.std() > 0.01, "a picture without depth tells nothing"
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 2e-5 * expected.abs().max()
