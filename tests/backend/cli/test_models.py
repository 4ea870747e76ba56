"""`python -m backend models …` against a hub of our own."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from backend.cli.main import main
from tests.backend.cli.test_process import needs_signals, started
from tests.backend.downloads.conftest import checkpoint, hub  # noqa: F401 - fixtures
from tests.backend.downloads.hostile_hub import Fault, HostileHub
from tests.backend.waiting import until

LARGEST = "transformer/diffusion_pytorch_model.safetensors"
REACHED = 300_000


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: HostileHub) -> Path:  # noqa: F811
    monkeypatch.setenv("SET_DRESSER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_get_verify_list_and_remove(data: Path, hub: HostileHub, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert main(["models", "get", "midi"]) == 1
    refusal = capsys.readouterr().err
    assert "HunyuanDiT" in refusal and refusal.rstrip().endswith("--accept-licence")
    assert main(["models", "get", "midi", "--accept-licence"]) == 0
    folder = data / "models" / "VAST-AI" / "MIDI-3D"
    assert capsys.readouterr().out == f"VAST-AI/MIDI-3D is ready: {folder}\n"
    assert main(["models", "verify", "midi"]) == 0
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    views = {view["id"]: view for view in json.loads(capsys.readouterr().out)}
    assert views["midi"]["state"] == "ready" and views["midi"]["bytes"] == views["midi"]["total"]
    (folder / LARGEST).write_bytes(bytes(len(hub.files[LARGEST])))
    assert main(["models", "verify", "midi"]) == 1
    assert LARGEST in capsys.readouterr().err
    assert main(["models", "remove", "midi"]) == 0 and not folder.exists()
    assert main(["models"]) == 0
    assert re.search(r"^midi +absent +5\.1 GB +Apache-2\.0", capsys.readouterr().out, re.MULTILINE)
    assert main(["models", "get", "nothing"]) == 1


def test_another_data_folder_has_its_own_models(
    data: Path,
    tmp_path: Path,
    hub: HostileHub,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "other"
    assert main(["models", "--data", str(other), "get", "midi", "--accept-licence"]) == 0
    assert (other / "models" / "VAST-AI" / "MIDI-3D" / LARGEST).exists() and not (data / "models").exists()
    assert main(["models", "verify", "midi"]) == 1
    assert main(["models", "verify", "midi", "--data", str(other)]) == 0


@needs_signals
def test_an_interruption_pauses_and_the_same_command_goes_on(data: Path, hub: HostileHub) -> None:  # noqa: F811
    hub.faults[LARGEST] = [Fault(after=REACHED, stalls=True)]
    command = ("models", "get", "midi", "--accept-licence")
    with started(data, *command) as process:
        until(lambda: [p for p in data.rglob("*.incomplete") if p.stat().st_size == REACHED], "the bytes on the disk")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 130 and said.startswith("Interrupted.")
    with started(data, *command) as process:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert hub.ranges(LARGEST) == [(0, REACHED), (REACHED, len(hub.files[LARGEST]))]


def test_the_variable_of_the_user_comes_before_the_data_folder(
    data: Path,
    tmp_path: Path,
    hub: HostileHub,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SET_DRESSER_MODELS", str(tmp_path / "mine"))
    assert main(["models", "get", "midi", "--accept-licence"]) == 0
    assert (tmp_path / "mine" / "VAST-AI" / "MIDI-3D" / LARGEST).exists() and (data / "licences.json").exists()
