"""The buttons do what the calls do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.ui.operators.copy_error import report
from tests.blender_addon.test_session import pump_until


def newest() -> Any:
    return next(iter(session.current.desk.jobs.values()))


def test_generate_uses_what_the_panel_says(addon: Any, current: Any) -> None:
    addon.pipelines()
    scene = bpy.context.scene
    settings = scene.set_dresser
    settings.pipeline, settings.seed, settings.hide_block_outs = "test-box", 11, False
    settings.keep_moves = False
    scene.set_dresser_test_box.size = 1.25
    scene.set_dresser_test_box.style = "tall"
    cube = bpy.data.objects["Cube"]
    assert bpy.ops.set_dresser.generate() == {"FINISHED"}
    job = newest()
    assert job.name == "Cube", "the list says what was made, not with which camera"
    pump_until(lambda: job.arrival == "imported", "the props")
    (prop,) = (bpy.data.objects[name] for name in job.imported)
    assert tuple(prop.dimensions) == pytest.approx((2.5, 2.5, 2.0), abs=1e-3)
    assert not cube.hide_render
    assert prop["set_dresser"]["seed"] == 11
    assert not job.keep_moves
    settings.keep_moves = True
    assert bpy.ops.set_dresser.import_job(job=job.id) == {"FINISHED"}
    pump_until(lambda: job.import_count == 2, "the second import")
    assert job.keep_moves and prop.hide_render and bpy.data.objects[job.imported[0]].visible_get()


def test_generate_takes_picture_files_and_label_images(addon: Any, picture: Path, tmp_path: Path) -> None:
    import numpy as np

    from blender_addon.capture.pictures import png

    addon.pipelines()
    labels = np.zeros((48, 64), np.uint8)
    labels[12:36, 20:30], labels[12:36, 30:44] = 1, 2
    (tmp_path / "labels.png").write_bytes(png(labels))
    settings = bpy.context.scene.set_dresser
    settings.source, settings.image_path, settings.pipeline = "FILE", str(picture), "test-box"
    settings.labels, settings.labels_path = "LABELS", str(tmp_path / "labels.png")
    settings.use_active_camera = True
    assert bpy.ops.set_dresser.generate() == {"FINISHED"}
    job = newest()
    pump_until(lambda: job.arrival == "imported", "the props")
    assert len(job.imported) == 2
    assert addon.jobs()[0].result["camera_source"] == "request"
    assert len(bpy.data.images) == len({image.name for image in bpy.data.images if image.filepath != str(picture)})


def test_a_picture_file_may_be_called_anything(addon: Any, picture: Path) -> None:
    """On Linux a name is bytes: a line feed, and what is no UTF-8."""
    path = picture.with_name(os.fsdecode(b"a\nb\xff{x}.png"))
    picture.rename(path)
    job = addon.generate(source=path, pipeline="test-box")
    assert (job.state, newest().name, newest().imported) == ("done", "a b?{x}", ["a b?{x}"])


def test_generate_takes_images_of_the_file(addon: Any, picture: Path) -> None:
    addon.pipelines()
    settings = bpy.context.scene.set_dresser
    settings.source, settings.pipeline = "IMAGE", "test-box"
    settings.image = bpy.data.images.load(str(picture))
    assert bpy.ops.set_dresser.generate() == {"FINISHED"}
    job = newest()
    pump_until(lambda: job.arrival == "imported", "the props")
    assert job.name == "square.png"


def test_what_cannot_be_done_reaches_status_bar_and_panel(addon: Any, current: Any) -> None:
    settings = bpy.context.scene.set_dresser
    settings.source, settings.image_path = "FILE", "/nowhere/picture.png"
    with pytest.raises(RuntimeError, match="does not exist"):
        bpy.ops.set_dresser.generate()
    assert "does not exist" in current.desk.problem.message
    with pytest.raises(RuntimeError, match="no job"):
        bpy.ops.set_dresser.cancel(job="unknown")


def test_jobs_are_cancelled_imported_and_removed_by_button(addon: Any, picture: Path, current: Any) -> None:
    job = addon.generate(source=picture, pipeline="test-box", parameters={"seconds": 600}, wait=False)
    pump_until(lambda: job.state == "running", "the start")
    bpy.ops.set_dresser.cancel(job=job.id)
    pump_until(lambda: job.state == "cancelled", "the cancellation")
    done = addon.generate(source=picture, pipeline="test-box", import_result=False)
    bpy.ops.set_dresser.import_job(job=done.id)
    pump_until(lambda: done.objects, "the import")
    for each in (job, done):
        bpy.ops.set_dresser.delete_job("EXEC_DEFAULT", job=each.id)
    pump_until(lambda: not current.desk.jobs, "the removal")


def test_the_server_is_started_and_stopped_by_button(addon: Any, current: Any) -> None:
    assert not bpy.ops.set_dresser.stop_server.poll()
    bpy.ops.set_dresser.start_server()
    assert not bpy.ops.set_dresser.start_server.poll()
    pump_until(lambda: current.desk.pipelines, "the list of pipelines")
    bpy.ops.set_dresser.refresh()
    pump_until(lambda: not current.line.tasks, "the refresh")
    bpy.ops.set_dresser.stop_server()
    pump_until(lambda: not current.desk.server.running, "the end")
    assert bpy.ops.set_dresser.start_server.poll()


def test_an_import_is_one_operator_with_undo(addon: Any, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo itself needs a window; what it takes is one operator call that asks for an undo step and does it all."""
    operator = bpy.types.SET_DRESSER_OT_place_result
    assert "UNDO" in operator.bl_options
    calls: list[int] = []
    execute = operator.execute

    def counted(self: Any, context: Any) -> set[str]:
        before = len(bpy.data.objects)
        result = execute(self, context)
        calls.append(len(bpy.data.objects) - before)
        return result

    monkeypatch.setattr(operator, "execute", counted)
    before = len(bpy.data.objects)
    addon.generate(source=picture, pipeline="test-box")
    assert calls == [len(bpy.data.objects) - before] == [1]


def test_the_log_can_be_read_in_blender(addon: Any, current: Any) -> None:
    assert not bpy.ops.set_dresser.open_log.poll()
    addon.start_server()
    for _ in range(2):
        assert bpy.ops.set_dresser.open_log() == {"FINISHED"}
    assert [text.name for text in bpy.data.texts] == ["Set Dresser Log"]


def test_the_details_of_an_error_can_be_copied(addon: Any, current: Any, picture: Path) -> None:
    with pytest.raises(addon.SetDresserError):
        addon.generate(source=picture, pipeline="test-box", parameters={"end": "problem"})
    text = report()
    assert "geometry-failed: The box would not close." in text
    assert bpy.app.version_string in text
    assert bpy.ops.set_dresser.copy_error() == {"FINISHED"}
