"""One picture of each object, one pass: block-outs → server → OpenLRM and MIRA with tiny checkpoints → Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from tests.blender_addon.measuring import corners
from tests.blender_addon.tiny_models import looked_into, written

FAST = {"resolution": 32, "faces": 800, "texture_size": 64}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with tiny random checkpoints, written by the backend's Python."""
    script = "from backend.pipelines.mira.tiny import *; "
    script += "write_tiny_mira_checkpoints(folder, ('mix-base',), own=('mine',))"
    return written(tmp_path_factory.mktemp("models"), script)


@pytest.fixture
def mira(monkeypatch: pytest.MonkeyPatch, models: Path, addon: Any) -> Any:
    looked_into(monkeypatch, models)
    return addon


@pytest.fixture
def five() -> list[Any]:
    """Five boxes in a row before the active camera."""
    first = bpy.data.objects["Cube"]
    first.scale = (0.35, 0.35, 0.35)
    boxes = [first]
    for number in range(1, 5):
        box = first.copy()
        box.name = f"Box {number}"
        bpy.context.scene.collection.objects.link(box)
        boxes.append(box)
    right = bpy.context.scene.camera.matrix_world.to_3x3().col[0]
    for number, box in enumerate(boxes):
        box.location = right * (number - 2)
    bpy.context.view_layer.update()
    return boxes


def test_five_boxes_become_five_props_where_they_stand(mira: Any, five: list[Any]) -> None:
    job = mira.generate(objects=five, pipeline="mira", parameters=FAST, wait=True)
    props = {prop.set_dresser_block_out: prop for prop in job.objects}
    assert set(props) == set(five)
    assert job.result["record"]["plan"]["name"] == "5-32", "all of them at once"
    for box, prop in props.items():
        points = corners(prop)
        assert np.linalg.norm((points.min(axis=0) + points.max(axis=0)) / 2 - np.array(box.location)) < 0.3
        assert 0.5 < np.ptp(points, axis=0).min() <= np.ptp(points, axis=0).max() < 0.7 * np.sqrt(3) * 1.1
        assert np.allclose(prop.matrix_world.to_3x3().normalized(), box.matrix_world.to_3x3().normalized(), atol=1e-4)
        assert prop.data.uv_layers and prop.data.materials and box.hide_render


def test_a_picture_becomes_a_mesh_by_a_model_of_ones_own(mira: Any, tmp_path: Path) -> None:
    picture = bpy.data.images.new("Vase", 96, 96, alpha=True)
    row, column = np.mgrid[:96, :96]
    pixels = np.zeros((96, 96, 4), np.float32)
    pixels[((row - 48) / 40) ** 2 + ((column - 48) / 25) ** 2 < 1] = (0.8, 0.2, 0.1, 1.0)
    picture.pixels.foreach_set(pixels.ravel())
    picture.filepath_raw, picture.file_format = str(tmp_path / "vase.png"), "PNG"
    picture.save()
    chosen = {**FAST, "model": "own", "checkpoint": "mine", "colour": "vertices", "size": 0.4}
    job = mira.generate(source=str(tmp_path / "vase.png"), pipeline="mira", parameters=chosen, wait=True)
    (prop,) = job.objects
    assert np.ptp(corners(prop), axis=0).max() == pytest.approx(0.4, rel=1e-3)
    assert prop.data.color_attributes and len(prop.data.polygons) > 200
    assert job.result["weights"] == [{"id": "own/mine", "repository": "own/mine", "source": "own", "revision": None}]
    with pytest.raises(mira.SetDresserError) as caught:
        mira.generate(
            source=str(tmp_path / "vase.png"), pipeline="mira", parameters={**chosen, "checkpoint": "yours"}, wait=True
        )
    assert caught.value.code == "weights-missing" and "mine" in caught.value.hint
