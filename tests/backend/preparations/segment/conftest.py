"""Tiny checkpoints for the whole folder, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.preparations.segment.tiny import write_tiny_segmentation_checkpoints


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_segmentation_checkpoints(tmp_path_factory.mktemp("models"))
