"""How large MIDI is: as published; small enough for a CPU; and tiny, to compare numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.midi import tiny
from models.midi.transformer import TransformerConfig
from models.midi.vae import QUERY_CHUNK, VaeConfig


@dataclass(frozen=True)
class Size:
    """How large the networks and their inputs are."""

    transformer: TransformerConfig
    vae: VaeConfig
    clip: Mapping[str, Any]
    dino: Mapping[str, Any]
    dino_pixels: int
    tokens: int
    resolution: int
    chunk: int


OFFICIAL = Size(
    TransformerConfig(),
    VaeConfig(),
    {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 768,
        "hidden_act": "quick_gelu",
    },
    {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "mlp_ratio": 4,
        "image_size": 518,
        "patch_size": 14,
        "num_channels": 7,
    },
    dino_pixels=512,
    tokens=2048,
    resolution=257,
    chunk=QUERY_CHUNK,
)

REDUCED = Size(
    TransformerConfig(4, 128, 64, 21, 48, 64),
    VaeConfig(num_attention_heads=4, width_encoder=32, width_decoder=64),
    {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "image_size": 112,
        "patch_size": 14,
        "projection_dim": 48,
        "hidden_act": "quick_gelu",
    },
    {
        "hidden_size": 64,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "mlp_ratio": 4,
        "image_size": 126,
        "patch_size": 14,
        "num_channels": 7,
    },
    dino_pixels=126,
    tokens=128,
    resolution=129,
    chunk=5_000,
)
"""A sixteenth of the widths and of the tokens, all layers of transformer and decoder, half the resolution."""

TINY = Size(tiny.TRANSFORMER, tiny.VAE, tiny.CLIP, tiny.DINO, 64, tokens=16, resolution=33, chunk=2_000)
SIZES = {"official": OFFICIAL, "reduced": REDUCED, "tiny": TINY}
