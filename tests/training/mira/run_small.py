"""A tiny run as a program, under torchrun too: `run_small.py FOLDER [--gradients] [--slow] [--broken] [table.field=…]`.

The objects are in the folder `data` beside; values are JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from models.optimisation.loop import NotFinite
from tests.training.mira.shapes import Shape, shape, write_openlrm
from tests.training.programs import disturb, keep_gradients
from training.mira.config import Config
from training.mira.objective import Objective
from training.mira.run import run
from training.processes import started

OBJECTS, VIEWS = 5, 4


def small(folder: Path, data: Path, **changed: Any) -> Config:
    """Everything as it is, only tiny."""
    content: dict[str, dict[str, Any]] = {
        "data": {"folder": data, "picture_size": 32, "held_out": 0.2, "supervised": 2},
        "run": {
            "folder": folder,
            "steps": 5,
            "batch": 4,
            "precision": "float32",
            "workers": 0,
            "log_every": 1,
            "checkpoint_every": 5,
            "validate_every": 1000,
            "tensorboard": False,
        },
        "model": {
            "encoder_width": 64,
            "encoder_layers": 1,
            "encoder_heads": 1,
            "camera_embedding": 16,
            "width": 24,
            "layers": 1,
            "heads": 2,
            "low_resolution": 4,
            "plane_channels": 6,
            "source_size": 32,
            "render_size": 32,
            "samples_per_ray": 8,
            "dropout": 0.0,
        },
        "augmentation": {"mirror": 0.5, "stretch": 0.1, "colours": 0.5, "gain": 0.1},
        "rays": {"patch": 4, "resolution": (8, 16), "samples": 8},
        "losses": {"perceptual": 0.0, "occupancy": 1.0, "overlap": 0.5, "points": 4},
        "optimiser": {"rate": 1e-3, "warm_up": 2, "averaging": 0.9},
        "validation": {"objects": 1, "views": 1, "size": 16, "lattice": 17, "previews": 1},
    }
    for place, value in changed.items():
        table, name = place.split(".")
        content[table][name] = value
    return Config.model_validate(content)


def objects(root: Path, left_out: Callable[[str], None] = print) -> Sequence[Shape]:
    """The objects of a folder that `write_objects` has made; their pictures are drawn, not read."""
    return [shape(seed, VIEWS, size=32, voxels=16) for seed in range(OBJECTS)]


def write_objects(root: Path) -> Path:
    """A folder for each of the objects, by which the cache knows them."""
    for each in objects(root):
        write_openlrm(each, root)
    return root


def main(folder: Path, options: Sequence[str]) -> int:
    """0: to the end. 2: a loss was no number, and the sentence is on standard error."""
    changed = {name: json.loads(value) for name, value in (each.split("=") for each in options if "=" in each)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with started() as (processes, device), pytest.MonkeyPatch.context() as patch:
            if "--gradients" in options:
                keep_gradients(patch, folder / f"gradients-{processes.rank}")
            disturb(patch, Objective, slow="--slow" in options, broken="colour" if "--broken" in options else None)
            run(small(folder, folder.parent / "data", **changed), objects, processes, device)
    except NotFinite as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
