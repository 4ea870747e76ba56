"""Several photos, chosen views, one prop: block-out → server → InstantMesh with tiny checkpoints → Blender."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from tests.blender_addon.measuring import corners, geometry
from tests.blender_addon.tiny_models import looked_into, written

FAST = {"steps": 1, "resolution": 64, "faces": 1500, "texture_size": 1024}
PICKS = [(0, 0), (1, 5), (1, 0), (2, 5), (2, 0), (0, 5)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with tiny random checkpoints, written by the backend's Python."""
    script = "from backend.pipelines.instantmesh.tiny import *; "
    script += "write_tiny_instantmesh_checkpoints(folder, ('large',))"
    return written(tmp_path_factory.mktemp("models"), script)


@pytest.fixture
def instantmesh(monkeypatch: pytest.MonkeyPatch, models: Path, addon: Any) -> Any:
    looked_into(monkeypatch, models)
    return addon


@pytest.fixture
def cameras(around: list[Any]) -> list[Any]:
    return around[:3]


def test_cameras_round_a_block_out_and_picked_views_become_a_prop_in_its_place(
    instantmesh: Any, cameras: list[Any]
) -> None:
    cube = bpy.data.objects["Cube"]
    job = instantmesh.generate(photos=cameras, objects=[cube], pipeline="instantmesh", parameters=FAST, seed=3)
    question = job.question
    assert question is not None and question["kind"] == "views" and len(question["choices"]) == 18
    assert question["true_cameras"] and all(photo["known"] for photo in question["photos"])
    assert [photo["name"] for photo in question["photos"]] == [camera.name for camera in cameras]

    instantmesh.pick_views(job, PICKS)
    job.wait()
    (prop,) = job.objects
    assert prop.set_dresser_block_out == cube and cube.hide_render
    assert prop["set_dresser"]["pipeline"] == "instantmesh" and prop["set_dresser"]["seed"] == 3
    assert job.result["props"][0]["quality"]["picks"] == [list(pair) for pair in PICKS]
    # its axes are its block-out's
    assert np.allclose(prop.matrix_world.to_3x3(), cube.matrix_world.to_3x3(), atol=1e-5)
    # in metres and on its block-out: a ball is as large as the outline of the cube of 2 m, at most its diagonal
    points = corners(prop)
    assert 2.0 < np.ptp(points, axis=0).min() <= np.ptp(points, axis=0).max() < 2.0 * np.sqrt(3)
    assert np.linalg.norm((points.min(axis=0) + points.max(axis=0)) / 2 - np.array(cube.location)) < 0.5
    # what the viewport shows has a texture
    (material,) = prop.data.materials
    images = [node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE"]
    assert len(images) == 1 and tuple(images[0].size) == (1024, 1024) and prop.data.uv_layers
    pixels = np.array(images[0].pixels[:]).reshape(-1, 4)[:, :3]
    assert pixels.std() > 0.02, "the colours of the field, not one grey"


def test_the_same_picks_make_the_same_mesh_however_they_were_given(instantmesh: Any, cameras: list[Any]) -> None:
    cube = bpy.data.objects["Cube"]

    def made(parameters: dict[str, Any], pick: Callable[[Any], None] | None = None) -> dict[int, Any]:
        cube.hide_set(False)
        cube.hide_render = False
        job = instantmesh.generate(
            photos=cameras, objects=[cube], pipeline="instantmesh", parameters={**FAST, **parameters}, seed=3
        )
        if pick is not None:
            pick(job)
            job.wait()
        return geometry(job.objects)

    proposed = made({"choose": "never"})
    assert proposed == made({}, lambda job: job.answer())
    assert proposed == made({}, lambda job: instantmesh.pick_views(job, proposed_pairs(job)))
    assert proposed != made({}, lambda job: instantmesh.pick_views(job, [(0, view) for view in range(6)]))


def proposed_pairs(job: Any) -> list[tuple[int, int]]:
    choices = job.question["choices"]
    return [(choices[index]["photo"], choices[index]["view"]) for index in job.question["default"]]


def test_one_prop_of_a_set_is_made_again_in_its_place(instantmesh: Any, room: list[Any]) -> None:
    set_dressed = instantmesh.generate(objects=room, pipeline="inflate", seed=1)
    props = {prop.name: prop for prop in set_dressed.objects}
    chosen, others = props.pop("Ball_prop"), list(props.values())
    shelf = bpy.data.objects.new("Shelf", None)
    bpy.context.scene.collection.objects.link(shelf)
    chosen.parent = shelf
    chosen.matrix_world = Matrix.Translation((0, 0, 0.5)) @ chosen.matrix_world
    before, places = corners(chosen), [prop.matrix_world.copy() for prop in others]

    job = instantmesh.again(chosen, pipeline="instantmesh", parameters=FAST)
    (new,) = job.objects
    assert (new.name, new.parent) == ("Ball_prop", shelf) and chosen.hide_render
    assert [record["name"] for record in job.result["props"]] == ["Ball"], "the others were not made"
    middle = [(points.min(axis=0) + points.max(axis=0)) / 2 for points in (before, corners(new))]
    assert np.linalg.norm(middle[0] - middle[1]) < 0.5 * np.ptp(before, axis=0).max()
    assert np.ptp(corners(new), axis=0).max() == pytest.approx(np.ptp(before, axis=0).max(), rel=0.5)
    assert [prop.matrix_world for prop in others] == places
