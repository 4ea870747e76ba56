from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.server.running_server import RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for a whole module, with the fake pipelines."""
    with RunningServer(tmp_path_factory.mktemp("server") / "data", "--grace-seconds", "0.5") as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that does not exist yet; fake pipelines that wait for it are let go at the end."""
    return tmp_path / "gate"
