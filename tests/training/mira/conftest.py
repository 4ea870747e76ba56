"""Objects in the cache, for tests of what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.training.mira.run_small import VIEWS, small, write_objects  # noqa: E402
from tests.training.mira.shapes import shape  # noqa: E402
from training.mira.bank import Shown, keep  # noqa: E402
from training.mira.config import Config  # noqa: E402


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_objects(tmp_path_factory.mktemp("objects") / "data")


@pytest.fixture(scope="session")
def shown(data: Path) -> Shown:
    made = shape(1, VIEWS, size=32, voxels=48)
    return keep(made, data / made.name, data.parent / "cache", 32)


@pytest.fixture
def config(data: Path, tmp_path: Path) -> Config:
    return small(tmp_path / "run", data)
