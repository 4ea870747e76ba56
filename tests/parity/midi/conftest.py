"""The reference numbers of MIDI, and a checkpoint folder made of their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.parity.goldens import Golden, Goldens, reference_folder


@pytest.fixture(scope="session")
def reference() -> Path:
    return reference_folder("midi")


@pytest.fixture(scope="session")
def golden(reference: Path) -> Goldens:
    return Goldens(reference)


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
