"""The reference numbers: golden tensors, their configurations, and a checkpoint folder made of their weights.

The folder is `midi` below SET_DRESSER_REFERENCE, `../shared/reference` by default. All sizes come from the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def inference() -> Iterator[None]:
    """No gradients: reference numbers are those of a forward pass."""
    import torch

    with torch.inference_mode():
        yield


class Golden:
    """One golden file: tensors by name, weights by prefix, metadata."""

    def __init__(self, file: Path) -> None:
        from safetensors import safe_open

        with safe_open(file, framework="pt") as content:
            self.metadata: dict[str, str] = content.metadata() or {}
            self.tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]

    def weights(self, prefix: str = "weight.") -> dict[str, Any]:
        return {name.removeprefix(prefix): each for name, each in self.tensors.items() if name.startswith(prefix)}

    def json(self, name: str) -> Any:
        return json.loads(self.metadata[name])


@pytest.fixture(scope="session")
def reference() -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    folder = Path(os.environ.get("SET_DRESSER_REFERENCE", ROOT.parent / "shared" / "reference")) / "midi"
    if not folder.is_dir():
        pytest.skip(f"the MIDI reference numbers are not at {folder} (SET_DRESSER_REFERENCE)")
    return folder


@pytest.fixture(scope="session")
def golden(reference: Path) -> Callable[[str], Golden]:
    cache: dict[str, Golden] = {}

    def load(name: str) -> Golden:
        if name not in cache:
            cache[name] = Golden(reference / f"golden_{name}.safetensors")
        return cache[name]

    return load


@pytest.fixture(scope="session")
def checkpoint(golden: Callable[[str], Golden], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden weights in the published folder layout."""
    from models.midi.tiny import Part, write_checkpoint

    transformer, vae, encoders = golden("transformer"), golden("vae"), golden("image_encoders")
    config = transformer.json("config")
    blocks = [int(name.rpartition(".")[2]) for name in config.pop("mi_blocks")]
    config |= {"multi_instance_blocks": blocks}
    sizes = golden("preprocess").metadata
    return write_checkpoint(
        tmp_path_factory.mktemp("midi") / "checkpoint",
        {
            "transformer": Part("TripoSGDiTModel", config, transformer.weights()),
            "vae": Part("TripoSGVAEModel", vae.json("config"), vae.weights()),
            "image_encoder_1": Part(
                "CLIPVisionModelWithProjection", encoders.json("clip_config"), encoders.weights("clip.")
            ),
            "image_encoder_2": Part("Dinov2Model", encoders.json("dino_config"), encoders.weights("dino.")),
        },
        clip_size=int(sizes["clip_size"]),
        dino_size=int(sizes["dino_size"]),
        shift=float(golden("denoise")["in.shift"]),
    )


@pytest.fixture(scope="session")
def pipeline(checkpoint: Path) -> Any:
    from models.midi.pipeline import MidiPipeline

    return MidiPipeline.from_pretrained(checkpoint)


@pytest.fixture(scope="session")
def picture(reference: Path) -> Callable[[str], tuple[Any, Any]]:
    """RGB and grey labels of one golden picture ("inner", "border"); the labels are the luma of their colours."""

    def read(name: str) -> tuple[Any, Any]:
        rgb = Image.open(reference / f"golden_pre_{name}_rgb.png").convert("RGB")
        labels = Image.open(reference / f"golden_pre_{name}_seg.png").convert("L")
        return np.asarray(rgb), np.asarray(labels)

    return read


@pytest.fixture(scope="session")
def close() -> Callable[[Any, Any, float], None]:
    """Asserts that two arrays have one shape and differ nowhere by more than a tolerance."""

    def check(actual: Any, expected: Any, tolerance: float) -> None:
        actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
        assert actual.shape == expected.shape
        assert np.isfinite(actual).all()
        assert np.abs(actual - expected).max() <= tolerance

    return check
