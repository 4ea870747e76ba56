"""The sizes of the golden networks of the reconstruction, as our configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.lrm.configs import EncoderConfig, TransformerConfig


def encoder_config(config: Mapping[str, Any]) -> EncoderConfig:
    return EncoderConfig(
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        inner_width=config["intermediate_size"],
        image_size=config["image_size"],
        patch_size=config["patch_size"],
        image_channels=config["num_channels"],
    )


def transformer_config(config: Mapping[str, Any]) -> TransformerConfig:
    return TransformerConfig(
        width=config["inner_dim"],
        layers=config["num_layers"],
        heads=config["num_heads"],
        context_width=config["image_feat_dim"],
        low_resolution=config["triplane_low_res"],
        plane_channels=config["triplane_dim"],
    )
