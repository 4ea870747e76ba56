"""Tiny checkpoints named and laid out as on the hub, to try the whole way without a download.

Every part of the real ones is there, and loaded by the very same code. The networks are random: views show colours and
no object, and whatever the views, the prop is a blob; see `models/zero123plus/tiny.py` and `models/lrm/tiny.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.weights import WEIGHTS
from models.lrm.configs import Kind
from models.lrm.tiny import write_tiny_checkpoint as write_tiny_reconstruction
from models.zero123plus.tiny import write_tiny_checkpoint as write_tiny_views
from models.zero123plus.tiny import write_tiny_white_unet

MODELS = ("large", "base", "nerf-large", "nerf-base")


def write_tiny_instantmesh_checkpoints(folder: Path, models: Sequence[str] = MODELS, seed: int = 0) -> Path:
    """Writes Zero123++, InstantMesh's UNet and reconstruction models below `folder`; gives back `folder`.

    The environment variable SET_DRESSER_MODELS is to name that folder. All sizes are alike: "base" differs from "large"
    in its numbers only.

    Args:
        models: values of the parameter `model`.
        seed: the same gives the same files.
    """
    write_tiny_views(folder / WEIGHTS["zero123plus"].repository, seed)
    write_tiny_white_unet(published_file(folder, "views"), seed + 1)
    for number, model in enumerate(models):
        kind: Kind = "density" if model.startswith("nerf") else "mesh"
        write_tiny_reconstruction(published_file(folder, model), kind, seed + number)
    return folder


def published_file(folder: Path, part: str) -> Path:
    """Where a file of InstantMesh's repository lies below a folder of models: `part` is "views" or a model."""
    weights = WEIGHTS[f"instantmesh-{part}"]
    return folder / weights.repository / weights.required[0]
