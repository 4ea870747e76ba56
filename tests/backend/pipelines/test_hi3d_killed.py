"""A job of Hi3D that is killed with -9 in every one of its stages, one time after the other, does nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from backend.pipelines.hi3d import HI3D  # noqa: E402
from tests.backend.hi3d_shots import job_of  # noqa: E402
from tests.backend.pipelines.dying import DEATHS, PARAMETERS, WORKS, attempt, write_down  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies of a process are killed")


@pytest.mark.usefixtures("hi3d_models")
def test_killed_in_every_stage_nothing_is_done_twice_and_the_mesh_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attempt(job_of(tmp_path / "whole", PARAMETERS))
    folder, log = job_of(tmp_path / "killed", PARAMETERS), tmp_path / "calls.log"
    subprocess.run([sys.executable, "-m", "tests.backend.pipelines.dying", folder, log], cwd=ROOT, check=True)
    write_down(log, monkeypatch.setattr)
    result = attempt(folder)
    calls = Counter(log.read_text().split())
    expected = {name: times for _, name, times in WORKS}
    assert calls.pop("_cover") < 2 * expected.pop("_cover"), "a process died before all views were cut out"
    assert calls == expected
    assert {stage.name for stage in HI3D.stages} == {"review", *(stage for stage, _ in DEATHS)}
    glb = [(tmp_path / name / "output" / "scene.glb").read_bytes() for name in ("whole", "killed")]
    assert glb[0] == glb[1]
    assert result.props == whole.props
    assert result.warnings == whole.warnings, "each is told once"
