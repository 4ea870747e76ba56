"""Tests of rendering: the backend's Python here, a Blender as a process beside it. `make test-rendering` names one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from training.render.__main__ import main
from training.render.blender import BlenderError, find_blender

try:
    BLENDER, WHY = find_blender(), ""
except BlenderError as error:
    BLENDER, WHY = "", str(error)


def pytest_report_header() -> str:
    return f"rendering by {BLENDER}" if BLENDER else f"tests/rendering: left out. {WHY}"


@pytest.fixture(scope="session")
def blender() -> str:
    """The program that renders."""
    if not BLENDER:
        pytest.skip(WHY)
    return BLENDER


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def render(blender: str, models: Path, out: Path, *choices: str) -> int:
    """As on the command line, small and quick unless something else is chosen."""
    quick = ["--size", "32", "--samples", "4", "--no-denoise", "--light", "soft", "--processes", "1", "--solid", "0"]
    return main([str(models), str(out), "--blender", blender, *quick, *choices])
