"""Tiny checkpoints named and laid out as on the hub, to try the whole way without a download.

They have every network of the real ones, loaded by the very same code; see `models/hi3d/tiny.py` for what they show.
"""

from __future__ import annotations

from pathlib import Path

from backend.weights import WEIGHTS
from models.hi3d.files import ORBIT, REFINE
from models.hi3d.tiny import write_tiny_stage

FRAMES = 6
SIDES = {"orbit": 48, "refine": 96}
"""Views of an orbit, and pixels along a side of one, by stage."""


def write_tiny_hi3d_checkpoints(folder: Path, seed: int = 0, frames: int = FRAMES) -> Path:
    """Writes both stages below `folder`; gives back `folder`.

    The environment variable SET_DRESSER_MODELS is to name that folder.

    Args:
        seed: the same gives the same files.
        frames: views of an orbit.
    """
    for stage, part in ((ORBIT, "orbit"), (REFINE, "refine")):
        write_tiny_stage(published_file(folder, part), stage, seed, frames, SIDES[part])
    return folder


def published_file(folder: Path, part: str) -> Path:
    """Where a stage's file lies below a folder of models: `part` is "orbit" or "refine"."""
    weights = WEIGHTS[f"hi3d-{part}"]
    return folder / weights.home / weights.required[0]
