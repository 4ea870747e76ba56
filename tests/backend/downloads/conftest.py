"""A tiny checkpoint behind a hub of our own; nothing here can reach the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the checkpoint that is downloaded is written with PyTorch")
pytest.importorskip("huggingface_hub", reason="downloads ask the hub's own library what there is")

from models.midi.tiny import write_tiny_checkpoint
from tests.backend.downloads.hostile_hub import HostileHub

TOKEN = "hf_aTokenThatNobodyElseMaySee"
NOT_NEEDED = {"README.md": b"# A model\n", "transformer/diffusion_pytorch_model.bin": b"pickled"}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("published") / "checkpoint")


@pytest.fixture
def hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HostileHub]:
    """A hub that is well, named by HF_ENDPOINT; the token of the user is TOKEN."""
    for name in (
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "SET_DRESSER_OFFLINE",
        "SET_DRESSER_MODELS",
        "HF_OIDC_RESOURCE",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in (
        ("HF_HOME", str(tmp_path / "huggingface")),
        ("HF_HUB_CACHE", str(tmp_path / "huggingface" / "hub")),
        ("HF_TOKEN", TOKEN),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "60"),
        ("NO_PROXY", "127.0.0.1,localhost"),
    ):
        monkeypatch.setenv(name, value)
    # Read from the environment when the library was imported, by whichever test was first.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    with HostileHub(checkpoint, extra=NOT_NEEDED) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        yield running


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models."""
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    monkeypatch.setenv("SET_DRESSER_MODELS", str(folder))
    return folder
