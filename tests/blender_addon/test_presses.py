"""A press: its error goes with the next one and brings the button that mends it; its result stands at the button."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.api import block_outs as block_outs_api
from blender_addon.api import remaking
from blender_addon.capture.block_outs import HIDDEN
from blender_addon.ground import folders
from blender_addon.ground.messages import SetDresserError
from blender_addon.ground.references import Place, Reference
from blender_addon.settings import parameters, preparing
from blender_addon.state import listing
from blender_addon.state.job import JobRecord
from blender_addon.ui.operators import models as model_buttons
from blender_addon.ui.operators.base import LONGEST_REPORT, tell
from blender_addon.ui.panels import fields, generate_hindrance
from blender_addon.ui.panels.cures import CURES
from blender_addon.work import jobs as jobs_work
from blender_addon.work import restoring, results
from tests.blender_addon.catalogue import take_pipelines, take_preparations
from tests.blender_addon.drawing import PIPELINES, draw
from tests.blender_addon.recorder import Recorder

SCHEMA = {
    "properties": {
        "quality": {"type": "string", "enum": ["draft", "final"], "default": "draft", "prominent": True},
        "steps": {"type": "integer", "default": 0, "special": {"value": 0, "title": "Auto", "otherwise": 30}},
        "model": {"type": "string", "enum": ["sdxl"], "default": "sdxl", "titles": {"sdxl": "SDXL"}},
        "faces": {"type": "integer", "default": 5, "prominent": True},
        "prompt": {"type": "string", "default": "", "examples": ["an attic"]},
    }
}
MARKED = {"id": "marked", "title": "Marked", "description": "", "chance": False, "parameters": SCHEMA}
PLAIN = {**PIPELINES[0], "chance": True}


@pytest.fixture(autouse=True)
def ready(addon: Any) -> None:
    take_pipelines([MARKED, PLAIN])
    session.current.desk.set_up_problem = None


@pytest.fixture
def settings() -> Any:
    return bpy.context.scene.set_dresser


def begun(**values: Any) -> JobRecord:
    """A job of this Blender, done."""
    place = Place.of(bpy.context.scene, bpy.context.view_layer)
    record = JobRecord(**{"id": "abc", "state": "done", "pipeline": "marked", "place": place, **values})
    session.current.desk.jobs = {record.id: record, **session.current.desk.jobs}
    session.current.desk.pressed = record
    return record


def problem(code: str = "image-empty") -> SetDresserError:
    return SetDresserError("It was too dark.", "Add a light.", code)


def texts() -> str:
    return draw().texts.replace("\n", " ")


def shipped() -> list[dict[str, Any]]:
    """What a user without any backend begins with."""
    folders._kept("pipelines").unlink()
    return folders.read_descriptions("pipelines")


# errors


def test_an_error_goes_with_the_next_press_and_stays_for_the_buttons_about_it(current: Any) -> None:
    current.desk.report(problem())
    bpy.ops.set_dresser.copy_error()
    assert "It was too dark." in texts()
    bpy.ops.set_dresser.new_seed()
    assert "It was too dark." not in texts()


def test_an_error_goes_when_the_same_thing_succeeds_and_not_when_another_does(current: Any) -> None:
    current.desk.report(problem(), "job-1")
    current.desk.settle("job-2")
    assert current.desk.problem is not None
    current.desk.settle("job-1")
    assert current.desk.problem is None


def test_a_new_job_takes_the_error_of_the_last_one_off(current: Any) -> None:
    current.desk.report(problem())
    jobs_work.make(current.desk, name="Next")
    assert current.desk.problem is None


@pytest.mark.parametrize("pressed", [True, False])
def test_a_press_tells_in_a_short_line_and_a_script_gets_all_of_it(pressed: bool) -> None:
    told: list[tuple[set[str], str]] = []
    operator: Any = SimpleNamespace(
        options=SimpleNamespace(is_invoke=pressed), report=lambda kind, text: told.append((kind, text))
    )
    error = SetDresserError("It was too dark to see anything in this picture. " * 4, "Add a light.")
    tell(operator, error)
    ((kind, text),) = told
    if pressed:
        assert (kind, len(text) <= LONGEST_REPORT) == ({"WARNING"}, True), "an error would open a pop-up"
    else:
        assert kind == {"ERROR"}
        assert text.endswith("Add a light.")


@pytest.mark.parametrize("code", CURES)
def test_an_error_that_blender_can_mend_has_the_button(current: Any, code: str) -> None:
    assert CURES[code].operator not in draw().buttons
    current.desk.report(problem(code))
    assert CURES[code].operator in draw().buttons


def test_without_a_camera_the_button_for_one_stands_at_generate() -> None:
    bpy.context.scene.camera = None
    assert "set_dresser.add_camera" in draw().buttons
    bpy.context.scene.camera = bpy.data.objects["Camera"]
    bpy.data.cameras["Camera"].type = "ORTHO"
    assert "wm.context_set_enum" in draw().buttons


def test_going_online_is_allowed_by_the_button(current: Any) -> None:
    system = bpy.context.preferences.system
    former = system.use_online_access
    try:
        system.use_online_access = False
        if bpy.app.online_access_override:
            with pytest.raises(RuntimeError, match="started offline"):
                bpy.ops.set_dresser.allow_online()
        else:
            current.desk.installation.problem = problem("online-access")
            bpy.ops.set_dresser.allow_online()
            assert bpy.app.online_access
            assert current.desk.installation.problem is None, "it is still said that Blender must not go online"
    finally:
        system.use_online_access = former


def test_the_tooltip_of_a_grey_download_says_what_is_missing(current: Any) -> None:
    locked = SimpleNamespace(id="m", licence_needed=True)
    current.desk.models.known["m"] = locked
    button = model_buttons.SET_DRESSER_OT_download_model
    assert button.description(bpy.context, SimpleNamespace(model="m")).startswith("Read the licence and tick")
    current.desk.models.agreed.add("m")
    assert "tick" not in button.description(bpy.context, SimpleNamespace(model="m"))


# before the press


def test_a_camera_alone_is_no_block_out() -> None:
    bpy.ops.object.select_all(action="DESELECT")
    bpy.data.objects["Camera"].select_set(True)
    assert generate_hindrance(bpy.context) == "Nothing that is selected can become a prop"
    assert not bpy.ops.set_dresser.generate.poll()


def test_three_parameters_stand_above_generate_and_the_rest_below(settings: Any) -> None:
    take_preparations([])
    settings.pipeline = "marked"
    order = [drawn.property for drawn in draw().drawn if drawn.function == "prop"]
    pressed = [drawn.function == "operator" and drawn.operator == "set_dresser.generate" for drawn in draw().drawn]
    before = [drawn.property for drawn in draw().drawn[: pressed.index(True)] if drawn.function == "prop"]
    assert order.index("pipeline") < order.index("source") < order.index("quality")
    assert {"quality", "faces"} <= set(before)
    assert not {"model", "prompt", "steps", "steps_is_special"} & set(before)
    assert {"model", "prompt", "steps_is_special", "picture_quality", "hide_block_outs", "keep_moves"} <= set(order)


def test_nought_reads_auto_and_a_number_comes_with_a_click(settings: Any) -> None:
    settings.pipeline = "marked"
    holder = parameters.pipelines.group(bpy.context.scene, "marked")
    assert holder.bl_rna.properties["steps_is_special"].name == "Auto"
    assert "steps" not in draw().controls
    holder.steps_is_special = False
    assert (holder.steps, "steps" in draw().controls) == (30, True)
    assert parameters.pipelines.values(bpy.context.scene, "marked")["steps"] == 30
    holder.steps_is_special = True
    assert parameters.pipelines.values(bpy.context.scene, "marked")["steps"] == 0
    holder.steps = 12
    assert not holder.steps_is_special, "scripts and older files set the number alone"


def test_choices_have_their_own_capitals_and_texts_an_example(settings: Any) -> None:
    take_preparations([])
    holder = parameters.pipelines.group(bpy.context.scene, "marked")
    assert [item.name for item in holder.bl_rna.properties["model"].enum_items] == ["SDXL"]
    settings.pipeline = "marked"
    (prompt,) = [drawn for drawn in draw().drawn if getattr(drawn, "property", "") == "prompt"]
    known = bpy.types.UILayout.bl_rna.functions["prop"].parameters
    assert getattr(prompt, "placeholder", "") == ("an attic" if "placeholder" in known else "")


def test_a_seed_is_offered_where_chance_has_a_part_and_the_dice_throws_another(settings: Any) -> None:
    settings.pipeline = "marked"
    assert "seed" not in draw().controls
    settings.imagine = True
    assert preparing.has_chance(bpy.context.scene), "the picture is painted by chance"
    settings.imagine = False
    settings.pipeline = "test-one"
    assert {"set_dresser.new_seed"} <= set(draw().buttons)
    assert "seed" in draw().controls
    former = settings.seed
    bpy.ops.set_dresser.new_seed()
    assert settings.seed != former


def test_photos_are_recommended_only_where_they_are_not_chosen(settings: Any) -> None:
    take_pipelines([{**MARKED, "images": {"least": 1, "most": 4}}])
    assert "choose Photos as the source" in texts()
    settings.source = "PHOTOS"
    assert "choose Photos as the source" not in texts()


@pytest.mark.parametrize("width", [180, 300])
def test_no_name_is_wider_than_its_place(width: int) -> None:
    context: Any = SimpleNamespace(
        region=SimpleNamespace(width=width), preferences=bpy.context.preferences, scene=bpy.context.scene
    )
    take_pipelines(shipped())
    method, layout = "inflate", Recorder()
    for attribute in parameters.pipelines.attributes(method):
        fields.draw_parameter(layout, context, parameters.pipelines, method, attribute)
    labels = [drawn.text for drawn in layout.drawn if drawn.function == "label"]
    beside = [drawn for drawn in layout.drawn if drawn.function == "prop" and not hasattr(drawn, "text")]
    assert beside
    for name in labels:
        assert fields.text_width(name) <= fields.room(context)
    if width == 300:
        names = [drawn.data.bl_rna.properties[drawn.property].name for drawn in beside]
        assert all(fields.text_width(name) <= 0.4 * fields.room(context) for name in names)


def test_inflate_is_there_before_the_backend_ever_ran() -> None:
    (view,) = shipped()
    assert (view["id"], view["ready"]) == ("inflate", True)


# after the press


def test_the_result_stands_at_the_button_and_a_click_selects(addon: Any) -> None:
    cube, camera = bpy.data.objects["Cube"], bpy.data.objects["Camera"]
    record = begun(props=[Reference.of(cube)], import_count=1, left_out=[Reference.of(camera)])
    record.warnings.append({"message": "The camera sees little of Lamp."})
    layout = draw()
    shown = [drawn for drawn in layout.drawn if getattr(drawn, "operator", "") == "set_dresser.select_outcome"]
    assert [drawn.text for drawn in shown] == ["1 prop, 6 faces", "1 left out: Camera"]
    assert "The camera sees little of Lamp." in texts()
    bpy.ops.set_dresser.select_outcome(job="abc", left_out=True)
    assert bpy.context.selected_objects == [camera]
    bpy.ops.set_dresser.select_outcome(job="abc")
    assert bpy.context.selected_objects == [cube]
    bpy.data.objects.remove(cube)
    with pytest.raises(RuntimeError, match="not in this scene any more"):
        bpy.ops.set_dresser.select_outcome(job="abc")
    assert session.current.desk.problem.code == "outcome-gone"


def test_the_result_goes_with_the_next_press_and_comes_back_with_its_import(addon: Any, current: Any) -> None:
    cube = bpy.data.objects["Cube"]
    older = begun(props=[Reference.of(cube)], import_count=1)
    newer = begun(id="def", props=[Reference.of(cube)], import_count=1)

    def shown() -> list[str]:
        all_drawn = draw().drawn
        return [each.given.job for each in all_drawn if getattr(each, "operator", "") == "set_dresser.select_outcome"]

    assert shown() == ["def"]
    jobs_work.bring_in(current.line, older)
    jobs_work.stop(current.line, older)
    assert shown() == ["abc"]
    pressed = jobs_work.make(current.desk, place=newer.place)
    for state in ("capturing", "failed", "cancelled"):
        pressed.state = state
        assert shown() == []
    begun(id="ghi", props=[Reference.of(cube)], import_count=1)
    with pytest.raises(SetDresserError):
        addon.generate(objects=[], wait=False)
    assert shown() == []


@pytest.mark.parametrize(
    ("names", "said"), [([], ""), (["Sofa"], "Sofa"), (["Sofa", "Rug"], "Sofa, Rug"), (list("abcdef"), "a, b + 4")]
)
def test_a_job_is_called_after_its_block_outs(names: list[str], said: str) -> None:
    assert listing.title(names) == said


def test_jobs_that_wait_are_counted_at_the_button() -> None:
    for number in range(3):
        begun(id=str(number), state="queued", position=number)
    assert listing.waiting(session.current.desk) == 3
    assert "3" in draw().texts.splitlines()


def test_the_settings_of_a_job_come_back(settings: Any) -> None:
    request = {"pipeline": "marked", "parameters": {"faces": 77, "quality": "gone"}, "seed": 9, "prepare": {}}
    begun(request=request)
    settings.pipeline = "test-one"
    bpy.ops.set_dresser.restore_settings(job="abc")
    holder = parameters.pipelines.group(bpy.context.scene, "marked")
    assert (settings.pipeline, settings.seed, holder.faces, holder.quality) == ("marked", 9, 77, "draft")


def test_the_settings_of_a_job_of_another_day_are_read_from_its_result(current: Any, settings: Any) -> None:
    record = begun(files=["result.json"])
    result = {"pipeline": {"id": "marked"}, "parameters": {"faces": 8}, "seed": 3, "inputs": [{"role": "depth"}]}
    path = results.folder_of(record.id) / "result.json"
    path.write_text(json.dumps(result))
    settings.source = "FILE"
    bpy.ops.set_dresser.restore_settings(job="abc")
    assert (settings.seed, settings.source) == (3, "CAMERA")
    assert parameters.pipelines.values(bpy.context.scene, "marked")["faces"] == 8


def test_the_sentence_of_a_job_comes_back(current: Any, settings: Any) -> None:
    begun(request={"pipeline": "marked", "parameters": {}, "seed": 1, "prepare": {"text": {"prompt": "a red cup"}}})
    bpy.ops.set_dresser.restore_settings(job="abc")
    assert (settings.source, settings.text) == ("TEXT", "a red cup")
    current.desk.jobs.clear()
    record = begun(files=["result.json"])
    result = {"pipeline": {"id": "marked"}, "parameters": {}, "seed": 3, "inputs": []}
    result["prepared"] = {"text": {"parameters": {"prompt": "a blue cup"}}}
    path = results.folder_of(record.id) / "result.json"
    path.write_text(json.dumps(result))
    settings.source = "FILE"
    bpy.ops.set_dresser.restore_settings(job="abc")
    assert (settings.source, settings.text) == ("TEXT", "a blue cup")
    path.write_text(json.dumps({**result, "prepared": {}, "inputs": [{"role": "image"}]}))
    bpy.ops.set_dresser.restore_settings(job="abc")
    assert settings.source == "CAMERA", "it was no text"


def test_settings_that_nobody_has_kept_are_told(current: Any) -> None:
    record = begun(state="failed")
    assert restoring.hindrance(record)
    with pytest.raises(RuntimeError, match="Nothing is kept"):
        bpy.ops.set_dresser.restore_settings(job="abc")
    assert current.desk.problem.code == "settings-unknown"


def test_a_prop_without_chance_has_no_new_variant_but_other_settings(addon: Any) -> None:
    prop = bpy.data.objects["Cube"]
    prop["set_dresser"] = {"job": "abc", "instance_id": 1, "pipeline": "marked"}
    buttons = draw().buttons
    assert "set_dresser.again" in buttons
    assert "set_dresser.new_variant" not in buttons
    assert not bpy.ops.set_dresser.new_variant.poll()
    with pytest.raises(SetDresserError, match="Chance has no part") as caught:
        addon.new_variant(prop)
    assert caught.value.code == "no-chance"
    prop["set_dresser"] = {"job": "abc", "instance_id": 1, "pipeline": "marked", "prepared": "imagine"}
    assert remaking.has_chance(prop)


def test_block_outs_are_shown_and_hidden_from_the_menu(addon: Any) -> None:
    box = bpy.data.objects["Cube"]
    prop = bpy.data.objects.new("Prop", box.data.copy())
    bpy.context.collection.objects.link(prop)
    prop["set_dresser"] = {"job": "abc", "instance_id": 1}
    prop.set_dresser_block_out = box
    bpy.ops.set_dresser.hide_block_outs()
    assert (HIDDEN in box, box.hide_render) == (True, True)
    assert addon.show_block_outs([prop]) == [box]
    assert (HIDDEN in box, box.hide_render) == (False, False)
    assert block_outs_api.show_block_outs() == []
    menu = Recorder()
    bpy.types.SET_DRESSER_MT_object.draw(SimpleNamespace(layout=menu), bpy.context)
    wanted = ("generate", "new_variant", "show_block_outs", "hide_block_outs")
    assert {f"set_dresser.{name}" for name in wanted} <= set(menu.buttons)
