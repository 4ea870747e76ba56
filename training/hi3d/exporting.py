"""A trained network in the file that its stage is published as, for `models.hi3d` and to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.hi3d import names
from models.hi3d.files import PREFIX, SIZES, WEIGHTS, Stage
from models.hi3d.published_names import published_unet
from models.pickled import read_content
from models.writing import write_torch


def write_stage(file: Path, start: Path, unet: Mapping[str, Tensor], layers: int) -> Path:
    """Everything as in the file that the run began with, but for the network that was trained.

    Args:
        file: to be written, whole or not at all.
        start: as published; its tensors are mapped, so it must not be the same file.
        unet: the network's tensors by the names of diffusers; they get the precision that they had in `start`.
        layers: see `published_names.published_unet`.

    Raises:
        CheckpointError: `start` cannot be read any more.
        OSError: the file cannot be written.
    """
    content: dict[str, Any] = read_content(start)
    tensors = dict(content[WEIGHTS])
    prefix = PREFIX if all(name.startswith(PREFIX) for name in tensors) else ""
    for name, each in published_unet(unet, layers).items():
        place = f"{prefix}{names.UNET}{name}"
        tensors[place] = each.detach().to("cpu", tensors[place].dtype)
    kept = {SIZES: content[SIZES]} if SIZES in content else {}
    return write_torch(file, {WEIGHTS: tensors, **kept})


def exported(folder: Path, stage: Stage) -> Path:
    """Where a run's folder of models has it: by the published name, so that the folder is one of checkpoints."""
    return folder / stage.file
