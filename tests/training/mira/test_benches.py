"""The benchmarks of training run, at the size of a toy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from bench import mira_overfit, mira_small
from tests.training.mira.run_small import VIEWS, objects, small, write_objects
from tests.training.mira.shapes import shape, write_openlrm
from training.layouts import write_solid
from training.mira.bank import Shown
from training.mira.run import run
from training.processes import started

INTERVAL = ["gain over inflate, 95 %", "gain over inflate, thickness tuned, 95 %"]


def test_a_small_model_is_measured_beside_inflate_and_written_with_what_it_has_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    write_objects(data)
    shapes = objects(data)
    names = [each.name for each in shapes]
    for each in shapes:
        write_solid(data / each.name, each.solid())
    split = data / "split.json"
    split.write_text(json.dumps({"train": names[:3], "hard": names[3:4], "near": names[4:], "left_out": []}))
    folder = tmp_path / "run"
    with started() as (processes, device):
        run(small(folder, data, **{"data.held_out": split, "run.steps": 2}), objects, processes, device)
    models = tmp_path / "objects.json"
    models.write_text(json.dumps({"objects": [{"name": name, "licence": "CC0-1.0"} for name in names]}))
    written, figures = tmp_path / "written", tmp_path / "figures.json"
    options = ["--views", "1", "--tuned-on", "1", "--json", str(figures), "--write", str(written)]
    mira_small.main([str(data), str(folder), *options, "--models", str(tmp_path)])
    found = json.loads(figures.read_text(encoding="utf-8"))
    for group in ("hard", "near"):
        assert found[group]["objects"] == found[group]["views"] == 1 and set(INTERVAL) <= set(found[group])
        assert found[group]["inflate"]["f"] > 0
    assert (written / "config.json").is_file() and len(list(written.glob("checkpoint_*.pt"))) == 1
    listed = (written / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in listed for name in names[:3]) and f"| {names[3]} |" not in listed
    assert str(written) in capsys.readouterr().out


def test_learning_one_object_is_measured_on_views_that_were_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_openlrm(shape(1, VIEWS, size=32), tmp_path)
    mira_overfit.main([str(tmp_path), "object-001", "--steps", "2", "--rays", "16", "--size", "32"])
    said = capsys.readouterr().out
    assert re.search(r"2 steps in \d+ s", said) and "bar 30 dB on held-out views: NOT held" in said
    held, trained = (re.search(rf"1 {title} views: psnr ([\d.]+), ssim", said) for title in ("held-out", "trained"))
    assert held is not None and trained is not None and held[1] != trained[1]


def test_what_is_held_out_is_never_learned_from() -> None:
    whole = Shown(
        "one",
        Path(),
        np.zeros((9, 2, 2, 4), np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None, None],
        np.arange(9.0)[:, None, None] * np.ones((9, 4, 4)),
        np.arange(9.0)[:, None, None] * np.ones((9, 3, 3)),
        np.arange(9.0)[:, None] * np.ones((9, 4)),
        np.zeros((2, 3)),
        None,
        0,
    )
    learned, out, others = mira_overfit.divided(whole)
    assert out == (3, 7) and others == (2,)
    for each in (learned.pictures, learned.poses, learned.intrinsics, learned.boxes):
        assert each.reshape(7, -1)[:, 0].tolist() == [0, 1, 2, 4, 5, 6, 8]
