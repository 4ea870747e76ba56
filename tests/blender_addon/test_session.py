"""From the press of the button to props in the scene, with the real backend; and everything that can come between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.backend_process import setting_up
from blender_addon.backend_process.server_process import ServerState
from blender_addon.ground import folders, moments, tick
from blender_addon.ground.messages import SetDresserError
from blender_addon.work import lists, results
from tests.backend.waiting import is_gone
from tests.blender_addon.conftest import script
from tests.blender_addon.pumping import PATIENCE, pump_until, start


def test_a_picture_becomes_a_prop(addon: Any, picture: Path) -> None:
    job = addon.generate(source=picture, pipeline="test-box", parameters={"size": 1.5}, seed=4)
    assert (job.state, job.name, job.pipeline, job.fraction) == ("done", "square", "test-box", 1.0)
    (prop,) = job.objects
    assert prop.dimensions.x == pytest.approx(3.0, abs=1e-4)
    assert job.result["seed"] == 4
    assert job.result["parameters"]["size"] == 1.5
    assert not (folders.temporary() / "shots").exists() or not list((folders.temporary() / "shots").iterdir())


def test_block_outs_become_props(addon: Any) -> None:
    cube = bpy.data.objects["Cube"]
    job = addon.generate(objects=[cube], pipeline="test-box")
    (prop,) = job.objects
    assert prop.set_dresser_block_out == cube
    assert cube.hide_render
    assert "Cube" in prop.name


def test_the_server_starts_while_the_picture_is_taken(addon: Any, current: Any) -> None:
    cube = bpy.data.objects["Cube"]
    job = addon.generate(objects=[cube], pipeline="test-box", wait=False)
    assert current.desk.server.state is ServerState.STARTING
    assert len(job.wait(PATIENCE).objects) == 1


def test_what_is_drawn_anew_is_the_panel_and_not_the_view_beside_it() -> None:
    assert {region.type for region in tick.sidebars()} == {"UI"}


def test_a_running_job_tells_stage_fraction_and_time_left(addon: Any, picture: Path) -> None:
    job = start(addon, picture, seconds=3)
    assert job.state == "preparing"
    pump_until(lambda: job.eta is not None, "progress")
    assert (job.state, job.stage) == ("running", "surface")
    assert 0 < job.fraction < 1
    assert 0 < job.eta < 30


def test_a_running_job_is_cancelled(addon: Any, picture: Path) -> None:
    job = start(addon, picture, seconds=600)
    pump_until(lambda: job.state == "running", "the start")
    job.cancel()
    with pytest.raises(SetDresserError) as caught:
        job.wait(PATIENCE)
    assert (job.state, caught.value.code) == ("cancelled", "cancelled")
    assert job.objects == []


def test_a_job_is_cancelled_before_the_server_has_it(addon: Any, picture: Path) -> None:
    job = start(addon, picture)
    job.cancel()
    assert job.state == "cancelled"
    assert not list((folders.temporary() / "shots").iterdir())
    assert addon.jobs()[0].state == "cancelled"
    assert session.current.desk.server.state is ServerState.READY


def test_a_queued_job_is_cancelled_and_the_one_before_it_goes_on(addon: Any, picture: Path) -> None:
    first, second = start(addon, picture, seconds=1.0), start(addon, picture)
    pump_until(lambda: second.state == "queued" and first.state == "running", "both jobs")
    second.cancel()
    pump_until(lambda: second.state == "cancelled", "the cancellation")
    assert first.wait(PATIENCE).state == "done"


def test_the_servers_problem_reaches_the_caller(addon: Any, picture: Path, current: Any) -> None:
    with pytest.raises(SetDresserError) as caught:
        addon.generate(source=picture, pipeline="test-box", parameters={"end": "problem"})
    error = caught.value
    assert (error.code, error.message, error.hint) == (
        "geometry-failed",
        "The box would not close.",
        "Use another box.",
    )
    assert current.desk.problem is error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"pipeline": "no-such"}, "pipeline-unknown"),
        ({"pipeline": "test-box", "parameters": {"size": -1}}, "parameters-invalid"),
        ({"pipeline": "test-box", "parameters": {"nonsense": 1}}, "parameters-invalid"),
        ({"pipeline": "test-box", "seed": -5}, "request-invalid"),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(addon: Any, picture: Path, arguments: dict, code: str) -> None:
    with pytest.raises(SetDresserError) as caught:
        addon.generate(source=picture, **arguments)
    assert caught.value.code == code
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_parameters_that_cannot_be_sent_are_refused_at_once(addon: Any, picture: Path, value: Any) -> None:
    with pytest.raises(SetDresserError, match="cannot be sent") as caught:
        start(addon, picture, size=value)
    assert caught.value.code == "parameters-invalid"
    assert addon.jobs(refresh=False) == []


def test_a_broken_picture_is_refused_and_the_server_lives(addon: Any, picture: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(SetDresserError):
        addon.generate(source=broken, pipeline="test-box")
    assert addon.generate(source=picture, pipeline="test-box").state == "done"


@pytest.mark.parametrize("source", ["", "/nowhere/picture.png"])
def test_a_missing_picture_starts_nothing(addon: Any, current: Any, source: str) -> None:
    with pytest.raises(SetDresserError):
        addon.generate(source=source)
    assert not current.desk.server.running
    assert current.desk.jobs == {}


def test_a_dead_worker_fails_the_job_and_the_next_one_runs(addon: Any, picture: Path) -> None:
    with pytest.raises(SetDresserError) as caught:
        addon.generate(source=picture, pipeline="test-box", parameters={"end": "crash"})
    assert caught.value.code == "worker-died"
    assert addon.generate(source=picture, pipeline="test-box").state == "done"


def test_a_killed_server_is_started_again_and_the_job_ends_well(addon: Any, picture: Path, current: Any) -> None:
    """The event stream goes on after the last event seen, at another port, with another token."""
    job = start(addon, picture, seconds=1.5)
    pump_until(lambda: job.fraction > 0.1, "progress")
    host, seen = current.desk.server.client.endpoint.host, current.desk.jobs[job.id].last_event
    os.kill(current.desk.server.pid, 9)
    job.wait(PATIENCE)
    assert job.state == "done"
    assert len(job.objects) == 1
    assert current.desk.server.client.endpoint.host != host
    assert current.desk.jobs[job.id].last_event > seen


def test_a_job_that_takes_the_server_down_again_and_again_is_given_up(addon: Any, picture: Path, current: Any) -> None:
    job = start(addon, picture, seconds=600)
    for _ in range(2):
        pump_until(lambda: job.state == "running" and current.desk.server.client, "the job's turn")
        pid = current.desk.server.pid
        os.kill(pid, 9)
        pump_until(lambda pid=pid: current.desk.server.client and current.desk.server.pid != pid, "another server")
    with pytest.raises(SetDresserError) as caught:
        job.wait(PATIENCE)
    assert caught.value.code == "interrupted"
    assert current.desk.server.state is ServerState.READY


def test_a_backend_that_cannot_start_fails_the_job_and_is_not_tried_for_ever(
    addon: Any, picture: Path, current: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = script(tmp_path / "python", "#!/bin/sh\necho 'No module named fastapi' >&2\nexit 1\n")
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(broken))
    codes = []
    for _ in range(4):
        with pytest.raises(SetDresserError) as caught:
            addon.generate(source=picture, pipeline="test-box")
        codes.append(caught.value.code)
    assert codes == ["package-missing"] * 3 + ["breaker"]
    assert "lacks the package 'fastapi'" in current.desk.jobs["new-1"].problem.message
    assert "lacks the package 'fastapi'" in caught.value.message, "the breaker repeats why"
    assert not current.desk.server.running


def test_without_a_python_the_job_fails_with_what_to_do(
    addon: Any, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SET_DRESSER_PYTHON", "/nowhere/python")
    with pytest.raises(SetDresserError, match="/nowhere/python") as caught:
        addon.generate(source=picture, pipeline="test-box")
    assert (caught.value.code, bool(caught.value.hint)) == ("not-set-up", True)


def test_jobs_are_sent_in_the_order_of_the_presses(addon: Any, picture: Path) -> None:
    made = [start(addon, picture) for _ in range(4)]
    pump_until(lambda: all(job.state in ("queued", "running", "done") for job in made), "the sending")
    assert [job.id for job in reversed(addon.jobs())] == [job.id for job in made]


def test_a_job_that_is_cancelled_while_it_is_sent_does_not_run(addon: Any, picture: Path) -> None:
    """The server may have it already when its sender does not know yet by which name."""
    job = start(addon, picture, seconds=30.0)
    pump_until(lambda: job.state == "sending", "the sending")
    job.cancel()
    pump_until(lambda: job.state == "cancelled", "the end")
    assert [(each.id, each.state) for each in addon.jobs()] == [(job.id, "cancelled")]


def test_a_list_that_is_older_than_a_job_does_not_lose_it(addon: Any, picture: Path, current: Any) -> None:
    job = start(addon, picture, seconds=0.3)
    pump_until(lambda: job.state in ("queued", "running"), "the sending")
    lists.take_jobs(current.line, [])
    assert [each.id for each in addon.jobs(refresh=False)] == [job.id]
    assert len(job.wait(PATIENCE).objects) == 1


def test_stopping_the_server_keeps_what_it_has(addon: Any, picture: Path, current: Any) -> None:
    """A job that was running goes on when the server starts again, and its props still come in."""
    job = start(addon, picture, seconds=1.0)
    pump_until(lambda: job.state == "running", "the start")
    unsent = start(addon, picture)
    addon.shutdown()
    assert current.desk.server.state is ServerState.STOPPED
    assert (job.state, unsent.state, unsent.problem.code) == ("queued", "failed", "stopped")
    assert not current.line.tasks
    addon.start_server()
    pump_until(lambda: job.objects, "the props")
    assert job.state == "done"


def test_jobs_of_an_earlier_session_can_be_imported(addon: Any, picture: Path) -> None:
    addon.generate(source=picture, pipeline="test-box", name="first", import_result=False)
    addon.unregister()
    addon.register()
    (job,) = addon.jobs()
    assert (job.name, job.state, job.objects) == ("first", "done", [])
    assert len(addon.import_job(job.id).objects) == 1
    assert len(addon.import_job(job).objects) == 1
    assert len([prop for prop in bpy.data.objects if "set_dresser" in prop]) == 2


def test_a_deleted_job_is_gone_everywhere(addon: Any, picture: Path, current: Any) -> None:
    job = addon.generate(source=picture, pipeline="test-box")
    data = setting_up.server_environment(current.desk.installation).data
    assert (data / "jobs" / job.id).is_dir()
    addon.delete_job(job)
    pump_until(lambda: not current.desk.jobs, "the removal")
    assert not (data / "jobs" / job.id).exists()
    assert not (folders.temporary() / "results" / job.id).exists()
    assert addon.jobs() == []
    assert len(job.objects) == 1, "props in the scene stay"
    with pytest.raises(SetDresserError, match="no job"):
        addon.import_job(job.id)


def test_only_ended_jobs_are_imported_or_deleted(addon: Any, picture: Path) -> None:
    job = start(addon, picture, seconds=600)
    for act in (addon.import_job, addon.delete_job):
        with pytest.raises(SetDresserError) as caught:
            act(job)
        assert caught.value.code == "job-not-finished"


def test_waiting_has_an_end_and_the_job_goes_on(addon: Any, picture: Path) -> None:
    job = start(addon, picture, seconds=600)
    with pytest.raises(SetDresserError) as caught:
        job.wait(0.2)
    assert caught.value.code == "timeout"
    pump_until(lambda: job.state == "running", "its going on")


def test_props_do_not_land_in_another_file(addon: Any, picture: Path) -> None:
    job = start(addon, picture, seconds=0.5)
    pump_until(lambda: job.state == "running", "the start")
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    job.wait(PATIENCE)
    assert (job.state, job.objects) == ("done", [])
    assert not any("set_dresser" in thing for thing in bpy.data.objects)
    assert len(addon.import_job(job).objects) == 1


def test_props_go_to_the_scene_they_were_made_for(addon: Any, picture: Path) -> None:
    first = bpy.context.scene
    job = start(addon, picture)
    bpy.context.window.scene = bpy.data.scenes.new("Another")
    job.wait(PATIENCE)
    (prop,) = job.objects
    assert list(prop.users_scene) == [first]


def test_props_wait_until_edit_mode_is_left(addon: Any, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hindrance = ["Leave Edit Mode to let the props come in"]
    monkeypatch.setattr(moments, "import_hindrance", lambda: hindrance[0])
    job = start(addon, picture)
    record = session.current.desk.jobs[job.id]
    pump_until(lambda: record.arrival == "waiting", "the result")
    for _ in range(5):
        session.pump()
    assert job.objects == []
    hindrance[0] = ""
    job.wait(PATIENCE)
    assert len(job.objects) == 1


def test_a_damaged_result_is_told_and_can_be_fetched_again(addon: Any, picture: Path, current: Any) -> None:
    job = addon.generate(source=picture, pipeline="test-box", import_result=False)
    folder = results.folder_of(job.id)
    (folder / "result.json").write_text("{")
    (folder / "scene.glb").write_bytes(b"glTF")
    for damaged in ("result.json", "scene.glb"):
        with pytest.raises(SetDresserError):
            addon.import_job(job)
        assert job.state == "done"
        (folder / damaged).unlink()
    assert len(addon.import_job(job).objects) == 1


def test_a_server_with_another_token_is_told(addon: Any, picture: Path, current: Any) -> None:
    addon.start_server()
    current.desk.server.client._token = "not the token it was given"
    with pytest.raises(SetDresserError) as caught:
        addon.generate(source=picture, pipeline="test-box")
    assert caught.value.code == "token-wrong"


def test_the_slices_of_a_job_are_short(addon: Any, picture: Path, current: Any) -> None:
    addon.start_server()
    current.line.slices.seconds.clear()
    addon.generate(source=picture, pipeline="test-box", parameters={"seconds": 1.0})
    assert len(current.line.slices.seconds) > 20
    assert len(current.line.imports.seconds) == 1
    assert current.line.slices.percentile(95) <= 0.010


def test_no_blender_object_is_kept_between_ticks(addon: Any, picture: Path, current: Any) -> None:
    """Undo and loading a file free them; who keeps one crashes."""
    addon.generate(objects=[bpy.data.objects["Cube"]], pipeline="test-box")
    seen: list[int] = []

    def look(value: Any) -> None:
        if id(value) in seen:
            return
        seen.append(id(value))
        assert not isinstance(value, bpy.types.bpy_struct), value
        if isinstance(value, dict):
            for each in value.values():
                look(each)
        elif isinstance(value, (list, tuple, set)):
            for each in value:
                look(each)
        elif hasattr(value, "__dict__") and type(value).__module__.startswith("blender_addon"):
            look(vars(value))

    look(current)
    assert len(seen) > 50


def test_the_tick_is_a_timer_only_while_it_is_needed(
    addon: Any, picture: Path, current: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick, "timers_fire", lambda: True)
    timers = bpy.app.timers
    assert not timers.is_registered(tick._tick)
    start(addon, picture)
    assert timers.is_registered(tick._tick)
    assert session._tick() <= tick.FOLLOWING
    addon.shutdown()
    assert session._tick() is None


def test_a_tick_that_fails_is_told_and_goes_on(addon: Any, current: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(budget: float = 0.0) -> float:
        raise RuntimeError("broken")

    monkeypatch.setattr(current, "pump", fail)
    monkeypatch.setattr(current, "busy", lambda: True)
    assert session._tick() == tick.WATCHING
    assert "broken" in current.desk.problem.message


def test_leaving_ends_the_server(addon: Any, picture: Path, current: Any) -> None:
    start(addon, picture, seconds=600)
    pump_until(lambda: current.desk.server.state is ServerState.READY, "the server")
    pid = current.desk.server.pid
    current.close()
    assert is_gone(pid)
    assert not folders.temporary().exists()
