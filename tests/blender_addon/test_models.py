"""Models from the panel and from Python: the real backend, and a hub of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.backend_process.server_process import ServerState
from blender_addon.ground.messages import SetDresserError
from blender_addon.state.catalogue import models_of
from blender_addon.state.models import Model, at_fault
from blender_addon.ui import panels
from blender_addon.ui.panels import SET_DRESSER_PT_main, SET_DRESSER_PT_models
from blender_addon.ui.panels.models import models_hindrance, needed_models, progress_text, state_text
from blender_addon.work import line as line_module
from blender_addon.work import models as models_work
from tests.backend.downloads.hostile_hub import Fault, HostileHub
from tests.blender_addon.catalogue import take_preparations
from tests.blender_addon.drawing import PREPARATIONS
from tests.blender_addon.pumping import pump_until
from tests.blender_addon.recorder import Recorder
from tests.blender_addon.small_hub import LARGEST, small_hub

REACHED = 150_000


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileHub]:
    with small_hub(tmp_path, monkeypatch) as running:
        yield running


@pytest.fixture
def online(addon: Any) -> Iterator[None]:
    bpy.context.preferences.system.use_online_access = True
    yield
    bpy.context.preferences.system.use_online_access = False


def midi() -> Model:
    return session.current.desk.models.known["midi"]


def draw(panel: Any = SET_DRESSER_PT_models) -> Recorder:
    layout = Recorder()
    panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def press(button: str) -> None:
    getattr(bpy.ops.set_dresser, button)(model="midi")


def offered(layout: Recorder) -> set[str]:
    """The buttons for MIDI."""
    return {
        drawn.operator.removeprefix("set_dresser.")
        for drawn in layout.drawn
        if getattr(drawn, "operator", "").endswith(("_model", "_licence")) and drawn.given.model == "midi"
    }


def words(layout: Recorder) -> str:
    return layout.texts.replace("\n", " ")


def test_from_the_first_look_to_ready_and_away_again(hub: HostileHub, addon: Any, online: None) -> None:
    """Every button of the panel once, through a download that stalls half-way."""
    addon.start_server()
    layout = draw()
    assert "About 5.1 GB to download" in words(layout)
    assert "Licence: Apache-2.0" in words(layout) and "excludes the European Union" in words(layout)
    assert {"agree_to_licence", "download_model"} <= offered(layout)
    pages = [drawn.given.url for drawn in layout.drawn if getattr(drawn, "operator", "") == "wm.url_open"]
    assert any(page.startswith("http") and page.endswith("/VAST-AI/MIDI-3D") for page in pages)
    press("download_model")
    pump_until(lambda: session.current.desk.models.problem("midi"), "the refusal")
    assert session.current.desk.models.problem("midi").code == "licence-not-accepted"
    assert hub.requests() == []

    press("agree_to_licence")
    hub.faults[LARGEST] = [Fault(after=REACHED, stalls=True)]
    press("download_model")
    pump_until(lambda: midi().doing == "download" and midi().done > REACHED, "the first bytes")
    layout = draw()
    (bar,) = [drawn for drawn in layout.drawn if drawn.function == "progress"]
    assert bar.text.startswith(progress_text(midi())[:6]) and 0 < bar.factor < 1
    assert offered(layout) >= {"pause_model"} and "download_model" not in offered(layout)

    press("pause_model")
    pump_until(lambda: midi().state == "partial" and not midi().busy, "the pause")
    layout = draw()
    assert f"{midi().bytes / 1e3:.0f} kB of" in words(layout)
    assert not midi().licence_needed and "agree_to_licence" not in offered(layout), "accepted once"

    press("download_model")
    pump_until(lambda: midi().state == "ready" and not midi().busy, "the model")
    assert hub.sent_twice() == 0, "what had come was not fetched again"
    press("verify_model")
    pump_until(lambda: midi().verified, "the check")
    layout = draw()
    assert "every byte checked" in words(layout)
    assert {"verify_model", "remove_model"} <= offered(layout)
    press("remove_model")
    pump_until(lambda: midi().state == "absent", "the removal")
    assert not list(Path(midi().folder).rglob("*.safetensors"))


def test_python_downloads_and_the_pipeline_becomes_ready(hub: HostileHub, addon: Any, online: None) -> None:
    def ready() -> bool:
        return {view["id"]: view["ready"] for view in session.current.desk.pipelines}["midi"]

    states = {entry["id"]: entry["state"] for entry in addon.models()}
    assert {states.pop(name) for name in ("u2netp", "mira-small", "hull-prior")} == {"ready"}, "they come along"
    assert set(states.values()) == {"absent"}
    assert not ready()
    done = addon.download_model("midi", accept_licence=True)
    assert (done["state"], done["bytes"], done["message"]) == ("ready", done["total"], "")
    pump_until(ready, "the pipeline")
    assert addon.verify_model("midi")["verified"]
    assert addon.remove_model("midi")["state"] == "absent"


def test_a_list_from_before_a_press_does_not_undo_what_the_press_has_told(addon: Any, current: Any) -> None:
    """A list that was on its way when the button's answer came."""
    late = models_work.listener(current.line)
    models_work.take(current.line, [view_of("midi", "ready"), view_of("sam", "absent")])
    asked = models_work._ask(current.line, "midi", lambda client: SimpleNamespace())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(current.line, "ready_client", lambda: iter(()))
        patch.setattr(current.line.tasks, "finish", lambda exchange: iter(()))
        activity = {"kind": "verify", "stage": "queued"}
        patch.setattr(line_module, "answer", lambda _: view_of("midi", "ready", activity=activity))
        assert list(asked) == []
    late([view_of("midi", "absent"), view_of("sam", "ready")])
    assert (midi().state, midi().doing) == ("ready", "verify")
    assert current.desk.models.known["sam"].state == "ready"
    models_work.listener(current.line)([view_of("midi", "ready", verified="2026-01-01")])
    assert (midi().doing, midi().verified) == ("", "2026-01-01")


def test_who_waits_is_told_when_somebody_pauses(hub: HostileHub, addon: Any, online: None) -> None:
    hub.always[LARGEST] = Fault(after=REACHED, stalls=True)
    addon.start_server()

    def press_pause() -> Iterator[None]:
        while midi().done <= REACHED:
            yield
        press("pause_model")

    session.current.line.begin(press_pause(), session.current.desk.report)
    with pytest.raises(SetDresserError) as caught:
        addon.download_model("midi", accept_licence=True)
    assert caught.value.code == "paused"
    assert midi().state == "partial"


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault(status=403), "hub-access-denied"), (Fault(status=404), "hub-not-found")]
)
def test_what_the_hub_refuses_is_told_with_what_to_do(
    hub: HostileHub, addon: Any, online: None, fault: Fault, code: str
) -> None:
    hub.always["listing"] = fault
    with pytest.raises(SetDresserError) as caught:
        addon.download_model("midi", accept_licence=True)
    assert caught.value.code == code
    assert caught.value.hint in words(draw()) or caught.value.hint[:30] in words(draw())


def test_a_model_that_does_not_exist_is_told(addon: Any, online: None) -> None:
    with pytest.raises(SetDresserError) as caught:
        addon.download_model("no-such")
    assert caught.value.code == "model-not-found"


def test_without_online_access_nothing_is_asked_until_it_is_allowed(hub: HostileHub, addon: Any) -> None:
    """The backend is told too; allowing it later replaces the backend, since nothing runs in it."""
    assert not bpy.app.online_access
    addon.start_server()
    before = session.current.desk.server.pid
    environ = Path(f"/proc/{before}/environ")
    if environ.exists():
        assert b"SET_DRESSER_OFFLINE=1" in environ.read_bytes().split(b"\0")
    with pytest.raises(SetDresserError, match="not allowed to go online") as caught:
        addon.download_model("midi", accept_licence=True)
    assert caught.value.code == "offline" and "Allow Online Access" in caught.value.hint
    assert hub.requests() == []
    bpy.context.preferences.system.use_online_access = True
    try:
        assert addon.download_model("midi", accept_licence=True)["state"] == "ready"
        assert session.current.desk.server.pid != before
    finally:
        bpy.context.preferences.system.use_online_access = False


def test_switching_online_access_off_ends_a_download(hub: HostileHub, addon: Any, online: None) -> None:
    hub.always[LARGEST] = Fault(after=REACHED, stalls=True)
    addon.start_server()
    addon.download_model("midi", accept_licence=True, wait=False)
    pump_until(lambda: midi().done > REACHED, "the first bytes")
    before = session.current.desk.server.pid
    bpy.context.preferences.system.use_online_access = False
    pump_until(
        lambda: session.current.desk.server.state is ServerState.READY and session.current.desk.server.pid != before,
        "it",
    )
    pump_until(lambda: midi().state == "partial" and not midi().busy, "the end of the download")


def test_a_generation_without_its_model_offers_it(hub: HostileHub, addon: Any, picture: Path) -> None:
    with pytest.raises(SetDresserError) as caught:
        addon.generate(source=picture, pipeline="midi")
    assert (caught.value.code, at_fault(caught.value)) == ("weights-missing", "midi")
    pump_until(lambda: session.current.desk.models.known, "the list of models")
    layout = draw(SET_DRESSER_PT_main)
    assert caught.value.message[:40] in words(layout)
    assert "download_model" in offered(layout)


def test_what_would_fail_is_said_before_with_the_button(hub: HostileHub, addon: Any) -> None:
    addon.start_server()
    bpy.context.scene.set_dresser.pipeline_id = "midi"
    assert "midi" in needed_models(bpy.context.scene)
    assert panels.generate_hindrance(bpy.context) == "A model must be downloaded first: MIDI-3D"
    assert not bpy.ops.set_dresser.generate.poll()
    layout = draw(SET_DRESSER_PT_main)
    at = layout.buttons.index
    assert at("set_dresser.generate") < at("set_dresser.download_model")
    bpy.context.scene.set_dresser.pipeline_id = "inflate"
    assert panels.generate_hindrance(bpy.context) == ""
    assert offered(draw(SET_DRESSER_PT_main)) == set()


def test_models_that_only_a_choice_needs_count_too(addon: Any, current: Any) -> None:
    imagine = {"type": "string", "enum": ["a", "b"], "default": "a", "weights": {"a": ["one", "two"], "b": ["three"]}}
    views = [view for view in PREPARATIONS if view["id"] != "imagine"]
    views.append({"id": "imagine", "title": "Imagine", "parameters": {"properties": {"model": imagine}}})
    take_preparations(views)
    settings = bpy.context.scene.set_dresser
    settings.imagine = True
    assert needed_models(bpy.context.scene) == ["one", "two"]
    models_work.take(current.line, [view_of("one", "ready"), view_of("two", "partial"), view_of("three", "absent")])
    assert "Two" in models_hindrance(bpy.context.scene) and "One" not in models_hindrance(bpy.context.scene)
    bpy.context.scene.prepare_set_dresser_imagine.model = "b"
    assert "Three" in models_hindrance(bpy.context.scene)
    settings.imagine = False
    assert models_hindrance(bpy.context.scene) == ""


def test_a_choice_that_is_left_out_counts_as_its_default() -> None:
    view = {"weights": ["base"], "parameters": {"properties": {"m": {"default": "x", "weights": {"x": ["a", "base"]}}}}}
    assert models_of(view, {}) == ["base", "a"]
    assert models_of(view, {"m": "y"}) == ["base"]
    view["parameters"]["properties"]["m"]["weights_with"] = "words"
    assert models_of(view, {"words": " "}) == ["base"]
    assert models_of(view, {"words": "a chair"}) == ["base", "a"]


def test_a_folder_of_ones_own_holds_the_models(
    hub: HostileHub, addon: Any, online: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blender_addon.ground import preferences

    chosen = preferences.get()
    chosen.models_folder = str(tmp_path / "shared models")
    monkeypatch.setattr(preferences, "get", lambda: chosen)
    (tmp_path / "shared models").mkdir()
    entry = addon.download_model("midi", accept_licence=True)
    assert Path(entry["folder"]).is_relative_to(tmp_path / "shared models")
    assert (tmp_path / "shared models" / "VAST-AI" / "MIDI-3D" / LARGEST).is_file()


def view_of(identifier: str, state: str, **more: Any) -> dict[str, Any]:
    view = {"id": identifier, "title": identifier.capitalize(), "state": state, "licence": "MIT", "licence_note": ""}
    view |= {"page": "https://hub.example/one"}
    view |= {"licence_needed": False, "licence_accepted": False, "bytes": 10, "total": 5_070_000_000, "folder": "x"}
    return {**view, "ours": True, "verified": None, "problem": None, "activity": None, **more}


@pytest.mark.parametrize(
    ("activity", "text"),
    [
        ({"stage": "asking"}, "Asking the hub"),
        ({"stage": "elsewhere"}, "Another program is at it"),
        (
            {"stage": "fetching", "bytes": 320_000_000, "total": 5_070_000_000, "rate": 12e6, "eta": 396.0},
            "320 MB of 5.1 GB, 12 MB/s, 7 min left",
        ),
    ],
)
def test_progress_is_told_in_megabytes_rate_and_time(activity: dict[str, Any], text: str) -> None:
    model = Model.of_description(
        view_of("one", "downloading", activity={"kind": "download", "message": "", **activity})
    )
    assert progress_text(model) == text


@pytest.mark.parametrize("state", ["absent", "partial", "ready", "broken"])
def test_every_state_can_be_drawn_and_is_a_sentence(addon: Any, current: Any, state: str) -> None:
    problem = {"code": "weights-damaged", "detail": "A file is cut off.", "hint": "Download it again.", "status": 409}
    models_work.take(current.line, [view_of("midi", state, problem=problem if state == "broken" else None)])
    layout = draw()
    assert state_text(midi()) in words(layout)
    assert ("A file is cut off." in words(layout)) == (state == "broken")
    assert "verify_model" in offered(layout) if state == "ready" else "download_model" in offered(layout)


def test_a_backend_that_ends_leaves_no_download_that_seems_to_go_on(hub: HostileHub, addon: Any, online: None) -> None:
    hub.always[LARGEST] = Fault(after=REACHED, stalls=True)
    addon.start_server()
    addon.download_model("midi", accept_licence=True, wait=False)
    pump_until(lambda: midi().done > REACHED, "the first bytes")
    addon.shutdown()
    assert (midi().state, midi().busy, session.current.desk.models.busy) == ("partial", False, False)
    assert not session.current.line.tasks
