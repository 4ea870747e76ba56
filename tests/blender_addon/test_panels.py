"""What the artist sees in every state: the reason beside each grey button, and never a look at disk or network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.backend_process.installation import InstallationState
from blender_addon.backend_process.server_process import ServerState
from blender_addon.ground import moments
from blender_addon.ground.messages import SetDresserError
from blender_addon.settings import parameters, properties
from blender_addon.state.condition import condition
from blender_addon.ui import panels
from blender_addon.work import job_list
from tests.blender_addon.catalogue import take_pipelines, take_preparations
from tests.blender_addon.drawing import PIPELINES, PREPARATIONS, buttons_of, draw, mark, record
from tests.blender_addon.recorder import Recorder


@pytest.fixture(autouse=True)
def pipelines(addon: Any) -> None:
    take_pipelines(PIPELINES)
    take_preparations(PREPARATIONS)
    session.current.desk.set_up_problem = None


@pytest.fixture
def settings() -> Any:
    return bpy.context.scene.set_dresser


def test_at_first_everything_is_there_and_generate_is_ready() -> None:
    layout = draw()
    assert "Stopped" in layout.texts
    assert "1 selected" in layout.texts
    assert {"source", "camera", "instances", "pipeline", "detail", "seed"} <= set(layout.controls)
    assert {"set_dresser.generate", "set_dresser.start_server", "set_dresser.refresh"} <= set(layout.buttons)
    assert bpy.ops.set_dresser.generate.poll()


@pytest.mark.parametrize("state", list(ServerState))
def test_every_state_of_the_server_is_a_word_that_fits(state: ServerState) -> None:
    session.current.desk.server.state = state
    word = condition(session.current.desk).value.text
    assert word in draw().texts
    assert len(word) <= 13


def test_a_running_server_can_be_stopped() -> None:
    for state in (ServerState.STARTING, ServerState.READY, ServerState.UNREACHABLE):
        session.current.desk.server.state = state
        assert "set_dresser.stop_server" in draw().buttons
        assert "set_dresser.start_server" not in draw().buttons


def test_without_a_python_it_says_what_to_do() -> None:
    session.current.desk.set_up_problem = SetDresserError("No Python is chosen.", "Choose one in the preferences.")
    texts = draw().texts.replace("\n", " ")
    assert "not set up" in texts
    assert "Choose one in the preferences." in texts
    assert not bpy.ops.set_dresser.generate.poll()
    session.current.desk.installation.state = InstallationState.INSTALLING
    assert panels.generate_hindrance(bpy.context) == "The backend is being installed"


def _no_selection(settings: Any) -> None:
    bpy.ops.object.select_all(action="DESELECT")


def _no_camera(settings: Any) -> None:
    bpy.context.scene.camera = None


def _orthographic(settings: Any) -> None:
    bpy.context.scene.camera.data.type = "ORTHO"


def _no_collection(settings: Any) -> None:
    settings.instances = "COLLECTION"


def _empty_collection(settings: Any) -> None:
    settings.instances = "COLLECTION"
    settings.collection = bpy.data.collections.new("Empty")


def _no_file(settings: Any) -> None:
    settings.source = "FILE"


def _no_image(settings: Any) -> None:
    settings.source = "IMAGE"


def _no_labels(settings: Any) -> None:
    settings.source, settings.image_path, settings.labels = "FILE", "picture.png", "LABELS"


def _no_camera_to_match(settings: Any) -> None:
    settings.source, settings.image_path, settings.use_active_camera = "FILE", "picture.png", True
    bpy.context.scene.camera = None


def _nothing_to_find(settings: Any) -> None:
    settings.source, settings.image_path, settings.labels = "FILE", "picture.png", "FIND"


def _no_segment(settings: Any) -> None:
    _nothing_to_find(settings)
    take_preparations(PREPARATIONS[1:])


def _no_imagine(settings: Any) -> None:
    settings.imagine = True
    take_preparations(PREPARATIONS[:1])


def _imagine_not_ready(settings: Any) -> None:
    settings.imagine = True
    take_preparations([{**PREPARATIONS[1], "ready": False, "weights": ["sdxl"]}])


def _no_words(settings: Any) -> None:
    settings.source, settings.text = "TEXT", "  "


def _no_text(settings: Any) -> None:
    settings.source, settings.text = "TEXT", "a cup"
    take_preparations(PREPARATIONS[:2])


def _text_for_a_pipeline_of_photos(settings: Any) -> None:
    settings.source, settings.text = "TEXT", "a cup"
    take_pipelines([{**PIPELINES[0], "images": {"least": 2, "most": 4}}])


def _pipeline_not_ready(settings: Any) -> None:
    take_pipelines([{**PIPELINES[0], "ready": False, "weights": ["one"]}])


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_no_selection, "Select the objects of your block-out"),
        (_no_camera, "The scene has no active camera"),
        (_orthographic, "not a perspective camera"),
        (_no_collection, "Choose the collection"),
        (_empty_collection, "The collection is empty"),
        (_no_file, "Choose an image file"),
        (_no_image, "Choose an image"),
        (_no_labels, "Choose a label image"),
        (_no_camera_to_match, "The scene has no active camera"),
        (_nothing_to_find, "Write what to find, or draw boxes"),
        (_no_segment, "This backend cannot find objects"),
        (_no_imagine, "This backend has nothing called Imagine, which is switched on"),
        (_imagine_not_ready, "Imagine cannot run yet: weights are missing (sdxl)"),
        (_no_words, "Write what is to be made"),
        (_no_text, "This backend cannot paint pictures from a text"),
        (_text_for_a_pipeline_of_photos, "One takes at least 2 pictures, and there is one"),
        (_pipeline_not_ready, "One cannot run yet: weights are missing (one)"),
    ],
)
def test_a_grey_generate_says_why(settings: Any, make: Any, reason: str) -> None:
    make(settings)
    assert reason in draw().texts.replace("\n", " ")
    assert not bpy.ops.set_dresser.generate.poll()


def test_every_source_draws_its_own_controls(settings: Any) -> None:
    settings.source = "FILE"
    settings.labels = "LABELS"
    assert {"image_path", "labels_path", "use_active_camera"} <= set(draw().controls)
    settings.source = "IMAGE"
    chosen = [drawn.property for drawn in draw().drawn if drawn.function == "template_ID"]
    assert chosen == ["image", "labels_image"]
    settings.labels = "FIND"
    layout = draw()
    assert {"labels", "threshold"} <= set(layout.controls)
    assert {"set_dresser.add_box", "set_dresser.remove_box", "set_dresser.draw_boxes"} <= set(layout.buttons)
    settings.source, settings.instances = "CAMERA", "COLLECTION"
    settings.collection = bpy.data.collections["Collection"]
    layout = draw()
    assert "collection" in layout.controls
    assert "1 object" in layout.texts, "lights and cameras are no block-out"


def test_text_draws_its_sentence_and_how_to_paint_and_no_camera(settings: Any) -> None:
    settings.source, settings.use_active_camera, settings.text = "TEXT", True, "a cup"
    layout = draw()
    assert {"source", "text", "height", "place_at", "candidates"} <= set(layout.controls)
    assert not {"prompt", "use_active_camera", "labels", "camera", "image_path"} & set(layout.controls)
    texts = layout.texts.replace("\n", " ")
    assert "How to Paint" in texts and "Licence: Read Attachment A." in texts
    assert "seed" in layout.controls, "another seed paints another picture"
    assert bpy.ops.set_dresser.generate.poll()


def test_text_is_offered_with_pipelines_that_are_content_with_one_picture(settings: Any) -> None:
    def offered() -> list[str]:
        return [item[0] for item in properties._sources(settings, bpy.context)]

    assert offered() == ["CAMERA", "FILE", "IMAGE", "TEXT"]
    take_pipelines([{**PIPELINES[0], "images": {"least": 1, "most": 4}}])
    assert offered() == ["CAMERA", "FILE", "IMAGE", "TEXT", "PHOTOS"]
    take_pipelines([{**PIPELINES[0], "images": {"least": 2, "most": 4}}])
    assert offered() == ["CAMERA", "FILE", "IMAGE", "PHOTOS"]
    settings.source_id = "TEXT"
    assert settings.source == "TEXT" and "TEXT" in offered(), "what is chosen stays"


def test_imagine_is_off_and_draws_its_parameters_and_notes(settings: Any) -> None:
    layout = draw()
    assert not settings.imagine
    assert {"imagine", "prompt"} <= set(layout.controls)
    texts = layout.texts.replace("\n", " ")
    assert "Wants 12 GB of GPU memory" in texts
    assert "Licence: Not for everything." in texts
    settings.source = "FILE"
    assert "imagine" not in draw().controls


def test_what_is_lacking_is_said_before_it_is_switched_on() -> None:
    take_preparations([{**PREPARATIONS[1], "ready": False, "weights": ["sdxl"]}])
    assert "Imagine cannot run yet: weights are missing (sdxl)" in draw().texts.replace("\n", " ")
    assert bpy.ops.set_dresser.generate.poll()


def test_a_step_that_is_not_there_is_not_drawn_unless_a_file_has_it_switched_on(settings: Any) -> None:
    take_preparations([])
    assert "imagine" not in draw().controls
    settings.imagine = True
    assert "imagine" in draw().controls, "it can be switched off"
    settings.source = "FILE"
    assert "imagine" not in draw().controls


def test_a_limit_on_objects_is_said() -> None:
    take_pipelines([{**PIPELINES[0], "most_instances": 7}])
    assert "Up to 7 objects at once" in draw().texts


def test_the_parameters_are_the_chosen_pipelines(settings: Any) -> None:
    settings.pipeline = "test-two"
    assert "detail" not in draw().controls
    settings.pipeline = "test-one"
    assert "detail" in draw().controls


def test_a_pipeline_that_is_gone_gives_way_to_the_first(settings: Any) -> None:
    settings.pipeline = "test-two"
    session.current.desk.pipelines = PIPELINES[:1]
    parameters.pipelines.register([("test-one", PIPELINES[0]["parameters"])])
    assert "detail" in draw().controls


def test_without_a_list_of_pipelines_it_says_when_there_will_be_one() -> None:
    session.current.desk.pipelines = []
    assert "once the backend has run" in draw().texts.replace("\n", " ")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"state": "preparing"}, "Waiting for the backend"),
        ({"state": "sending"}, "Sending"),
        ({"state": "queued"}, "Queued"),
        ({"state": "queued", "position": 2}, "Queued, 2 before it"),
        ({"state": "running"}, "Starting, 0%"),
        ({"state": "running", "stage": "surface", "fraction": 0.4, "eta": 12.3}, "Surface, 40%, 12 s left"),
        (
            {"state": "running", "stage": "surface", "message": "Lamp", "fraction": 0.5, "eta": 300},
            "Surface, 50%, 5 min left",
        ),
        ({"state": "running", "cancelling": True}, "Cancelling"),
        ({"state": "needs_input"}, "Waiting for an answer"),
    ],
)
def test_a_running_job_shows_where_it_is(values: dict[str, Any], text: str) -> None:
    record(**values)
    layout = draw()
    (bar,) = [drawn for drawn in layout.drawn if drawn.function == "progress"]
    assert bar.text == text
    (button,) = [drawn for drawn in layout.drawn if getattr(drawn, "operator", "") == "set_dresser.cancel"]
    assert button.given.job == "abc"


def test_a_job_that_says_much_of_its_step_leaves_room_for_the_rest() -> None:
    losses = ", ".join(f"loss_{number} 0.12345" for number in range(30))
    record(state="running", stage="coarse", message=f"Vase, step 11 of 5000, {losses}")
    texts = draw().texts
    assert "Vase, step 11 of" in texts and texts.count("loss_") < 5 and "…" in texts


@pytest.mark.parametrize("state", ["queued", "running"])
@pytest.mark.parametrize("kind", ["waiting", "problem"])
def test_a_queued_job_says_why_nothing_is_run(state: str, kind: str) -> None:
    record(state=state)
    session.current.desk.health = {kind: {"detail": "No worker starts (it is broken).", "hint": "Look into the log."}}
    texts = draw().texts.replace("\n", " ")
    assert ("No worker starts (it is broken). Look into the log." in texts) == (state == "queued")
    session.current.desk.health = {"waiting": None, "problem": None}
    assert "No worker starts" not in draw().texts


@pytest.mark.parametrize(("arrival", "text"), [("fetching", "Fetching the result"), ("waiting", "Waiting")])
def test_a_result_on_its_way_is_shown(monkeypatch: pytest.MonkeyPatch, arrival: str, text: str) -> None:
    made = record(state="done", arrival=arrival)
    made.task = iter(())  # type: ignore[assignment]
    monkeypatch.setattr(moments, "import_hindrance", lambda: "Leave Edit Mode")
    texts = draw().texts
    assert text in texts
    assert ("Leave Edit Mode" in texts) == (arrival == "waiting")
    (bar,) = [drawn for drawn in draw().drawn if drawn.function == "progress"]
    assert (bar.factor < 1.0) == (arrival == "waiting"), "a full bar says that nothing is left to do"


def test_the_list_offers_what_can_be_done_with_the_job_that_is_marked() -> None:
    record(id="a", state="done", files=["result.json"])
    record(id="b", state="failed", problem=SetDresserError("It was too dark.", "Add a light."))
    record(id="c", state="cancelled")
    mark("a")
    layout = draw()
    assert [drawn.rows for drawn in layout.drawn if drawn.function == "template_list"] == [5]
    for operator in ("import_job", "restore_settings", "delete_job"):
        assert buttons_of(layout, f"set_dresser.{operator}") == ["a"]
    mark("b")
    layout = draw()
    assert buttons_of(layout, "set_dresser.import_job") == []
    texts = layout.texts.replace("\n", " ")
    assert "It was too dark." in texts
    assert "Add a light." in texts


def test_a_row_tells_title_and_time_and_what_was_marked_stays_marked() -> None:
    then = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
    record(id="a", name="Sofa, Rug + 4", state="done", created=then)
    mark("a")
    row = Recorder()
    panels.jobs.SET_DRESSER_UL_jobs.draw_item(
        None, bpy.context, row, None, bpy.context.window_manager.set_dresser_jobs[0], 0, None, ""
    )
    assert row.texts.splitlines() == ["Sofa, Rug + 4", "3 min ago"]
    session.current.desk.jobs = {"b": record(id="b", state="done"), **session.current.desk.jobs}
    job_list.sync(session.current.desk)
    assert job_list.active(session.current.desk).id == "a"


def test_the_last_error_is_shown_with_what_to_do(current: Any) -> None:
    current.desk.report(SetDresserError("The picture is cut off.", "Export it again.", "image-truncated", "HTTP 422"))
    layout = draw()
    assert "The picture is cut off." in layout.texts
    assert "Export it again." in layout.texts
    assert bpy.ops.set_dresser.copy_error.poll()
    bpy.ops.set_dresser.dismiss_error()
    assert "The picture is cut off." not in draw().texts
    assert not bpy.ops.set_dresser.copy_error.poll()


def test_long_sentences_are_wrapped() -> None:
    layout = Recorder()
    context = SimpleNamespace(region=SimpleNamespace(width=250), preferences=bpy.context.preferences)
    panels.draw_text(layout, context, "a long sentence about a small thing " * 4, icon="ERROR")
    lines = [drawn.text for drawn in layout.drawn if drawn.function == "label"]
    assert len(lines) > 3
    assert " ".join(lines) == ("a long sentence about a small thing " * 4).strip()


def settings_of_file() -> dict[str, Any]:
    settings = bpy.context.scene.set_dresser
    return {each.identifier: getattr(settings, each.identifier) for each in settings.bl_rna.properties}


def test_drawing_changes_nothing(current: Any) -> None:
    record(state="running")
    before = repr(vars(current.desk)), settings_of_file()
    draw()
    assert (repr(vars(current.desk)), settings_of_file()) == before
