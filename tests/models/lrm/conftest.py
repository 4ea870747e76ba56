"""Tiny random checkpoints of both kinds, written once, and pictures for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By kind: "mesh" and "density"."""
    pytest.importorskip("torch")
    from models.lrm.tiny import write_tiny_checkpoint

    folder = tmp_path_factory.mktemp("lrm")
    return {kind: write_tiny_checkpoint(folder / f"{kind}.ckpt", kind) for kind in ("mesh", "density")}


@pytest.fixture(scope="session")
def models(tiny_checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from models.lrm.model import InstantMeshModel

    folder = tmp_path_factory.mktemp("converted")
    return {kind: InstantMeshModel.from_checkpoint(path, converted=folder) for kind, path in tiny_checkpoints.items()}


@pytest.fixture(scope="session")
def views() -> Any:
    """Six pictures of 96 × 80 pixels, each with a gradient of its own."""
    torch = pytest.importorskip("torch")
    rows = torch.linspace(0, 1, 96)[:, None]
    columns = torch.linspace(0, 1, 80)
    return torch.stack(
        [
            torch.stack([rows * shade + 0 * columns, 0 * rows + columns, (1 - rows) * columns])
            for shade in torch.linspace(0.2, 1, 6)
        ]
    )


@pytest.fixture(scope="session")
def fields(models: dict[str, Any], views: Any) -> dict[str, Any]:
    from models.lrm.cameras import slot_cameras

    return {kind: model.field(model.encode(views, slot_cameras())) for kind, model in models.items()}
