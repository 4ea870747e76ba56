"""The benchmarks that need Blender run, and print the rows that docs/benchmarks.md names."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bpy
import pytest

from bench import press
from bench.__main__ import titles
from bench.amounts import AMOUNTS
from blender_addon import session
from tests import documented
from tests.blender_addon.conftest import ROOT, backend_python
from tests.blender_addon.test_session import pump_until


def test_make_bench_measures_all_that_the_documents_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(backend_python()))
    assert [cells[0] for cells in documented.rows("benchmarks.md", "2026")] == titles(AMOUNTS["full"])
    command = [sys.executable, "-m", "bench", "--amount", "least", "--json", str(tmp_path / "bench.json")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=240)
    printed = [line.split("  ", 1) for line in done.stdout.splitlines()]
    shown = {line[0]: line[1].strip() for line in printed if len(line) == 2}
    for title in titles(AMOUNTS["least"]):
        assert shown[title][0].isdigit(), title
    figures = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    assert figures["blender"]["slices"]["slices"] > 1
    assert [row["props"] for row in figures["blender"]["import"]] == list(AMOUNTS["least"].props)
    assert [row["size"] for row in figures["inflate"]] == list(AMOUNTS["least"].sizes)


def test_the_press_is_measured_scene_by_scene(
    addon: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    documented_scenes = [cells[1] for cells in documented.rows("benchmarks.md", "The press")]
    assert {name for name, _ in press.SCENES} <= set(documented_scenes)
    monkeypatch.setattr(press, "SCENES", (("factory scene", 0), ("two boxes", 2)))
    for _ in press.measured(addon):
        time.sleep(min(session.pump(), 0.005))
    lines = capsys.readouterr().out.splitlines()
    said = [line for line in lines if "dead for" in line]
    assert [line.partition(": dead")[0].partition(", ")[2] for line in said] == ["factory scene", "two boxes"]
    assert all(line.startswith(bpy.app.version_string) and line.endswith(" s") for line in said)
    pump_until(lambda: all(job.ended for job in session.current.desk.jobs.values()), "what was cancelled")
    assert len(session.current.desk.jobs) == 2 and all(
        job.problem is None for job in session.current.desk.jobs.values()
    )
