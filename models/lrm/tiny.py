"""A checkpoint in the published layout, from any weights; and a tiny random one for trying the whole way.

The tiny one has every part of the real one. Its networks are random but for two things: one channel of the planes
falls from the middle of each plane outwards, so that the three together fall with the square of the distance, and the
decoder reads that channel. Whatever the pictures, the field is therefore one closed blob. Other channels carry what
comes from the pictures, into the colours and, a little, into the shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.lrm.checkpoint import PREFIX
from models.lrm.configs import EncoderConfig, Kind, LrmConfig, TransformerConfig
from models.lrm.decoders import MeshDecoder
from models.lrm.model import LargeReconstructionModel
from models.writing import write_torch

ENCODER = EncoderConfig(width=64, layers=2, heads=1, inner_width=128, image_size=64)
TRANSFORMER = TransformerConfig(width=128, layers=2, heads=2, context_width=64, low_resolution=16, plane_channels=8)
BLOB_RADIUS = 0.6
TOKEN_SIZE = 10.0  # of the learned tokens; what the layers add to them is about 1
WAVES, WAVE_SIZE = 4, 0.1
DENSITY_SLOPE = 40.0
SURFACE_DENSITY = 10.0


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], others: Mapping[str, Any] | None = None) -> Path:
    """Writes a `.ckpt` as Lightning does, whole or not at all.

    Args:
        path: its folder is made if it does not exist.
        tensors: by published name without prefix.
        others: more entries of the `state_dict`, by full name.
    """
    state = {PREFIX + name: tensor.clone() for name, tensor in tensors.items()}
    content = {"epoch": 0, "global_step": 0, "state_dict": {**state, **(others or {})}}
    return write_torch(path, content)


def write_tiny_checkpoint(path: Path, kind: Kind = "mesh", seed: int = 0) -> Path:
    """A complete random `.ckpt` of about 3 MB, the same for the same seed, with tensors of others beside."""
    others = {"lpips.net.weight": torch.zeros(2), PREFIX + "encoder.source_camera": torch.zeros(16)}
    return write_checkpoint(path, tiny_network(kind, seed).state_dict(), others)


def tiny_network(kind: Kind = "mesh", seed: int = 0) -> LargeReconstructionModel:
    """The networks of `write_tiny_checkpoint`."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = LargeReconstructionModel(LrmConfig(ENCODER, TRANSFORMER, kind))
        for part in (network.encoder, network.transformer):
            for module in part.modules():
                if isinstance(module, nn.LayerNorm):
                    module.weight.uniform_(0.8, 1.2)
        transformer = network.transformer
        shape_planes(transformer.pos_embed, transformer.norm, transformer.deconv)
        decoder = network.synthesizer.decoder
        if isinstance(decoder, MeshDecoder):
            read_blob(decoder.net_sdf, slope=-1.0, level=0.0, others=0.2)
            vivid(decoder.net_rgb, slice(None))
        else:
            vivid(decoder.net, slice(1, None))
            read_blob(decoder.net, slope=DENSITY_SLOPE, level=SURFACE_DENSITY + 1.0, others=0.4)
    return network


def shape_planes(tokens: Tensor, norm: nn.LayerNorm, upsampler: nn.ConvTranspose2d) -> None:
    """Channel 0 of the planes becomes 1 − (u² + v²) / 2, whatever the layers add to the tokens.

    Args:
        tokens: [1, 3 · side · side, width] that planes begin with, overwritten.
        norm, upsampler: what makes planes of them in the end, overwritten.
    """
    width, channels = upsampler.in_channels, upsampler.out_channels
    side = round((tokens.shape[1] / 3) ** 0.5)
    place = (torch.arange(side) + 0.5) / side * 2 - 1
    falling = 1 - (place[:, None].square() + place.square()) / 2
    share = (0.9 * falling).repeat(3, 1, 1).flatten()[:, None]
    directions = torch.randn(width, 2)
    # Orthonormal and of mean zero, so that the layer norm only scales them.
    carrier, filler = torch.linalg.qr(directions - directions.mean(0))[0].T
    rows = share * carrier + (1 - share.square()).sqrt() * filler
    # Gentle waves, others on each plane; the other channels see them and what the layers add, but not the ball.
    waves = (
        place[:, None, None] * torch.randn(3, 1, 1, WAVES) * 4 + place[:, None] * torch.randn(3, 1, 1, WAVES) * 4
    ).sin()
    past = torch.eye(width) - torch.outer(carrier, carrier) - torch.outer(filler, filler)
    rows = rows + WAVE_SIZE * waves.view(-1, WAVES) @ nn.functional.normalize(torch.randn(WAVES, width) @ past, dim=1)
    tokens.copy_(TOKEN_SIZE * width**0.5 * rows)
    norm.weight.fill_(1.0)
    upsampler.weight.copy_((past @ torch.randn(width, channels))[..., None, None])
    upsampler.weight[:, 0] = (carrier / (0.9 * width**0.5))[:, None, None]
    assert upsampler.bias is not None
    upsampler.bias.zero_()


def read_blob(network: nn.Sequential, slope: float, level: float, others: float) -> None:
    """Output 0 becomes level + slope · (BLOB_RADIUS² − r²) and `others` times what it was.

    Unit 0 carries the sum over the planes, 3 − r², unchanged through the layers: it is positive everywhere.
    """
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    channels = linear[0].in_features // 3
    for layer in linear[:-1]:
        layer.weight[0].zero_()
        layer.bias[0] = 0.0
    linear[0].weight[0, ::channels] = 1.0
    for layer in linear[1:-1]:
        layer.weight[0, 0] = 1.0
    last = linear[-1]
    last.weight[0] *= others
    last.weight[0, 0] = slope
    last.bias[0] = level - slope * (3 - BLOB_RADIUS**2)


def vivid(network: nn.Sequential, outputs: slice) -> None:
    """Colours that change over the surface: steeper layers, and no constant part."""
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer in linear:
        layer.weight *= 2.5
    linear[-1].bias[outputs] = 0.0
