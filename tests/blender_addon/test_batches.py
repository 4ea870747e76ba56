"""Batches: several cameras, frames and seeds as one list of jobs, which outlives Blender and the server."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import pytest

from blender_addon.capture.best_views import View
from blender_addon.ground.messages import SetDresserError
from blender_addon.ground.references import Place, Reference
from blender_addon.state import batch as state
from blender_addon.state.batch import Batch, Entry, Shot
from blender_addon.ui.panels.batches import fraction
from blender_addon.work import batch_files
from blender_addon.work import batches as work
from tests.backend.waiting import is_gone, until
from tests.blender_addon.drawing import draw, record
from tests.blender_addon.processes import drive, listen, start
from tests.blender_addon.pumping import came, pump_until

NAMES = ["Ball", "Box", "Chest", "Cone", "Crate", "Globe", "Heap", "Lamp", "Pouf", "Stool", "Tent", "Tree"]


def killed(python: Path, user: Path, path: Path, when: str) -> dict[str, Any]:
    """kill -9 of a Blender that has come so far; what it told before. Its server has left, too."""
    with start("batch_and_wait_to_be_killed", path, when, python=python, user=user) as blender:
        try:
            told = listen(blender)
        finally:
            blender.kill()
        blender.wait(10)
    until(lambda: is_gone(told["pid"]), "the end of its server", 10.0)
    return told


def test_a_shot_of_twelve_by_five_cameras_is_made_once_though_blender_is_killed_twice(
    python_with_plugin: Path, tmp_path: Path
) -> None:
    """Killed between its pictures, and when the first props have come in, which were not saved."""
    user, path, out = tmp_path / "user", tmp_path / "shots.blend", tmp_path / "out"
    drive("make_shots", path, python=python_with_plugin, user=user)
    first = killed(python_with_plugin, user, path, "pictures")
    assert (first["taken"], first["sent"], first["props"]) == (2, [], 0)
    second = killed(python_with_plugin, user, path, "props")
    assert second["taken"] == 5 and 0 < second["props"] < 12
    third, fourth, saved = drive("go_on_with_the_batch", path, out, python=python_with_plugin, user=user)
    assert third["of"] == NAMES, "twelve props, one each"
    assert third["hidden"] == NAMES
    assert set(third["states"].values()) == {"done"} and third["problems"] == []
    assert len(third["states"]) > 2, "no camera is best for all"
    assert Counter(third["items"]) == Counter(f"{n:04d}" for n in range(len(third["states"]))), "no job twice"
    assert sum(third["only"].values()) == 12
    assert len(third["reasons"]) == 12
    assert third["camera"] == "Camera 1"
    assert fourth == third, "there was nothing left to do"
    assert saved["of"] == NAMES, "they are in the file"
    page = (out / "contact-sheet.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2 * len(third["states"])
    assert (out / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((out / "batch.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert sum(int(row["objects"]) for row in rows) == 12
    assert all(float(row["seconds"]) > 0 and 0.8 < float(row["mask_iou"]) <= 1 for row in rows)
    assert not any("gets no prop" in row["warnings"] for row in rows), "what others make is not missing"


# in this Blender


def test_a_moving_camera_takes_each_block_out_where_it_is_seen_best(addon: Any, room: list[Any]) -> None:
    """At frame 1 the camera looks at the box, at frame 5 at the cone; afterwards everything is as it was."""
    scene = bpy.context.scene
    camera = scene.camera
    for frame, x in ((1, -3.6), (5, 3.9)):
        camera.location = (x, -5, 3)
        camera.keyframe_insert("location", frame=frame)
    scene.frame_set(3)
    before = tuple(camera.location)
    made = addon.generate_batch(frames=[1, 5], objects=[room[0], room[2]], pipeline="test-box", name="Pan")
    assert made.states == {"Frame 1": "done", "Frame 5": "done"} and made.problems == {}
    assert made.reasons[0].startswith("Box: Frame 1, ") and made.reasons[1].startswith("Cone: Frame 5, ")
    assert {prop.set_dresser_block_out for prop in made.objects} == {room[0], room[2]}
    assert scene.frame_current == 3 and tuple(camera.location) == pytest.approx(before)
    places = [job.result["camera"]["world_from_camera"][0][3] for job in made.jobs]
    assert sorted(places) == pytest.approx([-3.6, 3.9])


def test_seeds_are_variants_of_one_prop_and_have_a_sheet(addon: Any, room: list[Any], tmp_path: Path) -> None:
    made = addon.generate_batch(seeds=[7, 8], objects=room[:1], pipeline="test-box", out=tmp_path / "sheet")
    assert made.states == {"Camera, seed 7": "done", "Camera, seed 8": "done"}
    assert made.name == "Box · 2 seeds"
    assert sorted(job.result["seed"] for job in made.jobs) == [7, 8]
    assert [each.hide_render for each in sorted(made.objects, key=lambda prop: prop["set_dresser"]["seed"])] == [
        True,
        False,
    ]
    (shown,) = (each for each in made.objects if not each.hide_render)
    assert len(addon.variants_of(shown)) == 2
    assert sorted(path.name for path in (tmp_path / "sheet").iterdir()) == [
        *("batch.csv", "contact-sheet.html", "contact-sheet.png"),
    ]
    assert not (made._batch.folder / "shots" / "0").exists(), "the server has the pictures"


def test_a_method_that_takes_several_gets_all_cameras_that_see_the_block_out(
    several: Any, around: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = bpy.data.objects["Cube"]
    away = around[3]
    away.rotation_euler = (0, 0, 0)
    several.start_server(wait=True)
    several.jobs()
    made = several.generate_batch(cameras=around, objects=[cube], pipeline="test-photos", name="Round")
    assert made.states == {"Cube": "done"} and made.problems == {}
    (job,) = made.jobs
    assert job.name == "Cube"
    assert len(came(job)["photos"]) == 3, "one looks elsewhere"
    assert [prop.set_dresser_block_out for prop in made.objects] == [cube]
    with pytest.raises(SetDresserError, match="Several takes several pictures of one object at the same moment"):
        several.generate_batch(frames=[1, 2], objects=[cube], pipeline="test-photos")
    again = several.generate_batch(photos=around[:2], objects=[cube], seeds=[1, 2], pipeline="test-photos")
    assert again.done == 2 and {prop.set_dresser_block_out for prop in again.objects} == {cube}
    few = several.generate_batch(cameras=[around[0], away], objects=[cube], pipeline="test-photos", wait=False)
    pump_until(lambda: few._batch.task is None, "the end")
    assert few.states == {"Cube": "left out"}
    assert "Only one camera sees Cube" in few.problems["Cube"].message


def test_it_pauses_goes_on_and_is_cancelled_as_one(addon: Any, room: list[Any]) -> None:
    made = addon.generate_batch(
        seeds=range(3), objects=room[:1], pipeline="test-box", parameters={"seconds": 1.5}, wait=False
    )
    pump_until(lambda: list(made.states.values()) == ["running", "queued", "queued"], "the first one")
    made.pause()
    pump_until(lambda: sorted(made.states.values())[1:] == ["resting", "resting"], "the rest of the others")
    pump_until(lambda: made.states["Camera, seed 0"] == "done" and made.objects, "the end of what ran")
    assert Counter(made.states.values()) == {"done": 1, "resting": 2}
    made.go_on(wait=False)
    pump_until(lambda: "running" in made.states.values(), "the next one")
    made.cancel()
    pump_until(lambda: not {"running", "queued", "resting"} & set(made.states.values()), "the end of all")
    assert Counter(made.states.values()) == {"done": 1, "cancelled": 2}
    assert len(made.objects) == 1
    made.go_on()
    assert set(made.states.values()) == {"done"}, "cancelled ones are made when it goes on"
    made.remove()
    assert addon.batches() == [] and not made._batch.folder.exists()


def test_another_file_ends_the_pictures_and_not_what_was_sent(addon: Any, room: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "room.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    made = addon.generate_batch(frames=[1, 2], objects=room, pipeline="test-box", name="Two", wait=False)
    pump_until(lambda: len(made._batch.untaken) == 1, "the first picture")
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert made._batch.task is None and made.problems["Two"].code == "batch-file"
    with pytest.raises(
        SetDresserError, match=r"1 of 2 pictures of Two are still to be taken, in the file .*room.blend"
    ):
        made.go_on()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    made.go_on()
    assert made.done == made.count > 0
    assert {prop.set_dresser_block_out.name for prop in made.objects} == {"Box", "Ball", "Cone"}


def test_going_on_waits_for_what_goes_on_by_itself(addon: Any, current: Any, room: list[Any]) -> None:
    made = addon.generate_batch(seeds=[0, 1], objects=room[:1], pipeline="test-box")
    first, second = made._batch.entries
    addon.delete_job(made.jobs[1])
    pump_until(lambda: second.job not in current.desk.jobs, "the end of a job")
    second.outcome, first.outcome = "", ""
    work._run(current.line, made._batch, iter_forever())
    made.go_on(wait=False)
    assert made._batch.wished and not made._batch.asked
    current.line.tasks.stop(made._batch.task)
    made.wait(60)
    assert made.states == {"Camera, seed 0": "done", "Camera, seed 1": "removed"}
    assert made._batch.asked and not made._batch.wished


def iter_forever() -> Iterator[None]:
    while True:
        yield


def test_another_blender_that_works_on_it_comes_first(addon: Any, room: list[Any]) -> None:
    made = addon.generate_batch(objects=room, pipeline="test-box")
    batch_files.let_go(made._batch)
    other = batch_files.Lock(made._batch.folder / batch_files.LOCK)
    for press in (made.go_on, made.pause, made.cancel, made.remove):
        with pytest.raises(SetDresserError, match="Another Blender works on the batch") as refused:
            press()
        assert refused.value.code == "batch-elsewhere"
    other.release()
    made.go_on()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"objects": []}, "Nothing is chosen"),
        ({"objects": "Nowhere"}, "no collection 'Nowhere'"),
        ({"cameras": "all", "source": "a.png"}, "Cameras and frames are of the scene"),
        ({"parameters": {"end": "problem"}, "pipeline": "test-box"}, "would not close"),
        ({"cameras": []}, "no camera that could"),
        ({"cameras": ["Camera"]}, "Camera is no camera"),
        ({"frames": []}, "no frames"),
        ({"frames": [1.5]}, "whole numbers"),
        ({"seeds": []}, "Seeds are whole numbers"),
        ({"seeds": [-1]}, "Seeds are whole numbers"),
        ({"seeds": range(201)}, "a batch has 200 at most"),
        ({"save": True, "wait": False}, "nobody waits"),
        ({"save": True}, "never saved"),
        ({"picture_quality": "BEST"}, "no picture quality"),
        ({"parameters": {"size": float("nan")}}, "cannot be sent"),
    ],
)
def test_what_makes_no_batch_is_told_in_a_sentence(
    addon: Any, room: list[Any], asked: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SetDresserError, match=sentence):
        addon.generate_batch(**{"objects": room, **asked})
    assert len(addon.batches()) == ("end" in asked.get("parameters", {}))


def small(current: Any, **values: Any) -> Batch:
    """A batch of two cameras and three block-outs, on the desk."""
    made = Batch(
        name="Shots",
        file="",
        place=Place.of(bpy.context.scene, bpy.context.view_layer),
        block_outs=[Reference(0, name) for name in ("Chair", "Table", "Lamp")],
        request={"pipeline": "test-one", "parameters": {}, "prepare": {}},
        seeds=[0],
        options={"import_when_done": True},
        shots=[Shot("Left", block_outs=[0, 1, 2]), Shot("Right", block_outs=[0, 1, 2])],
        **values,
    )
    current.desk.batches = {made.id: made}
    return made


def test_each_block_out_is_made_of_the_shot_that_shows_it_best(current: Any) -> None:
    made = small(current, choosing=True)
    left, right = made.shots
    left.state = right.state = state.TAKEN
    left.views = {0: View(0.1), 1: View(0.2, cut=True)}
    right.views = {0: View(0.05), 1: View(0.04)}
    state.choose(made, (-90.0, 90.0), 48)
    assert [(entry.shot, entry.only) for entry in made.entries] == [(0, [0]), (1, [1])]
    assert [entry.reasons for entry in made.entries] == [
        ["Chair: Left, largest and whole"],
        ["Table: Right, whole"],
    ]
    assert state.unseen(made) == ["Lamp"]
    right.views[2] = View(0.01)
    made.choosing = True
    state.choose(made, (-90.0, 90.0), 48)
    assert [entry.only for entry in made.entries] == [[0], [1], [2]], "what is made already is not made again"


def test_more_objects_than_a_method_takes_are_several_jobs(current: Any) -> None:
    made = small(current, choosing=True)
    made.shots[0].state, made.shots[0].views = state.TAKEN, {number: View(0.1) for number in range(3)}
    state.choose(made, (-90.0, 90.0), 2)
    assert [entry.only for entry in made.entries] == [[0, 1], [2]]


def test_a_batch_is_read_as_it_was_written(current: Any) -> None:
    made = small(current, entries=[Entry("0000", "Left", 0, [1], 4, ["why"], state.LEFT_OUT)])
    made.entries[0].problem = SetDresserError("Wrong.", "Mend it.", "wrong")
    made.shots[1].views = {2: View(0.1, 0.5, True, 3.0)}
    again = state.read(made.document(), made.folder)
    assert again.document() == made.document()
    for damage in ({"format": 2}, {"shots": [{}]}, {"entries": [{**made.entries[0].document(), "shot": 7}]}):
        with pytest.raises((ValueError, KeyError)):
            state.read({**made.document(), **damage}, made.folder)


def test_a_blender_that_starts_anew_offers_the_props_that_were_not_saved(
    addon: Any, room: list[Any], tmp_path: Path
) -> None:
    """While it enables its add-ons, it tells nobody which file is open."""
    path = str(tmp_path / "room.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    kept = addon.generate_batch(objects=room, pipeline="test-box")
    assert len(kept.objects) == 3
    addon.unregister()
    bpy.ops.wm.open_mainfile(filepath=path)
    assert addon_utils.enable("blender_addon") is addon
    try:
        (found,) = addon.batches()
        assert found.id == kept.id
        addon.jobs()
        assert not found._batch.away, "it is of the file that is open"
        assert "1 of 1 done, 1 not in this file" in draw().texts
        bpy.ops.set_dresser.continue_batch(batch=found.id)
        pump_until(lambda: len(found.objects) == 3, "the props")
        assert {prop.set_dresser_block_out.name for prop in found.objects} == {"Box", "Ball", "Cone"}
        assert "1 of 1 done" in draw().texts and "set_dresser.continue_batch" not in draw().buttons
    finally:
        addon_utils.disable("blender_addon")


def test_the_panel_has_a_line_for_each_batch(addon: Any, current: Any) -> None:
    made = small(current)
    made.shots[0].state = state.TAKEN
    assert "1 of 2 pictures to take" in draw().texts and fraction(made) == 0.5
    assert {"set_dresser.continue_batch", "set_dresser.cancel_batch"} <= set(draw().buttons)
    assert "set_dresser.open_contact_sheet" not in draw().buttons
    made.shots[1].state = state.TAKEN
    made.entries = [Entry(f"000{number}", f"View {number}", 0, [number], state=state.SENT) for number in range(3)]
    states = {"0000": "running", "0001": "done", "0002": "failed"}
    for entry in made.entries:
        entry.job = f"job-{entry.key}"
        record(id=entry.job, state=states[entry.key], batch=made.of_job(entry))
    texts = draw().texts
    assert "Shots" in texts and "1 of 3 done, 1 failed" in texts and "Chair · View 0" not in texts
    assert "set_dresser.pause_batch" in draw().buttons and "set_dresser.continue_batch" not in draw().buttons
    made.paused = True
    assert "Paused, 1 of 3 done, 1 failed" in draw().texts and "set_dresser.continue_batch" in draw().buttons
    made.paused, made.unfolded = False, True
    made.entries[0].reasons = ["Chair: View 0, largest and whole"]
    texts = draw().texts
    assert "Chair · View 0" in texts and "Chair: View 0, largest and whole" in texts
    current.desk.jobs["job-0000"].state = "cancelled"
    assert "set_dresser.remove_batch" in draw().buttons and "set_dresser.pause_batch" not in draw().buttons


def test_the_buttons_are_the_calls(addon: Any, current: Any, room: list[Any]) -> None:
    for each in bpy.context.selected_objects:
        each.select_set(False)
    assert not bpy.ops.set_dresser.all_cameras.poll(), "nothing is selected"
    room[0].select_set(True)
    settings = bpy.context.scene.set_dresser
    addon.start_server(wait=True)
    addon.jobs()
    settings.pipeline = "test-box"
    bpy.ops.set_dresser.frame_range(start=1, end=3, step=2)
    bpy.ops.set_dresser.all_cameras()
    bpy.ops.set_dresser.seeds(count=2)
    seeds, cameras, frames = addon.batches()
    assert [shot.frame for shot in frames._batch.shots] == [1, 3]
    assert [shot.name for shot in cameras._batch.shots] == ["Camera"]
    for each in (seeds, cameras, frames):
        each.wait(60)
        bpy.ops.set_dresser.unfold_batch(batch=each.id)
        assert each._batch.unfolded
    assert sorted(seeds.states) == ["Camera, seed 0", "Camera, seed 1"]
    bpy.ops.set_dresser.open_contact_sheet(batch=seeds.id)
    page = batch_files.sheet_folder(seeds._batch) / "contact-sheet.html"
    pump_until(page.is_file, "the sheet")
    bpy.ops.set_dresser.remove_batch(batch=frames.id)
    with pytest.raises(RuntimeError, match="no such batch"):
        bpy.ops.set_dresser.continue_batch(batch=frames.id)
    assert current.desk.problem.code == "batch-gone"
