"""A tiny run of Hi3D as a program, under torchrun too: `run_small.py FOLDER [--gradients] [--slow] [table.field=…]`.

Objects and checkpoints are in folders beside, `data` and `weights`; values are JSON.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from models.hi3d.files import ORBIT, REFINE
from models.hi3d.tiny import CONTEXT, LAYERS, WIDTH, write_tiny_stage
from models.hi3d.unet import make_unet
from models.lrm.cameras import spherical_poses
from models.optimisation.loop import NotFinite
from tests.training.programs import disturb, keep_gradients
from training.hi3d.config import Config
from training.hi3d.objective import Objective
from training.hi3d.run import run
from training.layouts import write_metadata
from training.processes import started

FRAMES, SIZE = 4, 64
"""Of a clip, and pixels along a side of one."""

AZIMUTHS, ELEVATIONS = 8, (0.0, 20.0)
OBJECTS = 3


def write_all(folder: Path) -> Path:
    """Objects, both stages' checkpoints, and Stable Video Diffusion, all tiny."""
    for number in range(OBJECTS):
        write_object(folder / "data" / f"object {number}", number)
    for stage in (ORBIT, REFINE):
        write_tiny_stage(folder / "weights" / stage.file, stage, frames=FRAMES, size=SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        video_network().save_pretrained(folder / "weights" / "video" / "unet")
    return folder


def video_network() -> Any:
    """A network by chance with the inputs of Stable Video Diffusion."""
    return make_unet(
        {
            "in_channels": 8,
            "out_channels": 4,
            "block_out_channels": [WIDTH, WIDTH],
            "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
            "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
            "layers_per_block": LAYERS,
            "cross_attention_dim": CONTEXT,
            "num_attention_heads": 1,
            "projection_class_embeddings_input_dim": 768,
            "num_frames": FRAMES,
        }
    )


def write_object(folder: Path, number: int) -> Path:
    """An orbit for each elevation, as `training.render --layout hi3d` writes them: a bar that turns, of one colour."""
    folder.mkdir(parents=True)
    azimuths = np.tile(np.arange(AZIMUTHS) * (360 / AZIMUTHS), len(ELEVATIONS))
    elevations = np.repeat(ELEVATIONS, AZIMUTHS)
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    for index, (azimuth, elevation) in enumerate(zip(azimuths, elevations, strict=True)):
        wide = 0.12 + 0.2 * abs(np.cos(np.radians(azimuth) + number))
        alpha = (np.abs(columns) < wide) & (np.abs(rows) < 0.3 - elevation / 200)
        values = np.zeros((SIZE, SIZE, 4), np.uint8)
        values[alpha] = (40 + 60 * number, int(azimuth / 2), 90, 255)
        Image.fromarray(values).save(folder / f"{index:03d}.png")
    poses = np.asarray(spherical_poses(azimuths.tolist(), elevations.tolist(), 1.5).numpy(), np.float64)
    lens = np.array([[35 / 32, 0, 0.5], [0, 35 / 32, 0.5], [0, 0, 1]])
    write_metadata(folder, "hi3d", poses, np.tile(lens, (len(poses), 1, 1)), {"settings": {"span": 1.0}})
    return folder


def small(folder: Path, **changed: Any) -> Config:
    """Everything as it is, only tiny; objects and checkpoints lie beside the run's folder."""
    weights, stage = folder.parent / "weights", changed.get("model.stage", "orbit")
    content: dict[str, dict[str, Any]] = {
        "data": {"folder": folder.parent / "data", "held_out": 0.3},
        "run": {
            "folder": folder,
            "steps": 4,
            "batch": 2,
            "precision": "float32",
            "workers": 0,
            "log_every": 1,
            "checkpoint_every": 2,
            "validate_every": 1000,
            "tensorboard": False,
        },
        "model": {
            "stage": stage,
            "start": weights / (ORBIT if stage == "orbit" else REFINE).file,
            "video": weights / "video",
        },
        "optimiser": {"rate": 2e-3, "warm_up": 1, "averaging": 0.9},
        "validation": {"objects": 1, "previews": 1, "steps": 1, "side": 32},
    }
    for place, value in changed.items():
        table, name = place.split(".")
        content.setdefault(table, {})[name] = value
    return Config.model_validate(content)


def main(folder: Path, options: Sequence[str]) -> int:
    """0: to the end. 2: a loss was no number, and the sentence is on standard error."""
    changed = {name: json.loads(value) for name, value in (each.split("=") for each in options if "=" in each)}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with started() as (processes, device), pytest.MonkeyPatch.context() as patch:
            if "--gradients" in options:
                keep_gradients(patch, folder / f"gradients-{processes.rank}")
            disturb(patch, Objective, slow="--slow" in options, broken="v" if "--broken" in options else None)
            run(small(folder, **changed), processes, device)
    except NotFinite as error:
        sys.stderr.write(f"{error}\n")
        return 2
    finally:
        torch.set_num_threads(threads)
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
