"""One picture of each object, optimised in two stages: block-outs → server → Magic123 with tiny priors → Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.measuring import corners
from tests.blender_addon.tiny_models import looked_into, written

SMALL = {"steps": 3, "side": 16, "fine_side": 32, "levels": 3, "table": 10, "encoding": "quarter"}
FAST = {**SMALL, "resolution": 32, "faces": 800, "texture_size": 64}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with tiny priors and somebody's run, "sided", written by the backend's Python."""
    script = "from backend.pipelines.magic123.tiny import *; "
    script += "from tests.backend.magic123_shots import write_sided_run; "
    script += "write_tiny_magic123_checkpoints(folder); write_sided_run(folder / 'own' / 'sided')"
    return written(tmp_path_factory.mktemp("models"), script)


@pytest.fixture
def magic123(monkeypatch: pytest.MonkeyPatch, models: Path, addon: Any) -> Any:
    looked_into(monkeypatch, models)
    return addon


@pytest.fixture
def stool() -> Any:
    """A box before the active camera."""
    box = bpy.data.objects["Cube"]
    box.name, box.scale = "Stool", (0.5, 0.5, 0.5)
    bpy.context.view_layer.update()
    return box


def test_a_box_becomes_a_prop_where_it_stands(magic123: Any, stool: Any) -> None:
    job = magic123.generate(objects=[stool], pipeline="magic123", parameters=FAST, wait=True)
    (prop,) = job.objects
    assert prop.set_dresser_block_out == stool
    points = corners(prop)
    assert np.linalg.norm((points.min(axis=0) + points.max(axis=0)) / 2 - np.array(stool.location)) < 0.4
    assert 0.6 < np.ptp(points, axis=0).min() <= np.ptp(points, axis=0).max() < 2.0
    assert prop.data.uv_layers and prop.data.materials and stool.hide_render
    (told,) = job.result["props"]
    assert told["quality"]["steps"] == {"coarse": 3, "fine": 3}
    assert told["quality"]["text"] == "A high-resolution DSLR image of stool"
    assert told["quality"]["elevation"]["source"] == "camera" and 20 < told["quality"]["elevation"]["taken"] < 35
    assert [row["id"] for row in job.result["weights"]] == ["sd15", "zero123-105000"]
    assert job.result["record"].keys() >= {"plan_coarse", "plan_fine"}


def test_a_run_of_a_mirrored_world_has_its_sides_the_right_way_round(magic123: Any, stool: Any) -> None:
    chosen = {**FAST, "checkpoint": "sided", "refine": "off", "colour": "vertices", "faces": 0}
    job = magic123.generate(objects=[stool], pipeline="magic123", parameters=chosen, wait=True)
    (prop,) = job.objects
    mesh = prop.data
    (attribute,) = mesh.color_attributes
    places, colours = np.zeros(3 * len(mesh.vertices)), np.zeros(4 * len(attribute.data), np.float32)
    mesh.vertices.foreach_get("co", places)
    attribute.data.foreach_get("color", colours)
    places = places.reshape(-1, 3) @ np.array(prop.matrix_world)[:3, :3].T
    if attribute.domain == "CORNER":
        corner = np.zeros(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", corner)
        places = places[corner]
    places -= places.mean(axis=0)
    red, green, blue = colours.reshape(-1, 4)[:, :3].T > 0.5
    across = places @ np.array(bpy.context.scene.camera.matrix_world.to_3x3().col[0])
    assert red.sum() > 50 and green.sum() > 50 and blue.sum() > 50
    assert across[red].max() < 0.1 and across[green].min() > -0.1, "as in its picture, and not as in a mirror"
    assert places[blue, 2].mean() > 0.1 > places[~blue, 2].mean()
