"""A file that the add-on of 0.1 has saved, before its files stood in rooms, is gone on with.

How it was made, and its backend's data folder, stands in `files/make_room_of_0_1.py`.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.backend_process import setting_up
from blender_addon.capture.block_outs import HIDDEN
from blender_addon.props import recipes
from blender_addon.settings import parameters
from tests.blender_addon.conftest import HERE

FILES = HERE / "files"
ROOM = {"Box", "Ball", "Cone"}


@pytest.fixture
def old(addon: Any, current: Any, tmp_path: Path) -> Any:
    """The add-on, with that file open and the data folder in place."""
    data = setting_up.server_environment(current.desk.installation).data
    with zipfile.ZipFile(FILES / "room-0.1.zip") as archive:
        archive.extractall(data)
    path = tmp_path / "room.blend"
    path.write_bytes((FILES / "room-0.1.blend").read_bytes())
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return addon


def seen(name: str) -> Any:
    """The prop that stands for a block-out."""
    (found,) = (
        each for each in bpy.data.objects if HIDDEN not in each and each.set_dresser_block_out == bpy.data.objects[name]
    )
    return found


def test_what_is_in_it_is_known(old: Any) -> None:
    settings = bpy.context.scene.set_dresser
    assert (settings.pipeline_id, settings.seed, settings.picture_quality) == ("inflate", 7, "SCENE")
    assert (settings.height, settings.place_at, settings.keep_moves) == (1.5, "CURSOR", True)
    assert parameters.pipelines.values(bpy.context.scene, "inflate")["texture_size"] == 512
    for name in ROOM:
        assert seen(name).name == f"{name}_prop" and recipes.of(seen(name))["label"] == name
        assert bpy.data.objects[name].hide_render and HIDDEN in bpy.data.objects[name]
    assert [len(old.variants_of(seen(name))) for name in ("Box", "Ball", "Cone")] == [1, 2, 1]


def test_variants_change_places(old: Any) -> None:
    ball = seen("Ball")
    (other,) = (each for each in old.variants_of(ball) if each != ball)
    place = ball.location.copy()
    assert old.show_variant(ball) == other == seen("Ball")
    assert other.name == "Ball_prop" and (other.location - place).length < 1e-3
    assert ball.hide_render and not other.hide_render
    assert old.keep_only(other) == 1 and old.variants_of(other) == [other]


def test_its_jobs_are_imported_and_made_again(old: Any) -> None:
    found = old.jobs()
    assert [(job.name, job.state) for job in found] == [("Cone alone", "done"), ("Room", "done"), ("Room", "done")]
    assert not any(job.objects for job in found), "nothing of them comes in by itself"
    former = seen("Cone")
    (cone,) = old.import_job(found[0]).objects
    assert cone.set_dresser_block_out is None, "nobody kept what it was made of, and no prop tells"
    bpy.data.objects.remove(cone)
    props = old.import_job(found[-1]).objects
    assert {prop.set_dresser_block_out.name for prop in props} == ROOM, "the props of the file tell"
    assert seen("Cone") in props and former.hide_render and old.variants_of(seen("Cone"))[0] == former
    ball, place = seen("Ball"), seen("Ball").location.copy()
    (again,) = old.again(ball, parameters={"resolution": 48, "texture_size": 64}).objects
    assert again == seen("Ball") and ball in old.variants_of(again)
    assert (again.location - place).length < 0.05, "it stands where the artist has moved the former one"
    assert recipes.of(again)["parameters"]["resolution"] == 48
    old.generate(objects=[bpy.data.objects["Cone"]], name="Anew", parameters={"resolution": 32, "texture_size": 64})
    assert recipes.of(seen("Cone"))["name"] == "Anew"
