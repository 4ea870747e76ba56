"""A job and its file: there alone the result comes in by itself, once, and it finds its block-outs again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.capture import block_outs
from blender_addon.ground import references
from blender_addon.ground.references import Place, Reference
from blender_addon.state import origin
from blender_addon.state.job import JobRecord
from blender_addon.work import jobs, origins
from tests.blender_addon.pumping import PATIENCE, pump_until
from tests.blender_addon.results import fetched, linked, placed

pytestmark = pytest.mark.usefixtures("addon")

WISHES = {"import_when_done": True, "hide_block_outs": False, "keep_moves": False, "height": 1.5, "place_at": "cursor"}


def save(path: Path) -> str:
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return references.this_file()


def reopen(path: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(path))


def described(record: JobRecord, **values: Any) -> dict[str, Any]:
    """What the server would tell of a job that is done."""
    known = {"id": "0" * 24, "state": "done", "last_event": 4, "name": "Set", "fetched": False}
    return {**known, "origin": record.describe_origin(references.this_file()), **values}


def seen(current: Any, description: dict[str, Any]) -> JobRecord:
    """The job as a Blender that was started anew hears of it."""
    current.desk.jobs.clear()
    (record,) = origins.first_seen(current.desk, [description]).values()
    record.take_description(description)
    return record


# what is written


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    cube, chairs = bpy.data.objects["Cube"], linked(tmp_path, "Cube", "Chair")
    place = Place.of(bpy.context.scene, bpy.context.view_layer)
    known = {7: Reference.of(chairs[1]), 1: Reference.of(cube)}
    record = JobRecord("new-1", block_outs=known, variant_of={3: Reference.of(cube)}, place=place, **WISHES)
    record.one_with = [Reference.of(each) for each in chairs]
    document = record.describe_origin("/sets/room.blend")
    assert json.loads(json.dumps(document)) == document
    read = origin.read(document)
    assert read is not None and (read.file, read.place) == ("/sets/room.blend", place.reopened())
    assert read.block_outs == {number: each.reopened() for number, each in known.items()}
    assert block_outs.resolve(read.block_outs[7]) == chairs[1], "its library tells it from the other one"
    assert [block_outs.resolve(each) for each in read.one_with] == chairs
    assert read.variant_of == {3: Reference.of(cube).reopened()}
    assert {name: getattr(read, name) for name in WISHES} == WISHES


def test_a_file_that_was_never_saved_is_no_origin(current: Any) -> None:
    record = JobRecord("new-1", place=Place.of(bpy.context.scene, bpy.context.view_layer))
    assert references.this_file() == ""
    assert origins.note(record) == {} == record.origin
    assert JobRecord("new-1").describe_origin("/sets/room.blend") == {}, "its file was closed before it was sent"


@pytest.mark.parametrize("name", ["Cube.001", "Ä" * 60])
def test_it_is_never_larger_than_the_server_takes(name: str) -> None:
    known = {number: Reference(number, f"{name}{number}") for number in range(1, 1001)}
    record = JobRecord("new-1", block_outs=known, place=Place.of(bpy.context.scene, bpy.context.view_layer))
    document = record.describe_origin("/sets/room.blend")
    size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
    assert origin.LARGEST - 150 < size <= origin.LARGEST
    assert list(document["block_outs"]) == [str(number) for number in range(1, len(document["block_outs"]) + 1)]
    assert record.describe_origin("/" + "x" * 5000) == {}


@pytest.mark.parametrize(
    "document",
    [
        *({}, None, [], "set.blend", {"file": "a"}, {"shot": 12}),
        {"file": "a", "scene": "S", "layer": ["L", 0]},
        {"file": "a", "scene": {}, "layer": ["L", 0, 1], "block_outs": [], "one_with": [], "variant_of": {}},
    ],
)
def test_what_another_program_has_written_is_passed_over(current: Any, document: Any) -> None:
    assert origin.read(document) is None
    record = seen(current, {"id": "0" * 24, "state": "done", "last_event": 4, "origin": document})
    assert record.away and not record.awaited


def test_names_that_are_no_text_can_be_sent(tmp_path: Path) -> None:
    known = {1: Reference(5, "Stuhl \udcfc")}
    record = JobRecord("new-1", block_outs=known, place=Place.of(bpy.context.scene, bpy.context.view_layer))
    json.dumps(record.describe_origin("/sets/room.blend"), ensure_ascii=False).encode("utf-8")


# what is done with it


def made_here(**values: Any) -> JobRecord:
    place = Place.of(bpy.context.scene, bpy.context.view_layer)
    return JobRecord(
        "new-1", block_outs={1: Reference.of(bpy.data.objects["Cube"])}, place=place, **{**WISHES, **values}
    )


def test_a_job_of_this_file_is_as_if_it_had_been_made_now(current: Any, tmp_path: Path) -> None:
    save(tmp_path / "set.blend")
    description = described(made_here())
    reopen(tmp_path / "set.blend")
    record = seen(current, description)
    assert record.awaited and current.desk.pressed is record
    assert record.place.find() == (bpy.context.scene, bpy.context.view_layer)
    assert block_outs.resolve(record.block_outs[1]) == bpy.data.objects["Cube"]
    assert {name: getattr(record, name) for name in WISHES} == WISHES


def test_the_same_file_by_another_way_is_the_same_file(current: Any, tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sets")
    save(tmp_path / "sets" / "set.blend")
    description = described(made_here())
    reopen(tmp_path / "link" / "set.blend")
    assert seen(current, description).awaited


@pytest.mark.parametrize("case", ["another", "unsaved", "saved as", "not wanted", "had", "there", "failed"])
def test_what_does_not_come_by_itself(current: Any, tmp_path: Path, case: str) -> None:
    save(tmp_path / "set.blend")
    description = described(made_here(import_when_done=case != "not wanted"))
    if case == "another":
        save(tmp_path / "copy.blend")
        reopen(tmp_path / "copy.blend")
    elif case == "unsaved":
        bpy.ops.wm.read_homefile(use_factory_startup=True)
    elif case == "saved as":
        save(tmp_path / "second.blend")
    elif case == "there":
        bpy.data.objects["Light"]["set_dresser"] = {"job": description["id"], "instance_id": 1}
    description |= {"fetched": case == "had", "state": "failed" if case == "failed" else "done"}
    record = seen(current, description)
    assert not record.awaited
    at_home = case in ("not wanted", "had", "there", "failed")
    assert record.away is not at_home
    assert bool(record.block_outs) is at_home, "a press of Import finds them"


def test_coming_back_to_its_file_a_job_is_wanted_again(current: Any, tmp_path: Path) -> None:
    save(tmp_path / "set.blend")
    record = seen(current, described(made_here()))
    current.desk.jobs[record.id] = record
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert record.away and not record.awaited and (record.block_outs, record.place) == ({}, None)
    reopen(tmp_path / "set.blend")
    assert record.awaited and block_outs.resolve(record.block_outs[1]) == bpy.data.objects["Cube"]
    record.import_when_done = False  # somebody has stopped it
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    reopen(tmp_path / "set.blend")
    assert not record.awaited and not record.away


def test_a_list_that_was_faster_than_the_answer_brings_nothing_in_twice(current: Any, tmp_path: Path) -> None:
    save(tmp_path / "set.blend")
    description = described(record := made_here())
    twin = seen(current, description)
    current.desk.jobs = {record.id: record, twin.id: twin}
    assert twin.awaited
    twin.result_imported = True
    jobs.adopt(current.line, record, description)
    assert list(current.desk.jobs.values()) == [record] and not record.awaited


def test_an_import_that_was_stopped_is_not_wanted_any_more(current: Any, tmp_path: Path) -> None:
    save(tmp_path / "set.blend")
    record = seen(current, described(made_here()))
    record.arrival = "waiting"
    jobs.cancel(current.line, record)
    assert (record.state, record.arrival, record.awaited) == ("done", "", False)


def test_an_older_description_than_the_events_is_passed_over() -> None:
    record = JobRecord("0" * 24, state="done", last_event=9)
    record.take_description({"id": "0" * 24, "state": "running", "last_event": 8})
    assert (record.state, record.last_event) == ("done", 9)


# what is gone


def test_what_is_gone_is_told(tmp_path: Path) -> None:
    record = fetched(tmp_path / "job", bpy.data.objects["Cube"], one_with=[Reference(0, "Leg")])
    record.file_opened(same=True)
    bpy.data.objects["Cube"].name = "Sofa"
    (prop,) = placed(record)
    assert prop.set_dresser_block_out is None
    (told,) = record.warnings
    assert (
        told["message"] == "Not in this file any more: Cube, Leg. What was made of it stands where the camera saw it."
    )
    bpy.data.objects["Sofa"].name = "Cube"
    (prop,) = placed(record)
    assert prop.set_dresser_block_out == bpy.data.objects["Cube"]
    assert "any more: Leg." in record.warnings[0]["message"] and len(record.warnings) == 1


def test_what_was_deleted_in_this_session_is_not_told(tmp_path: Path) -> None:
    record = fetched(tmp_path / "job", bpy.data.objects["Cube"])
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    placed(record)
    assert record.warnings == []


def test_the_label_table_names_what_the_origin_had_no_room_for(tmp_path: Path) -> None:
    record = fetched(tmp_path / "job", block_outs={2: Reference(0, "Camera")})
    result = json.loads((tmp_path / "job" / "result.json").read_text())
    result["instances"] = [{"id": 1, "name": "Cube"}, {"id": 2, "name": "Camera"}]
    (tmp_path / "job" / "result.json").write_text(json.dumps(result))
    (prop,) = placed(record)
    assert prop.set_dresser_block_out == bpy.data.objects["Cube"] and record.warnings == []


# with a real backend


def test_a_result_waits_for_its_file_and_comes_once(addon: Any, current: Any, tmp_path: Path) -> None:
    """Another file is opened while the job runs; then its own again, thrice."""
    save(tmp_path / "set.blend")
    job = addon.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box", parameters={"seconds": 1}, wait=False)
    pump_until(lambda: job.state == "running", "the start")
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    save(tmp_path / "other.blend")
    job.wait(PATIENCE)
    again(addon, current)
    assert (job.state, job.objects, bpy.data.objects["Cube"].hide_render) == ("done", [], False)
    assert not any("set_dresser" in each for each in bpy.data.objects)
    reopen(tmp_path / "set.blend")
    pump_until(lambda: job.objects, "its props")
    (prop,) = job.objects
    cube = bpy.data.objects["Cube"]
    assert prop.set_dresser_block_out == cube and cube.hide_render and cube.hide_get() and job.warnings == []
    reopen(tmp_path / "set.blend")  # what was not saved is not wanted
    again(addon, current)
    assert not any("set_dresser" in each for each in bpy.data.objects)
    addon.import_job(job)
    assert job.objects[0].set_dresser_block_out == bpy.data.objects["Cube"]
    bpy.ops.wm.save_mainfile()
    restart(addon, current)
    assert len([each for each in bpy.data.objects if "set_dresser" in each]) == 1


def test_another_blender_with_the_same_file_open_leaves_the_result_to_the_one_that_made_it(
    addon: Any, current: Any, tmp_path: Path
) -> None:
    save(tmp_path / "set.blend")
    job = addon.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box", parameters={"seconds": 1}, wait=False)
    pump_until(lambda: job.state == "running", "the start")
    current.line.tasks.stop_all()
    current.desk.jobs.clear()
    current.line.refresh()
    pump_until(lambda: current.desk.jobs and current.desk.jobs[job.id].arrival == "fetching", "the end")
    other = tmp_path / "scene.glb"  # what the Blender that has made it does at once
    current.line.begin(fetching(current, job.id, other), current.line.report)
    pump_until(other.is_file, "its scene")
    again(addon, current)
    record = current.desk.jobs[job.id]
    assert (record.state, record.arrival, record.awaited, record.problem) == ("done", "", False, None)
    assert not any("set_dresser" in each for each in bpy.data.objects)


def fetching(current: Any, identifier: str, path: Path) -> Any:
    yield from current.line.ask(lambda client: client.download(identifier, "scene.glb", path))


def again(addon: Any, current: Any) -> None:
    """The lists, and whatever they begin, to its end."""
    addon.jobs()
    pump_until(lambda: not any(record.busy for record in current.desk.jobs.values()), "rest")


def restart(addon: Any, current: Any) -> None:
    """What a new Blender knows, with the same file open."""
    current.desk.jobs.clear()
    current.desk.pressed = None
    reopen(Path(bpy.data.filepath))
    again(addon, current)


def test_a_variant_joins_its_prop_after_a_restart(addon: Any, current: Any, tmp_path: Path) -> None:
    save(tmp_path / "set.blend")
    cube = bpy.data.objects["Cube"]
    (prop,) = addon.generate(objects=[cube], pipeline="test-box").objects
    prop.location.x += 2.0
    bpy.ops.wm.save_mainfile()
    job = addon.again(prop, parameters={"size": 0.75, "seconds": 0.5}, wait=False)
    pump_until(lambda: job.state == "running", "the start")
    assert current.desk.jobs[job.id].origin["variant_of"] == {"1": "Cube_prop"}
    current.line.tasks.stop_all()
    restart(addon, current)
    (new,) = addon.jobs(refresh=False)[0].objects
    assert new.name == "Cube_prop" and new.set_dresser_block_out == bpy.data.objects["Cube"]
    assert addon.variants_of(new)[1:] == [new] and new.location.x == pytest.approx(2.0, abs=1e-4)
    assert not new.hide_render and addon.variants_of(new)[0].hide_render


# what other files and names do to it


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_numbers_without_end_are_another_programs(current: Any, number: float) -> None:
    known = {"file": "a", "scene": "S", "block_outs": {}, "one_with": [], "variant_of": {}}
    assert origin.read({**known, "layer": ["L", number, 1], "import_when_done": True}) is None


def test_the_same_file_by_another_way_is_no_other_file(current: Any, tmp_path: Path) -> None:
    """Also for a job that the server does not have yet, whose origin is nowhere but here."""
    (tmp_path / "sets").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sets")
    save(tmp_path / "sets" / "set.blend")
    record = made_here()
    current.desk.jobs[record.id] = record
    reopen(tmp_path / "link" / "set.blend")
    assert not record.away and record.place is not None
    assert block_outs.resolve(record.block_outs[1]) == bpy.data.objects["Cube"]
    reopen(tmp_path / "sets" / "set.blend")
    assert not record.away and block_outs.resolve(record.block_outs[1]) == bpy.data.objects["Cube"]


def test_of_block_outs_that_are_called_the_same_the_label_table_names_none(tmp_path: Path) -> None:
    """A local chair and a linked one: which of the two has no room in the origin, its label does not tell."""
    record = fetched(
        tmp_path / "job", block_outs={2: Reference(0, "Camera"), 3: Reference(0, "Cube", "/sets/lib.blend")}
    )
    result = json.loads((tmp_path / "job" / "result.json").read_text())
    result["instances"] = [{"id": 1, "name": "Cube"}, {"id": 2, "name": "Camera"}, {"id": 3, "name": "Cube"}]
    (tmp_path / "job" / "result.json").write_text(json.dumps(result))
    (prop,) = placed(record)
    assert prop.set_dresser_block_out is None and not bpy.data.objects["Cube"].hide_render


def test_what_merely_has_the_name_of_a_prop_is_not_replaced_by_its_variant(tmp_path: Path) -> None:
    """Blender was killed before the prop was saved, and the name went to something of the artist's."""
    bpy.data.objects["Cube"].name = "Cube_prop"
    record = fetched(tmp_path / "job", variant_of={1: Reference(0, "Cube_prop")})
    (prop,) = placed(record)
    assert prop.name != "Cube_prop" and not bpy.data.objects["Cube_prop"].hide_render
