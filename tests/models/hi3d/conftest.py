"""Tiny checkpoints of both stages in the published layout, written once, and a picture for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

FRAMES = 4
"""Of an orbit: a quarter of the work of the real 16."""

SIZE, REFINED = 64, 80
"""Pixels along a side of a frame."""


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from models.hi3d.files import ORBIT, REFINE
    from models.hi3d.tiny import write_tiny_stage

    folder = tmp_path_factory.mktemp("hi3d")
    for stage, size in ((ORBIT, SIZE), (REFINE, REFINED)):
        write_tiny_stage(folder / stage.file, stage, frames=FRAMES, size=size)
    return folder


@pytest.fixture(scope="session")
def orbit(checkpoints: Path) -> Any:
    from models.hi3d.pipeline import OrbitPipeline

    return OrbitPipeline.from_files(checkpoints / "first_stage.pt")


@pytest.fixture(scope="session")
def refine(checkpoints: Path) -> Any:
    from models.hi3d.pipeline import RefinePipeline

    return RefinePipeline.from_files(checkpoints / "second_stage.pt")


@pytest.fixture(scope="session")
def picture() -> Any:
    """A dark disc on white, [SIZE, SIZE, 3], 0 … 1."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    inside = (rows - 32) ** 2 + (columns - 32) ** 2 < 18**2
    return np.where(inside[..., None], np.array([0.6, 0.2, 0.1]), 1.0).astype(np.float32)
