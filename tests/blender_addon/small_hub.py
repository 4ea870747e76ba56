"""A hub of our own with a model that is complete and tiny: zeros in the right files, no network in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.backend.downloads.hostile_hub import HostileHub

LARGEST = "transformer/diffusion_pytorch_model.safetensors"
SIZES = {
    LARGEST: 400_000,
    "vae/diffusion_pytorch_model.safetensors": 60_000,
    "image_encoder_1/model.safetensors": 40_000,
    "image_encoder_2/model.safetensors": 20_000,
}
CONFIGS = (
    "transformer/config.json",
    "vae/config.json",
    "image_encoder_1/config.json",
    "image_encoder_2/config.json",
    "scheduler/scheduler_config.json",
    "feature_extractor_1/preprocessor_config.json",
    "feature_extractor_2/preprocessor_config.json",
)


def write_model(folder: Path) -> Path:
    """The files of MIDI that count, each with one tensor of bytes or an empty configuration."""
    for name, size in SIZES.items():
        header = json.dumps({"zeros": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    for name in CONFIGS:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return folder


@contextmanager
def small_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileHub]:
    """A hub that is well; backends that are started meanwhile ask it, and no other."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "SET_DRESSER_OFFLINE", "SET_DRESSER_MODELS", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(folder / "huggingface"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "huggingface" / "hub"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with HostileHub(write_model(folder / "published")) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub
