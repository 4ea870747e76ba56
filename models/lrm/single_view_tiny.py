"""Tiny random single-view checkpoints in all three layouts, for trying the whole way without a published one.

Every part of the real ones is there. As in `tiny`, one channel of the planes makes the field one closed blob in the
middle, whatever the picture shows; what comes from the picture goes into the colours and, a little, into the shape.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from models.lrm.configs import EncoderConfig
from models.lrm.decoders import raw_density
from models.lrm.decoding import SINGLE_VIEW_THRESHOLD
from models.lrm.dinov2 import DinoV2Config
from models.lrm.single_view import Generation, SingleViewConfig, SingleViewModel
from models.lrm.single_view_files import write_mira, write_openlrm
from models.lrm.tiny import DENSITY_SLOPE, read_blob, shape_planes, vivid

DINO = EncoderConfig(64, 2, 1, 128, 64, 16, camera_width=0, position_offset=0.0)
DINO_V2 = DinoV2Config(64, 2, 1, 14, 56, 2)
SOURCE_SIZES: dict[Generation, int] = {"mira": 64, "openlrm-1.0": 64, "openlrm-1.1": 56}
RENDER_SIZE = 32


def tiny_single_view(generation: Generation = "openlrm-1.1", seed: int = 0) -> SingleViewModel:
    """The networks of `write_tiny_single_view`."""
    encoder = DINO_V2 if generation == "openlrm-1.1" else DINO
    return random_single_view(SingleViewConfig(generation, encoder, 64, 128, 2, 2, 16, 8, 32), seed)


def random_single_view(config: SingleViewConfig, seed: int = 0) -> SingleViewModel:
    """Random networks of any size; the surface of their field at the published level is about a ball of 0.6."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = SingleViewModel(config)
        for module in network.modules():
            if isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.8, 1.2)
        shape_planes(network.pos_embed, network.transformer.norm, network.upsampler)
        decoder = network.synthesizer.decoder
        vivid(decoder.net, slice(1, None))
        read_blob(decoder.net, slope=DENSITY_SLOPE, level=raw_density(SINGLE_VIEW_THRESHOLD), others=0.4)
    return network.eval()


def write_tiny_single_view(folder: Path, generation: Generation = "openlrm-1.1", seed: int = 0) -> Path:
    """A complete random checkpoint of about 3 MB in its published layout, the same for the same seed.

    Args:
        folder: gets `model.safetensors` and `config.json`, `model.pth`, or `checkpoint_1.pt` and `config.json`.

    Returns:
        The file with the tensors.
    """
    network, source = tiny_single_view(generation, seed), SOURCE_SIZES[generation]
    if generation == "mira":
        settings = {"source_size": source, "render_size": RENDER_SIZE}
        return write_mira(network, folder / "checkpoint_1.pt", 1, settings)
    return write_openlrm(network, folder, source, RENDER_SIZE)
