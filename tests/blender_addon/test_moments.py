"""Nothing renders, imports or waits in the middle of something that Blender does."""

from __future__ import annotations

import re
import threading
import time
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon.capture import rendering
from blender_addon.capture.intrinsics import CaptureError
from blender_addon.ground import moments
from blender_addon.ground.messages import SetDresserError

ASKED = ["render_init", "render_pre", "render_post", "frame_change_pre", "frame_change_post", "depsgraph_update_post"]


def _happens(name: str) -> None:
    scene = bpy.context.scene
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    if name.startswith("render"):
        bpy.ops.render.render()
    elif name.startswith("frame"):
        scene.frame_set(scene.frame_current + 1)
    else:
        bpy.data.objects["Cube"].location.x += 1
        bpy.context.view_layer.update()


@pytest.mark.parametrize("name", ASKED)
def test_a_handler_that_asks_for_props_gets_a_sentence(addon: Any, name: str) -> None:
    told: list[SetDresserError] = []

    def asks(*_: object) -> None:
        try:
            addon.generate(objects=[bpy.data.objects["Cube"]], wait=False)
        except SetDresserError as error:
            told.append(error)

    handlers = getattr(bpy.app.handlers, name)
    handlers.append(asks)
    try:
        _happens(name)
    finally:
        handlers.remove(asks)
    assert told and all(isinstance(error, CaptureError) and error.hint for error in told)
    assert re.search(r"in the middle of (a (?![aeiou])|an (?=[aeiou])|the )", told[0].message)
    assert addon.jobs(refresh=False) == []
    assert moments.misplaced() == "" and moments.capture_hindrance() == "" and moments.import_hindrance() == ""


def test_a_handler_that_waits_gets_a_sentence_at_once(addon: Any) -> None:
    told: list[SetDresserError] = []

    def waits(*_: object) -> None:
        try:
            addon.jobs()
        except SetDresserError as error:
            told.append(error)

    bpy.app.handlers.frame_change_post.append(waits)
    try:
        _happens("frame_change_post")
    finally:
        bpy.app.handlers.frame_change_post.remove(waits)
    assert [error.code for error in told] == ["moment"]


@pytest.mark.parametrize("event", ["undo", "load", "save"])
def test_file_and_undo_are_over_when_they_are(addon: Any, tmp_path: Any, event: str) -> None:
    path = str(tmp_path / "file.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    if event == "undo":
        for message in ("a", "b"):
            bpy.ops.ed.undo_push(message=message)
        bpy.ops.ed.undo()
    elif event == "load":
        bpy.ops.wm.open_mainfile(filepath=path)
        with pytest.raises(RuntimeError):
            bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "none.blend"))
    assert moments.misplaced() == ""


def test_a_thread_that_asks_gets_a_sentence(addon: Any) -> None:
    told = []
    thread = threading.Thread(target=lambda: told.append(moments.misplaced()))
    thread.start()
    thread.join(5)
    assert told[0].startswith("Blender calls this")


@pytest.mark.parametrize("kind", list(moments.JOBS))
def test_a_job_of_blender_is_waited_for(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    running = {kind}
    app = SimpleNamespace(background=False, is_job_running=running.__contains__)
    manager = SimpleNamespace(windows=[])
    context = SimpleNamespace(mode="OBJECT", window_manager=manager)
    monkeypatch.setattr(moments, "bpy", SimpleNamespace(app=app, context=context))
    assert moments.capture_hindrance() == moments.import_hindrance() == moments.JOBS[kind]
    running.clear()
    assert moments.capture_hindrance() == moments.import_hindrance() == ""
    tool = SimpleNamespace(bl_idname="TRANSFORM_OT_translate")
    manager.windows = [SimpleNamespace(modal_operators=[tool])]
    assert "Finish moving" in moments.capture_hindrance() and "Finish moving" in moments.import_hindrance()


def test_every_kind_of_job_is_one_that_blender_has() -> None:
    for kind in moments.JOBS:
        assert bpy.app.is_job_running(kind) is False


def test_a_render_is_held_until_the_main_loop_has_been_round() -> None:
    """Blender 4 crashes if its main loop takes the context of the graphics card from a render at the wrong moment."""
    watch = rendering._Watch(1, hold=True)
    render = threading.Thread(target=watch.begun, args=(SimpleNamespace(session_uid=1),), daemon=True)
    render.start()
    render.join(0.1)
    assert render.is_alive(), "it went on at once"
    watch.go_on()
    render.join(5.0)
    assert not render.is_alive() and not watch.displaced


def test_a_render_that_nobody_lets_go_of_goes_on_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "HOLD_SECONDS", 0.05)
    watch = rendering._Watch(1, hold=True)
    watch.begun(SimpleNamespace(session_uid=1))
    assert watch.displaced


def _a_blender_that_renders(monkeypatch: pytest.MonkeyPatch) -> Any:
    """In place of the module: what `rendering` asks of a window while a render runs."""
    handlers = SimpleNamespace(render_complete=[], render_cancel=[])
    timers = SimpleNamespace(register=lambda function, **_: handlers.later.append(function))
    handlers.later = []
    app = SimpleNamespace(is_job_running=lambda kind: kind == "RENDER", handlers=handlers, timers=timers)
    monkeypatch.setattr(rendering, "bpy", SimpleNamespace(app=app))
    return handlers


def test_a_render_that_is_cancelled_as_it_begins_is_not_ended_before_it_has_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blender 4.3 crashes if it is."""
    _a_blender_that_renders(monkeypatch)
    watch, scene = rendering._Watch(1, hold=True), SimpleNamespace(session_uid=1)

    def renders() -> None:
        watch.begun(scene)
        time.sleep(0.1)
        watch.frame_changed(scene)

    render = threading.Thread(target=renders, daemon=True)
    render.start()
    with pytest.raises(rendering.Disturbed), watch.not_ended_too_soon():
        raise rendering.Disturbed
    assert watch.copied and not watch.displaced
    render.join(5.0)


@pytest.mark.parametrize("over", [False, True])
def test_a_cancelled_render_is_ended_later_and_no_other_one(over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    handlers = _a_blender_that_renders(monkeypatch)
    monkeypatch.setattr(rendering, "_end_render", lambda: ended.append(True))
    rendering._end_render_later(1)
    for each in handlers.render_complete:
        each(SimpleNamespace(session_uid=1 if over else 2))
    assert ended == []
    (later,) = handlers.later
    later()
    assert len(ended) == (not over)
    assert handlers.render_complete == handlers.render_cancel == []


def test_a_render_is_not_held_where_blender_keeps_its_context() -> None:
    watch = rendering._Watch(1, hold=False)
    watch.begun(SimpleNamespace(session_uid=1))
    assert not watch.displaced
