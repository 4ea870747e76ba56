"""Folders of models with tiny checkpoints, and a backend that looks into one of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.blender_addon.conftest import ROOT, backend_python


def written(folder: Path, script: str) -> Path:
    """Has the backend's Python run a script that knows `folder`; gives back the folder."""
    begin = "import sys; from pathlib import Path; folder = Path(sys.argv[1])\n"
    subprocess.run([backend_python(), "-c", begin + script, folder], cwd=ROOT, check=True, timeout=300)
    return folder


def looked_into(monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    """From now on a backend that is started has these models, and no graphics card."""
    monkeypatch.setenv("SET_DRESSER_MODELS", str(models))
    monkeypatch.setenv("SET_DRESSER_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of networks so small, more threads only wait for each other
