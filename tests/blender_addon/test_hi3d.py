"""One picture of each object to views all round, and these to a mesh: block-outs → server → Hi3D, tiny → Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.test_instantmesh import corners
from tests.blender_addon.tiny_models import looked_into, written

FAST = {"steps": 2, "surface": "outlines", "resolution": 32, "faces": 800, "texture_size": 64}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with tiny checkpoints, written by the backend's Python."""
    script = "from backend.pipelines.hi3d.tiny import *; "
    script += "write_tiny_hi3d_checkpoints(folder)"
    return written(tmp_path_factory.mktemp("models"), script)


@pytest.fixture
def hi3d(monkeypatch: pytest.MonkeyPatch, models: Path, addon: Any) -> Any:
    looked_into(monkeypatch, models)
    return addon


@pytest.fixture
def box() -> Any:
    """A box before the active camera, as tall as twice its width."""
    box = bpy.data.objects["Cube"]
    box.scale = (0.4, 0.4, 0.8)
    bpy.context.view_layer.update()
    return box


def test_a_box_becomes_a_prop_where_it_stands(hi3d: Any, box: Any) -> None:
    job = hi3d.generate(objects=[box], pipeline="hi3d", parameters=FAST, wait=True)
    (prop,) = job.objects
    assert prop.set_dresser_block_out == box
    points = corners(prop)
    assert np.linalg.norm((points.min(axis=0) + points.max(axis=0)) / 2 - np.array(box.location)) < 0.4
    width, _, height = np.ptp(points, axis=0)
    assert 1.2 < height < 2.2 and 1.1 < height / width < 2.5
    assert prop.data.uv_layers and prop.data.materials and box.hide_render
    assert job.result["record"].keys() >= {"plan_1", "plan_2"}
    (told,) = job.result["props"]
    assert told["quality"]["elevation"]["source"] == "camera" and told["quality"]["elevation"]["taken"] == 30
    assert [row["id"] for row in job.result["weights"]] == ["hi3d-orbit", "hi3d-refine"]


def test_views_are_looked_at_and_one_is_left_out(hi3d: Any, box: Any) -> None:
    parameters = {**FAST, "refine": "off", "colour": "none", "review": True}
    job = hi3d.generate(objects=[box], pipeline="hi3d", parameters=parameters)
    assert job.question is not None and job.question["kind"] == "choose" and job.question["default"] == []
    job.answer({"chosen": [2]})
    job.wait()
    assert len(job.objects) == 1
    (told,) = job.result["props"]
    assert 2 not in told["quality"]["views"] and len(told["quality"]["views"]) >= 4
