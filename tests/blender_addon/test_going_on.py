"""A long job ends early with what it has, goes on from where it was, and is followed from where the list has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.capture.block_outs import HIDDEN
from blender_addon.ground import temporary
from blender_addon.ground.messages import SetDresserError
from blender_addon.ground.references import Place
from blender_addon.settings.parameters import Groups
from blender_addon.state.job import JobRecord
from blender_addon.ui.panels.running import progress_text
from blender_addon.wire.client import ServerEvent
from blender_addon.work import lists, preview_images, results, server_life
from tests.blender_addon.test_panels import buttons_of, draw, mark
from tests.blender_addon.test_session import PATIENCE, pump_until

VIEW = {"id": "abc", "name": "Shot", "pipeline": "test-long", "created": "now"}


@pytest.fixture
def long(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The add-on; its backend has a pipeline that keeps checkpoints and can end early."""
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline,long_pipeline")
    return addon


def listed(**values: Any) -> JobRecord:
    record = JobRecord(**{"id": "abc", "name": "Shot", "pipeline": "test-long", **values})
    session.current.desk.jobs = {record.id: record}
    return record


def steps(job: Any) -> int:
    """How many were done for the result that is here: one that was there before is told of no more."""
    (message,) = (warning["message"] for warning in job.warnings if warning["code"] == "steps")
    return int(message.split()[0])


# with the real backend


def test_a_job_ends_early_and_goes_on_and_its_better_prop_takes_over(long: Any, picture: Path) -> None:
    job = long.generate(source=picture, pipeline="test-long", parameters={"steps": 60, "pause": 0.05}, wait=False)
    record = job._record
    pump_until(lambda: job.can_finish and preview_images.icon((job.id, "view-0")) is not None, "its picture")
    assert not job.can_continue
    assert 0 < job.fraction < 1
    bpy.ops.set_dresser.finish(job=job.id)
    assert progress_text(record).startswith("Finishing")
    job.wait(PATIENCE)
    assert (job.state, job.finished_early, job.can_continue, job.can_finish) == ("done", True, True, False)
    session.pump()
    assert not [image for image in bpy.data.images if temporary.MARK in image]
    early, (former,) = steps(job), job.objects
    assert 0 < early < 60
    former.location.x += 3
    bpy.ops.set_dresser.continue_job(job=job.id)
    assert progress_text(record) == "Continuing"
    pump_until(lambda: job.state == "running" and job.fraction > 0, "its turn")
    assert job.fraction >= early / 70, "it goes on where it was"
    job.wait(PATIENCE)
    assert (job.state, job.finished_early, job.can_continue) == ("done", False, False)
    assert steps(job) == 60
    (better,) = job.objects
    assert better != former
    assert HIDDEN in former
    assert better.location.x == pytest.approx(former.location.x), "it stands where the artist has moved the former one"


def test_a_cancelled_job_goes_on_after_a_restart_of_both(long: Any, picture: Path, current: Any) -> None:
    job = long.generate(source=picture, pipeline="test-long", parameters={"steps": 30, "pause": 0.05}, wait=False)
    pump_until(lambda: job.fraction > 0.2, "progress")
    job.cancel()
    with pytest.raises(SetDresserError, match="cancelled"):
        job.wait(PATIENCE)
    assert job.can_continue
    long.shutdown()
    current.desk.jobs.clear()
    (again,) = long.jobs()
    assert (again.id, again.state, again.can_continue) == (job.id, "cancelled", True)
    again.go_on(wait=True)
    assert (again.state, steps(again)) == ("done", 30)


# what the list tells


def test_following_begins_where_the_list_has_come_to() -> None:
    record = JobRecord(id="abc")
    record.take_description({**VIEW, "state": "running", "last_event": 57})
    assert record.last_event == 57
    record.take_event(ServerEvent(58, "state", {"state": "failed", "problem": {"detail": "It broke.", "status": 500}}))
    assert (record.last_event, record.state, record.problem.message) == (58, "failed", "It broke.")


def test_what_can_be_asked_is_not_believed_once_the_job_has_gone_on() -> None:
    record = JobRecord(id="abc")
    record.take_description({**VIEW, "state": "running", "can_finish": True})
    assert record.can_finish
    record.take_event(ServerEvent(2, "state", {"state": "cancelled"}))
    assert not record.can_finish
    record.take_chances({"state": "running", "can_finish": True})
    assert not record.can_finish, "it came late"
    record.take_chances({"state": "cancelled", "can_continue": True})
    assert record.can_continue


def test_a_result_of_an_early_end_counts_also_when_going_on_has_failed() -> None:
    record = JobRecord(id="abc")
    record.take_description({**VIEW, "state": "cancelled", "finished_early": True})
    assert record.has_result
    record.take_description({**VIEW, "state": "cancelled", "finished_early": False})
    assert not record.has_result


# the buttons


def test_finish_now_is_there_only_where_it_is_possible(addon: Any) -> None:
    record = listed(state="running")
    assert not buttons_of(draw(), "set_dresser.finish")
    record.can_finish = True
    assert buttons_of(draw(), "set_dresser.finish") == ["abc"]
    record.finishing = True
    assert not buttons_of(draw(), "set_dresser.finish")


@pytest.mark.parametrize(("state", "early"), [("failed", False), ("cancelled", False), ("done", True)])
def test_continue_is_there_only_where_it_is_possible(addon: Any, state: str, early: bool) -> None:
    record = listed(state=state, finished_early=early)
    mark("abc")
    assert not buttons_of(draw(), "set_dresser.continue_job")
    record.can_continue = True
    layout = draw()
    assert buttons_of(layout, "set_dresser.continue_job") == ["abc"]
    assert ("finished early" in layout.texts) == early
    assert buttons_of(layout, "set_dresser.import_job") == (["abc"] if early else [])


@pytest.mark.parametrize(
    ("ask", "code"), [("finish_job", "finish-not-possible"), ("continue_job", "continue-not-possible")]
)
def test_what_is_not_possible_is_said_at_once(addon: Any, ask: str, code: str) -> None:
    listed(state="done")
    with pytest.raises(SetDresserError) as caught:
        getattr(addon, ask)("abc")
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)
    assert not session.current.desk.server.running


def test_an_earlier_result_is_not_taken_for_that_of_a_job_that_goes_on(addon: Any, current: Any) -> None:
    """Also where another program has let it go on."""
    record = listed(state="done", result_imported=True, thumbnail="ready", cancelling=True)
    folder = record.folder = results.folder_of("abc")
    for name in ("scene.glb", "result.json", "thumbnail.png"):
        (folder / name).write_bytes(b"old")
    lists.take_jobs(current.line, [{**VIEW, "state": "queued"}])
    current.line.tasks.stop_all()
    assert list(folder.iterdir()) == []
    assert (record.folder, record.result_imported, record.thumbnail, record.cancelling) == (None, False, "", False)


def waiting() -> Any:
    """Of a backend that does not answer."""
    while True:
        yield


def test_the_panels_finish_now_brings_the_props_into_the_file_that_is_open(
    addon: Any, current: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart of Blender, say; a script that wants no import keeps its word."""
    monkeypatch.setattr(current.line, "ready_client", waiting)
    record = listed(state="running", can_finish=True)
    addon.finish_job("abc")
    assert record.finishing
    assert (record.import_when_done, record.place) == (False, None)
    record.finishing = False
    bpy.ops.set_dresser.finish(job="abc")
    assert (record.finishing, record.import_when_done, current.desk.pressed) == (True, True, record)
    assert record.place.find() == (bpy.context.scene, bpy.context.view_layer)


@pytest.mark.parametrize("state", ["done", "running"])
def test_finish_now_that_came_too_late_is_no_error(addon: Any, current: Any, state: str) -> None:
    def refused() -> Any:
        record.state = state
        raise SetDresserError("The job is done.", "", "finish-not-possible")
        yield

    record = listed(state="running", can_finish=True)
    current.line.ready_client = refused
    addon.finish_job("abc")
    assert not record.finishing
    assert (current.desk.problem is None) == (state == "done")


def test_a_backend_that_is_stopped_before_it_lets_a_job_go_on_leaves_it_as_it_was(
    addon: Any, current: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current.line, "ready_client", waiting)
    record = listed(state="failed", can_continue=True)
    addon.continue_job("abc", wait=False)
    assert (record.busy, progress_text(record)) == (True, "Continuing")
    addon.cancel("abc")
    assert (record.busy, progress_text(record)) == (True, "Cancelling")
    server_life.stop(current.line)
    assert (record.busy, record.cancelling, record.state, record.can_continue) == (False, False, "failed", True)


def test_cancelled_before_the_backend_has_let_it_go_on_it_is_cancelled_then(long: Any, picture: Path) -> None:
    job = long.generate(source=picture, pipeline="test-long", parameters={"steps": 400, "pause": 0.05}, wait=False)
    pump_until(lambda: job.fraction > 0, "progress")
    job.finish()
    job.wait(PATIENCE)
    job.go_on(wait=False)
    job.cancel()
    pump_until(lambda: not job._record.busy, "its end")
    assert (job.state, job.can_continue) == ("cancelled", True)


def test_the_bar_stays_where_it_was_while_a_job_is_begun_again() -> None:
    """Its worker died: no event tells how far it had come, until the next step."""
    record = JobRecord(id="abc", state="running", stage="surface", fraction=0.45)
    for number, state in enumerate(("queued", "running"), 2):
        record.take_event(ServerEvent(number, "state", {"state": state}))
    progress = {"stage": "surface", "fraction": 0.45}
    record.take_chances({"state": "running", "progress": progress})
    assert (record.stage, record.fraction) == ("surface", 0.45)
    record.take_event(ServerEvent(4, "progress", {"stage": "surface", "fraction": 0.5}))
    record.take_chances({"state": "running", "progress": progress})
    assert record.fraction == 0.5, "it came late"


def test_what_became_of_the_press_tells_that_there_is_more_to_be_had(addon: Any, current: Any) -> None:
    record = listed(state="done", finished_early=True, place=Place.of(bpy.context.scene, bpy.context.view_layer))
    current.desk.pressed = record
    assert not buttons_of(draw(), "set_dresser.continue_job")
    record.can_continue = True
    layout = draw()
    assert buttons_of(layout, "set_dresser.continue_job") == ["abc"]
    assert "Finished early" in layout.texts
    record.continuing = True
    assert not buttons_of(draw(), "set_dresser.continue_job")


# the folds


def test_what_artists_turn_is_open_and_the_rest_is_folded_by_what_it_is_about() -> None:
    marked = {"type": "boolean", "default": True, "prominent": True, "group": "mesh"}
    fields = {f"open_{number}": marked for number in range(6)}
    for name, group in (("speed", "computing"), ("faces", "mesh"), ("odd", "astrology"), ("loose", None)):
        fields[name] = {"type": "boolean", "default": True, **({"group": group} if group else {})}
    groups = Groups("test_folds_", "TestFolds_")
    groups.register([("one", {"properties": fields}), ("plain", {"properties": {"a": marked | {"prominent": False}}})])
    try:
        assert groups.prominent("one") == [f"open_{number}" for number in range(5)]
        assert groups.folded("one", 4)["mesh"] == ["open_4", "open_5", "faces"], "where there is little room"
        folded = groups.folded("one")
        assert folded == {"mesh": ["open_5", "faces"], "computing": ["speed"], "astrology": ["odd"], "": ["loose"]}
        assert list(folded)[:2] == ["mesh", "computing"], "in the order of the panel, whatever that of the schema"
        assert (groups.prominent("plain"), groups.folded("plain")) == (["a"], {})
    finally:
        groups.unregister()
