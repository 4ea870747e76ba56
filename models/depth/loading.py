"""Depth networks of transformers from a folder, filled strictly: with a hybrid ViT, or with BEiT behind them.

Files of BEiT have the names that transformers gave when they were published, which it has changed since.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from models.loading import MOST_LAYERS, CheckpointForeign, load_module, read_json
from models.published import on_meta, transformers_network, whole

LAYER = re.compile(r"backbone\.encoder\.layer\.(\d+)\.")
POSITIONS = "attention.attention.relative_position_bias"
RENAMED = (
    (POSITIONS, "relative_position_bias"),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
)
"""Parts of the names within a layer as published, and today's; the first that is found counts."""


def load_depth(folder: Path, device: torch.device | str, dtype: torch.dtype) -> Any:
    """`DPTForDepthEstimation` of a folder with `config.json` and `model.safetensors`.

    Raises:
        CheckpointError: see `loading.load_module`; CheckpointForeign where the configuration describes another network.
    """
    from transformers import DPTConfig, DPTForDepthEstimation

    file = folder / "config.json"
    content = read_json(file)
    backbone = content.get("backbone_config")
    if not isinstance(backbone, dict) or backbone.get("model_type") != "beit":
        network = transformers_network(folder, DPTForDepthEstimation, DPTConfig)
        return whole(load_module(network, folder, "model", device, dtype), device)
    if content.get("model_type") != DPTConfig.model_type:
        raise CheckpointForeign(f"{file} describes a {content.get('model_type')}, not a {DPTConfig.model_type}.")
    layers, heads, width = (
        _count(backbone, name, file) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size")
    )
    if layers > MOST_LAYERS:
        raise CheckpointForeign(f"{file}: num_hidden_layers is {layers}; {MOST_LAYERS} is the most.")
    if width % heads:
        raise CheckpointForeign(f"{file}: hidden_size {width} is no multiple of {heads} heads.")
    # What a backbone has instead of the network itself is null there.
    given = {name: value for name, value in content.items() if value is not None}
    network = on_meta(
        lambda: DPTForDepthEstimation(DPTConfig.from_dict(content)), given, file, DPTForDepthEstimation.__name__
    )
    indices = [f"backbone.encoder.layer.{layer}.{POSITIONS}.relative_position_index" for layer in range(layers)]
    return whole(load_module(network, folder, "model", device, dtype, rename=todays_name, ignore=indices), device)


def _count(backbone: dict[str, Any], name: str, file: Path) -> int:
    value = backbone.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointForeign(f"{file}: backbone_config has no usable {name}.")
    return value


def todays_name(name: str) -> str:
    """The name that transformers gives today to a tensor of a published file with BEiT."""
    name = name.replace("backbone.embeddings.", "backbone.beit.embeddings.", 1)
    layer = LAYER.match(name)
    if layer is None:
        return name
    rest = name[layer.end() :]
    for old, new in RENAMED:
        if rest.startswith(old):
            rest = new + rest[len(old) :]
            break
    return f"backbone.beit.layers.{layer[1]}.{rest}"
