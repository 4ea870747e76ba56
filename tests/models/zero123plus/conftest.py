"""Tiny random checkpoints in both published layouts, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

VIEW = 32
"""Pixels along a side of a view: a hundredth of the work of the real 320."""


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from models.zero123plus.tiny import write_tiny_checkpoint

    return write_tiny_checkpoint(tmp_path_factory.mktemp("zero123plus") / "checkpoint")


@pytest.fixture(scope="session")
def white_unet(tiny_checkpoint: Path) -> Path:
    from models.zero123plus.tiny import write_tiny_white_unet

    return write_tiny_white_unet(tiny_checkpoint.parent / "instantmesh" / "diffusion_pytorch_model.bin")


@pytest.fixture(scope="session")
def pipeline(tiny_checkpoint: Path) -> Any:
    from models.zero123plus.pipeline import Zero123Plus

    return Zero123Plus.from_pretrained(tiny_checkpoint, view_size=VIEW)


def photo(seed: int) -> Any:
    """A disc of noise on nothing, RGBA."""
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 4), np.uint8)
    rows, columns = np.mgrid[:40, :30]
    pixels[..., 3] = 255 * ((rows - 18) ** 2 + (columns - 14) ** 2 < 100)
    return pixels


@pytest.fixture(scope="session")
def photos() -> list[Any]:
    return [photo(seed) for seed in range(3)]
