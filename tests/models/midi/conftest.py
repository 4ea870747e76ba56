"""A tiny random checkpoint, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from models.midi.tiny import write_tiny_checkpoint

    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session")
def pipeline(tiny_checkpoint: Path) -> Any:
    from models.midi.pipeline import MidiPipeline

    return MidiPipeline.from_pretrained(tiny_checkpoint)
