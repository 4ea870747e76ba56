"""Preparations that nobody has heard of, drawn from what the backend describes, and run by it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.answers import asking
from blender_addon.api import remaking
from blender_addon.api.jobs import Job
from blender_addon.capture import sentences
from blender_addon.props import recipes
from blender_addon.settings import parameters, preparing
from blender_addon.settings.boxes import Box
from blender_addon.state import catalogue
from blender_addon.ui import panels
from blender_addon.ui.operators import boxes
from tests.blender_addon.catalogue import take_preparations
from tests.blender_addon.drawing import draw
from tests.blender_addon.pumping import pump_until
from tests.structure.source import ROOT, sources, strings


@pytest.fixture
def settings(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The panel's; the backend has only what `plugin/` has to offer, as ours would need networks."""
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline,asking_pipeline,prepared_pipeline")
    addon.pipelines()
    ours = ("text", "imagine", "segment", "inversion", "test-ask")
    take_preparations([each for each in session.current.desk.preparations if each["id"] not in ours])
    found = bpy.context.scene.set_dresser
    found.pipeline = "test-box"
    return found


def holder(name: str) -> Any:
    return parameters.preparations.group(bpy.context.scene, f"test-{name}")


def made() -> tuple[Any, dict[str, Any]]:
    """The job of a press of Generate when it is done, and what its result says was prepared."""
    assert panels.generate_hindrance(bpy.context) == ""
    assert bpy.ops.set_dresser.generate() == {"FINISHED"}
    job = next(iter(session.current.desk.jobs.values()))
    pump_until(lambda: job.arrival == "imported" or job.question is not None or job.problem, "the props")
    if job.question is not None:
        pump_until(lambda: asking.draft(job.question) is not None, "the draft")
        assert bpy.ops.set_dresser.answer(job=job.id) == {"FINISHED"}
        pump_until(lambda: job.arrival == "imported" or job.problem, "the props")
    assert job.problem is None
    (found,) = (each for each in bpy.context.scene.objects if recipes.job(each) == job.id)
    return found, {name: each["parameters"] for name, each in Job(job).result["prepared"].items()}


def test_what_makes_a_picture_has_its_sentence_its_list_and_its_question(settings: Any) -> None:
    settings.source = "TEXT"
    assert panels.generate_hindrance(bpy.context) == "Write what is to be made"
    layout = draw()
    assert {"text", "colours"} <= set(layout.controls) and "said" not in layout.controls
    assert "maker" not in layout.controls, "there is one only"
    settings.text, holder("draw").colours = "a small chair", " red,  light blue "
    prop, prepared = made()
    assert prepared == {"test-draw": {"said": "a small chair", "colours": ["red", "light blue"], "ask": True}}
    assert recipes.of(prop)["text"] == "a small chair" and remaking.has_chance(prop)
    settings.source, settings.text, holder("draw").colours = "CAMERA", "", ""
    bpy.ops.set_dresser.restore_settings(job=recipes.job(prop))
    assert (settings.source, settings.text, holder("draw").colours) == ("TEXT", "a small chair", "red, light blue")


def test_a_script_says_its_sentence_to_whatever_makes_the_picture(settings: Any, addon: Any) -> None:
    job = addon.generate(text="a cup", pipeline="test-box", prepare={"test-draw": {"ask": False}}, wait=True)
    assert job.result["prepared"]["test-draw"]["parameters"]["said"] == "a cup"
    assert [prop.name for prop in job.objects] == ["a cup"]
    job = addon.generate(text="a mug", pipeline="test-box", wait=True)
    assert job.question is not None, "it need not be named"
    job.cancel()


def test_what_finds_objects_has_its_words_and_the_boxes(settings: Any, picture: Path) -> None:
    settings.source, settings.image_path, settings.labels = "FILE", str(picture), "FIND"
    assert panels.generate_hindrance(bpy.context) == "Write what to find, or draw boxes"
    layout = draw()
    assert {"things", "edge"} <= set(layout.controls) and "set_dresser.draw_boxes" in layout.buttons
    holder("frame").things = "a chair, a lamp"
    boxes.add(settings, Box(20, 12, 44, 36))
    settings.boxes[0].name = "Chair"
    prop, prepared = made()
    frame = {"left": 20.0, "top": 12.0, "right": 44.0, "bottom": 36.0, "name": "Chair"}
    assert prepared == {"test-frame": {"things": ["a chair", "a lamp"], "frames": [frame], "edge": 0}}
    assert prop.name == "Chair"
    settings.labels = "SINGLE"
    bpy.ops.set_dresser.restore_settings(job=recipes.job(prop))
    assert (settings.labels, holder("frame").things) == ("FIND", "a chair, a lamp")


def test_a_step_has_a_switch_and_a_control_for_lists_and_objects(settings: Any, picture: Path) -> None:
    settings.source, settings.image_path = "FILE", str(picture)
    layout = draw()
    assert {"is_switched_on", "tint__red", "tint__lamps", "levels", "pair", "table"} <= set(layout.controls)
    assert {"Tinted"} <= set(layout.texts.splitlines()) and "Foggy" not in layout.texts, "a picture has no depth"
    assert "Set from Python only: Perhaps" in layout.texts.replace("\n", " ")
    found = holder("tint")
    found.is_switched_on, found.tint__red, found.tint__lamps = True, 1.5, "left, right"
    found.levels, found.pair, found.table = "0.1, 2", (0.5, 0.125), '{"a": 1}'
    prop, prepared = made()
    assert prepared == {
        "test-tint": {
            "tint": {"red": 1.5, "lamps": ["left", "right"]},
            "levels": [0.1, 2.0],
            "pair": [0.5, 0.125],
            "table": {"a": 1},
            "perhaps": None,
        }
    }
    found.is_switched_on, found.levels, found.table, found.pair = False, "", "", (0, 0)
    bpy.ops.set_dresser.restore_settings(job=recipes.job(prop))
    assert (found.is_switched_on, found.levels, found.table) == (True, "0.1, 2", '{"a": 1}')
    assert tuple(found.pair) == (0.5, 0.125) and found.tint__lamps == "left, right"


def test_a_step_that_needs_the_depth_is_offered_for_the_camera(settings: Any) -> None:
    assert "Foggy" in draw().texts
    holder("fog").is_switched_on = True
    assert set(preparing.values(bpy.context.scene)) == {"test-fog"}
    _, prepared = made()
    assert prepared == {"test-fog": {"amount": 0.5}}
    settings.source = "IMAGE"
    assert preparing.values(bpy.context.scene) == {}


STEP: dict[str, Any] = {
    "id": "test-step",
    "parameters": {
        "properties": {
            "levels": {"type": "array", "items": {"type": "number"}, "title": "Levels"},
            "counts": {"type": "array", "items": {"type": "integer"}, "title": "Counts"},
            "table": {"type": "object", "title": "Table"},
        }
    },
}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("levels", "0.5, much", "Levels: “much” is no number"),
        ("counts", "2, 2.5", "Counts: “2.5” is no whole number"),
        ("table", "{", "Table: that cannot be read as JSON"),
        ("table", "[1]", "Table: that is not an object, {…}"),
    ],
)
def test_a_list_that_cannot_be_read_is_said_at_generate(addon: Any, name: str, text: str, reason: str) -> None:
    session.current.desk.set_up_problem = None
    take_preparations([STEP])
    setattr(holder("step"), name, text)
    assert panels.generate_hindrance(bpy.context) == ""
    holder("step").is_switched_on = True
    assert panels.generate_hindrance(bpy.context) == reason
    assert reason in draw().texts.replace("\n", " ")


def test_several_of_a_kind_are_a_choice(addon: Any) -> None:
    described = [{"id": each, "makes_picture": True, "parameters": {"properties": {}}} for each in ("dice", "brush")]
    found = [{"id": each, "finds_instances": True, "parameters": {"properties": {}}} for each in ("eye", "nose")]
    take_preparations([*described, *found])
    settings = bpy.context.scene.set_dresser
    settings.source = "TEXT"
    layout = draw()
    assert "maker" in layout.controls and "text" not in layout.controls, "a die needs no sentence"
    assert preparing.values(bpy.context.scene) == {"dice": {}}
    settings.maker = "brush"
    assert preparing.values(bpy.context.scene) == {"brush": {}}
    take_preparations([*described[::-1], *found])
    assert preparing.values(bpy.context.scene) == {"brush": {}}, "the choice is kept by name"
    settings.source, settings.labels = "FILE", "FIND"
    assert "finder" in draw().controls
    settings.finder = "nose"
    assert preparing.values(bpy.context.scene) == {"nose": {}}


def test_what_came_with_the_addon_is_drawn_before_a_backend_ran(addon: Any) -> None:
    known = session.current.desk.preparations
    assert [each["id"] for each in catalogue.makers(known)] == ["text"]
    assert [each["id"] for each in catalogue.finders(known)] == ["segment"]
    assert [each["id"] for each in catalogue.steps(known)] == ["imagine", "inversion"]
    settings = bpy.context.scene.set_dresser
    assert "imagine" in draw().controls
    settings.source, settings.text = "TEXT", "a cup"
    assert preparing.values(bpy.context.scene)["text"]["prompt"] == "a cup"


def test_the_switch_of_a_file_of_the_first_version_counts(addon: Any, tmp_path: Path) -> None:
    bpy.context.scene.set_dresser.imagine = True
    path = str(tmp_path / "first.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    assert list(preparing.values(bpy.context.scene)) == ["imagine"]


STORED = {
    "blender_addon/settings/preparing.py": {"imagine"},
}
"""A word that files and scripts have: the switch of 0.1. What `api.generate` calls a sentence as its source is another
"text"."""


def test_no_preparation_of_ours_is_known_by_its_name() -> None:
    ours = {"text", "imagine", "segment", "inversion"}
    for path in sources("blender_addon"):
        name = path.relative_to(ROOT).as_posix()
        code = path.read_text(encoding="utf-8")
        said = strings(code) & (ours - {"text"})
        compared = set(re.findall(r"==\s*[\"'](text|imagine|segment|inversion)[\"']", code))
        assert said | compared <= STORED.get(name, set()), name
    assert sentences.SOURCE == "text"


def test_what_learns_words_is_offered_to_pipelines_that_hear_them(settings: Any) -> None:
    desk = session.current.desk
    learning = {"id": "test-learn", "title": "Learn", "parameters": {"properties": {}}, "learns_words": True}
    take_preparations([*desk.preparations, learning])
    assert "test-learn" not in [each["id"] for each in preparing.offered(settings)]
    desk.pipelines = [{**each, "hears_words": each["id"] == "test-box"} for each in desk.pipelines]
    assert "test-learn" in [each["id"] for each in preparing.offered(settings)]
