"""Tiny checkpoints named and laid out as on the hub, to try the whole way without a download.

Every part of the real ones is there, and loaded by the very same code. The networks are random: whatever the picture,
the prop is a blob; see `models/lrm/single_view_tiny.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.pipelines.mira import WEIGHTS
from backend.weights import row_of
from backend.weights.own import FOLDER
from models.lrm.single_view import Generation
from models.lrm.single_view_tiny import write_tiny_single_view

MODELS = ("mix-base", "obj-small-1.0")


def write_tiny_mira_checkpoints(
    folder: Path, models: Sequence[str] = MODELS, own: Sequence[str] = (), seed: int = 0
) -> Path:
    """Writes models below `folder`; gives back `folder`.

    The environment variable SET_DRESSER_MODELS is to name that folder. All sizes are alike.

    Args:
        models: values of the parameter `model`.
        own: names of models of one's own, in the layout of MIRA's training.
        seed: the same gives the same files.
    """
    for number, model in enumerate(models):
        generation: Generation = "openlrm-1.0" if model.endswith("1.0") else "openlrm-1.1"
        write_tiny_single_view(folder_of(folder, model), generation, seed + number)
    for number, name in enumerate(own):
        write_tiny_single_view(folder / FOLDER / name, "mira", seed + len(models) + number)
    return folder


def folder_of(folder: Path, model: str) -> Path:
    """Where a published model lies below a folder of models."""
    return folder / row_of(WEIGHTS[model][0]).home
