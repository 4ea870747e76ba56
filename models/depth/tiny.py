"""A tiny random depth network in the published layout: file, configuration and names as they lie on the hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.depth.loading import POSITIONS, RENAMED
from models.writing import write_json, write_safetensors

WIDTH, LAYERS, FUSED = 32, 4, 8
CONFIG: dict[str, Any] = {
    "model_type": "dpt",
    "architectures": ["DPTForDepthEstimation"],
    "is_hybrid": False,
    "readout_type": "project",
    "reassemble_factors": [4, 2, 1, 0.5],
    "neck_hidden_sizes": [FUSED] * 4,
    "fusion_hidden_size": FUSED,
    "use_batch_norm_in_fusion_residual": False,
    "neck_ignore_stages": [],
    **dict.fromkeys(("num_hidden_layers", "num_attention_heads", "intermediate_size", "image_size", "patch_size")),
    "backbone_config": {
        "model_type": "beit",
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": 16,
        "use_relative_position_bias": True,
        "layer_scale_init_value": 0.1,
        "out_features": [f"stage{stage}" for stage in range(1, LAYERS + 1)],
        "reshape_hidden_states": False,
    },
}


def write_tiny_midas(folder: Path, seed: int = 0) -> Path:
    """Writes `config.json` and `model.safetensors` into a folder, which is made. Gives the folder back."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", CONFIG)
    write_safetensors(folder / "model.safetensors", tiny_tensors(seed))
    return folder


def tiny_tensors(seed: int = 0) -> dict[str, Tensor]:
    """The tensors by their published names, float32."""
    from transformers import DPTConfig, DPTForDepthEstimation

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DPTForDepthEstimation(DPTConfig.from_dict(CONFIG))
        state = network.state_dict()
        drawn = {name: torch.randn(each.shape) / max(each[0].numel(), 1) ** 0.5 for name, each in state.items()}
    drawn["head.head.4.bias"] = drawn["head.head.4.bias"] + 3.0  # what would be negative is cut off
    found = {_published_name(name): each for name, each in drawn.items()}
    for layer in range(LAYERS):  # numbers that files of the time have and nobody needs
        found[f"backbone.encoder.layer.{layer}.{POSITIONS}.relative_position_index"] = torch.zeros(1)
    return found


def _published_name(name: str) -> str:
    name = name.replace("backbone.beit.embeddings.", "backbone.embeddings.", 1)
    layer = re.match(r"backbone\.beit\.layers\.(\d+)\.", name)
    if layer is None:
        return name
    rest = name[layer.end() :]
    for old, new in RENAMED:
        if rest.startswith(new):
            rest = old + rest[len(new) :]
            break
    return f"backbone.encoder.layer.{layer[1]}.{rest}"
