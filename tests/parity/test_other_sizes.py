"""The parity tests take every size from the files: they pass with sets of other sizes, made here.

The sets have no manifests, no tables and no pictures to preprocess: those are facts without a size of their own choice.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parity.goldens import ROOT

pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

LEAST = 48 + 32
"""Tests that the sets have numbers for, of InstantMesh and of MIDI."""


def test_the_parity_tests_pass_with_another_lattice_other_steps_and_other_widths(tmp_path: Path) -> None:
    from tests.parity.other_sizes.__main__ import write_set

    write_set(tmp_path)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/parity/instantmesh",
        "tests/parity/midi",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    environment = {**os.environ, "SET_DRESSER_REFERENCE": str(tmp_path), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= LEAST, done.stdout[-1000:]
