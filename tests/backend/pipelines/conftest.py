"""Tiny checkpoints of InstantMesh, MIRA, Hi3D and Magic123, and views that are made once for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def instantmesh_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models."""
    from backend.pipelines.instantmesh.tiny import write_tiny_instantmesh_checkpoints

    return write_tiny_instantmesh_checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def instantmesh_models(instantmesh_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That folder, as the one that the backend looks into."""
    yield from _looked_into(instantmesh_checkpoints, monkeypatch)


def _looked_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import torch

    from backend.residency import residency

    monkeypatch.setenv("SET_DRESSER_MODELS", str(folder))
    monkeypatch.setenv("SET_DRESSER_CONVERTED", str(folder / "converted"))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of networks so small, more threads only wait for each other
    yield folder
    torch.set_num_threads(threads)
    residency.clear()


_kept: dict[str, bytes] = {}


@pytest.fixture
def views(instantmesh_models: Path) -> dict[str, bytes]:
    """The views of all photos of `tests/backend/instantmesh_shots.py`, seed 1, as a job keeps them."""
    from tests.backend.instantmesh_shots import PLAIN, THREE, made

    if not _kept:
        made(THREE, PLAIN.model_copy(update={"choose": "never"}), kept=_kept)
    return {name: data for name, data in _kept.items() if name.startswith("view-")}


@pytest.fixture(scope="session")
def mira_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models: two published ones, and of one's own MIRA's "mine" and "stand", which has a shape."""
    from backend.pipelines.mira.tiny import write_tiny_mira_checkpoints
    from tests.backend.mira_shots import write_asymmetric

    folder = write_tiny_mira_checkpoints(tmp_path_factory.mktemp("models"), own=["mine"])
    write_asymmetric(folder / "own" / "stand")
    return folder


@pytest.fixture
def mira_models(mira_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That folder, as the one that the backend looks into."""
    yield from _looked_into(mira_checkpoints, monkeypatch)


@pytest.fixture(scope="session")
def hi3d_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with both stages."""
    from backend.pipelines.hi3d.tiny import write_tiny_hi3d_checkpoints

    return write_tiny_hi3d_checkpoints(tmp_path_factory.mktemp("models"))


@pytest.fixture
def hi3d_models(hi3d_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That folder, as the one that the backend looks into."""
    yield from _looked_into(hi3d_checkpoints, monkeypatch)


@pytest.fixture(scope="session")
def magic123_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with both priors, and a learned word, "mine"."""
    from backend.pipelines.magic123.tiny import write_tiny_magic123_checkpoints

    return write_tiny_magic123_checkpoints(tmp_path_factory.mktemp("models"), words=["mine"])


@pytest.fixture
def magic123_models(magic123_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That folder, as the one that the backend looks into."""
    yield from _looked_into(magic123_checkpoints, monkeypatch)
