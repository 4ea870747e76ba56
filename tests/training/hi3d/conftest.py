"""Objects and checkpoints, tiny, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from tests.training.hi3d.run_small import write_all


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has `data` and `weights`; runs get folders beside."""
    return write_all(tmp_path_factory.mktemp("hi3d"))
