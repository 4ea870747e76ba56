"""Tiny random checkpoints, written once, where the catalogue of weights looks for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.residency import residency


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("diffusers")
    from backend.preparations.painting.tiny import write_tiny_painting_checkpoints

    folder = tmp_path_factory.mktemp("imagine")
    write_tiny_painting_checkpoints(folder)
    return folder


@pytest.fixture
def models(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tiny_models))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    residency.clear()
    yield tiny_models
    residency.clear()
