"""A pipeline's JSON schema as Blender properties."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.settings import parameters
from blender_addon.state import catalogue

SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"Quality": {"enum": ["draft", "final"], "type": "string"}},
    "properties": {
        "thickness": {"type": "number", "minimum": 0.05, "maximum": 3.0, "default": 0.1, "title": "Thickness"},
        "open": {"type": "number", "exclusiveMinimum": 0, "default": 1},
        "detail": {"type": "integer", "minimum": 32, "maximum": 1024, "default": 256, "description": "How fine."},
        "huge": {"type": "integer", "maximum": 2**40, "default": 7},
        "lid": {"type": "boolean", "default": True},
        "back": {"type": "string", "enum": ["soft", "mirror"], "default": "mirror"},
        "quality": {"$ref": "#/$defs/Quality", "default": "final"},
        "maybe": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": 3},
        "absent": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "places": {"type": "array", "default": []},
        "name": {"type": "string", "default": "x", "maxLength": 5},
        "class": {"type": "boolean", "default": False},
    },
}
DEFAULTS = {
    "thickness": 0.1,
    "open": 1.0,
    "detail": 256,
    "huge": 7,
    "lid": True,
    "back": "mirror",
    "quality": "final",
    "maybe": 3,
    "places": [],
    "name": "x",
    "class": False,
}


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    parameters.pipelines.register([("test-one", SCHEMA)])
    yield
    parameters.pipelines.unregister()


def scene() -> bpy.types.Scene:
    return bpy.context.scene


def test_every_control_begins_with_the_pipelines_default() -> None:
    assert parameters.pipelines.values(scene(), "test-one") == DEFAULTS


def test_titles_descriptions_and_ranges_are_the_schemas() -> None:
    drawn = parameters.pipelines.group(scene(), "test-one").bl_rna.properties
    # Blender itself ends a tooltip with a full stop.
    assert (drawn["thickness"].name, drawn["detail"].description) == ("Thickness", "How fine")
    assert (drawn["detail"].hard_min, drawn["detail"].hard_max) == (32, 1024)
    assert drawn["thickness"].hard_max == 3.0
    assert drawn["open"].hard_min > 0
    assert drawn["huge"].hard_max == 2**31 - 1
    assert [item.identifier for item in drawn["back"].enum_items] == ["soft", "mirror"]
    assert parameters.pipelines.attributes("test-one")[-2:] == ["parameter_name", "parameter_class"]


def test_a_range_holds() -> None:
    holder = parameters.pipelines.group(scene(), "test-one")
    holder.detail = 5
    holder.thickness = 99
    assert parameters.pipelines.values(scene(), "test-one")["detail"] == 32
    assert parameters.pipelines.values(scene(), "test-one")["thickness"] == 3.0


def test_numbers_come_back_as_they_were_typed() -> None:
    holder = parameters.pipelines.group(scene(), "test-one")
    for value in (0.1, 0.05, 1 / 3, 2.7):
        holder.thickness = value
        assert parameters.pipelines.values(scene(), "test-one")["thickness"] == float(f"{value:.6g}")


def test_values_outlive_another_list_of_pipelines() -> None:
    """Also one whose enumeration has changed its order, and a field that is gone for a while."""
    holder = parameters.pipelines.group(scene(), "test-one")
    holder.detail, holder.back = 100, "soft"
    parameters.pipelines.register([("other", {"properties": {}})])
    assert parameters.pipelines.group(scene(), "test-one") is None
    assert parameters.pipelines.values(scene(), "test-one") == {}
    changed = {**SCHEMA["properties"], "back": {"enum": ["new", "mirror", "soft"], "default": "new"}}
    parameters.pipelines.register([("test-one", {**SCHEMA, "properties": changed})])
    assert parameters.pipelines.values(scene(), "test-one") == {**DEFAULTS, "detail": 100, "back": "soft"}


def test_values_are_saved_with_the_file(tmp_path: Path) -> None:
    holder = parameters.pipelines.group(scene(), "test-one")
    holder.detail, holder.quality = 99, "draft"
    path = str(tmp_path / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    assert parameters.pipelines.values(scene(), "test-one") == DEFAULTS
    parameters.pipelines.unregister()
    bpy.ops.wm.open_mainfile(filepath=path)
    parameters.pipelines.register([("test-one", SCHEMA)])
    assert parameters.pipelines.values(scene(), "test-one") == {**DEFAULTS, "detail": 99, "quality": "draft"}


BEFORE: dict[str, Any] = {
    "properties": {
        "detail": {"type": "integer", "default": 256},
        "size": {"type": "string", "enum": ["1024", "2048", "4096"], "default": "2048"},
        "colour": {"type": "boolean", "default": True},
        "back": {"type": "string", "enum": ["soft", "mirror"], "default": "soft"},
    }
}
TODAY: dict[str, Any] = {
    "properties": {
        "resolution": {
            "type": "integer", "default": 128, "maximum": 512, "formerly": {"names": ["detail"], "values": []}
        },
        "size": {
            "type": "integer", "minimum": 64, "maximum": 4096, "default": 2048,
            "formerly": {"names": [], "values": [["1024", 1024], ["2048", 2048], ["4096", 4096]]},
        },
        "colour": {
            "type": "string", "enum": ["texture", "none"], "default": "texture",
            "formerly": {"names": [], "values": [[True, "texture"], [False, "none"]]},
        },
        "back": BEFORE["properties"]["back"],
    }
}  # fmt: skip
SET = {"resolution": 99, "size": 4096, "colour": "none", "back": "mirror"}


def test_what_a_file_of_a_former_version_holds_goes_on(tmp_path: Path) -> None:
    """Also when the file is opened while the add-on runs, and it is no surprise after a reset."""
    parameters.pipelines.register([("test-one", BEFORE)])
    holder = parameters.pipelines.group(scene(), "test-one")
    holder.detail, holder.size, holder.colour, holder.back = 99, "4096", False, "mirror"
    path = str(tmp_path / "former.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    parameters.pipelines.register([("test-one", TODAY)])
    assert parameters.pipelines.values(scene(), "test-one") == SET
    holder = parameters.pipelines.group(scene(), "test-one")
    assert {name: getattr(holder, name) for name in SET} == SET, "what is drawn"
    bpy.ops.wm.open_mainfile(filepath=path)
    assert parameters.pipelines.values(scene(), "test-one") == SET, "before the file was looked through, too"
    parameters.carry_over()
    holder = parameters.pipelines.group(scene(), "test-one")
    assert {name: getattr(holder, name) for name in SET} == SET
    holder.property_unset("resolution")
    parameters.carry_over()
    assert holder.resolution == 128


def test_a_file_of_a_former_version_in_which_nothing_was_set_has_the_defaults() -> None:
    parameters.pipelines.register([("test-one", BEFORE)])
    assert parameters.pipelines.group(scene(), "test-one") is not None
    parameters.pipelines.register([("test-one", TODAY)])
    defaults = {"resolution": 128, "size": 2048, "colour": "texture", "back": "soft"}
    assert parameters.pipelines.values(scene(), "test-one") == defaults


def test_what_a_job_of_a_former_version_was_made_with_is_put_back() -> None:
    parameters.pipelines.register([("test-one", TODAY)])
    given = {"detail": 99, "size": "4096", "colour": False, "back": "mirror"}
    parameters.pipelines.put(scene(), "test-one", given)
    assert parameters.pipelines.values(scene(), "test-one") == SET
    parameters.pipelines.put(scene(), "test-one", SET)
    assert parameters.pipelines.values(scene(), "test-one") == SET


def test_the_same_list_again_changes_nothing() -> None:
    before = type(parameters.pipelines.group(scene(), "test-one"))
    parameters.pipelines.register([("test-one", {**SCHEMA})])
    assert type(parameters.pipelines.group(scene(), "test-one")) is before


def test_nothing_is_left_behind() -> None:
    parameters.pipelines.unregister()
    assert not hasattr(bpy.types.Scene, "set_dresser_test_one")
    assert not hasattr(bpy.types, "SetDresserParameters_test_one")


LISTS: dict[str, Any] = {
    "$defs": {
        "Lamp": {"type": "object", "properties": {"power": {"type": "number", "default": 2.0, "title": "Power"}}},
        "Knot": {"type": "object", "properties": {"place": {"anyOf": [{"type": "number"}, {"type": "null"}]}}},
    },
    "properties": {
        "words": {"type": "array", "items": {"type": "string"}, "default": ["a chair"]},
        "numbers": {"type": "array", "items": {"type": "number"}},
        "pair": {
            "type": "array", "prefixItems": [{"type": "number"}] * 2, "minItems": 2, "maxItems": 2,
            "default": [0.1, 2.0],
        },
        "counts": {
            "type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 3, "maxItems": 3,
            "default": [1, 2, 3],
        },
        "lamp": {"$ref": "#/$defs/Lamp", "default": {"power": 3.5}, "title": "Lamp", "group": "making"},
        "knot": {"$ref": "#/$defs/Knot", "default": {}},
        "rows": {"type": "array", "items": {"type": "object"}},
        "maybe": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "default": None},
        "frames": {"type": "array", "items": {"type": "object"}, "control": "boxes"},
    },
}  # fmt: skip
BEGIN: dict[str, Any] = {
    "words": ["a chair"],
    "numbers": [],
    "pair": [0.1, 2.0],
    "counts": [1, 2, 3],
    "lamp": {"power": 3.5},
    "knot": {},
    "rows": [],
}


def test_lists_and_objects_begin_with_their_defaults_and_come_back_as_they_were_written() -> None:
    parameters.pipelines.register([("lists", LISTS)])
    assert parameters.pipelines.values(scene(), "lists") == BEGIN
    wanted = {
        "words": ["a red lamp", "rug"],
        "numbers": [1.5, -2.0],
        "pair": [0.7, 5.0],
        "counts": [4, 5, 6],
        "lamp": {"power": 0.3},
        "knot": {"place": 3},
        "rows": [{"a": [1]}],
    }
    parameters.pipelines.put(scene(), "lists", wanted)
    assert parameters.pipelines.values(scene(), "lists") == wanted
    holder = parameters.pipelines.group(scene(), "lists")
    assert (holder.words, holder.numbers, holder.rows) == ("a red lamp, rug", "1.5, -2", '[{"a": [1]}]')
    holder.counts = (0, 1, 1)
    assert parameters.pipelines.values(scene(), "lists")["counts"] == [1, 1, 1], "a range holds"
    parameters.pipelines.put(scene(), "lists", {**wanted, "words": ["one, two"], "lamp": 5, "pair": [1.0]})
    assert parameters.pipelines.values(scene(), "lists") == {
        **wanted,
        **{name: BEGIN[name] for name in ("words", "lamp", "pair")},
    }, "what does not fit is passed over"


def test_members_of_an_object_stand_where_it_would_and_say_whose_they_are() -> None:
    parameters.pipelines.register([("lists", LISTS)])
    drawn = parameters.pipelines.group(scene(), "lists").bl_rna.properties
    assert drawn["lamp__power"].name == "Lamp: Power"
    assert "lamp__power" in parameters.pipelines.folded("lists")["making"]
    assert drawn["knot"].type == "STRING", "as one of its members has no control, all of it is JSON"
    assert drawn["rows"].description == "As JSON: […]"
    assert (len(drawn["pair"].default_array), drawn["counts"].type) == (2, "INT")


def test_what_has_no_control_is_named_and_boxes_are_drawn_elsewhere() -> None:
    parameters.pipelines.register([("lists", LISTS)])
    assert parameters.pipelines.uncontrolled("lists") == ["maybe"]
    assert "frames" not in parameters.pipelines.attributes("lists")


def test_a_text_that_is_no_list_is_said_and_sent_as_it_is() -> None:
    parameters.pipelines.register([("lists", LISTS)])
    holder = parameters.pipelines.group(scene(), "lists")
    assert parameters.pipelines.fault(scene(), "lists") == ""
    holder.numbers = "1, two"
    assert parameters.pipelines.fault(scene(), "lists") == "numbers: “two” is no number"
    assert parameters.pipelines.values(scene(), "lists")["numbers"] == "1, two"


# what plug-ins may say of theirs


NOTHING_CAN_BE_MADE_OF: dict[str, Any] = {
    "null": None,
    "no number of 32 bits": {"type": "integer", "default": 2**40},
    "limits": {"type": "integer", "default": 2**33, "minimum": 2**32},
    "limits of null": {"type": "integer", "default": 1, "minimum": None},
    "too large": {"type": "number", "default": 10**400},
    "no choices": {"type": "string", "enum": [], "default": "a"},
    "titles": {"type": "string", "enum": ["a"], "titles": None},
    "length": {"type": "string", "default": "", "maxLength": None},
    "null character": {"type": "string", "default": "a\0b"},
    "surrogate": {"type": "string", "default": "", "title": "a\udcfc"},
    "special": {"type": "integer", "default": 1, "special": {"value": 0}},
    "special of null": {"type": "integer", "default": 1, "special": {"value": None, "title": "T", "otherwise": 1}},
    "formerly": {"type": "integer", "default": 1, "formerly": {"names": [], "values": [1]}},
    "vector": {"type": "array", "items": {"type": "number"}, "default": [None, 1], "minItems": 2, "maxItems": 2},
    "numbers": {"type": "array", "items": {"type": "number"}, "default": [None]},
    "words": {"type": "array", "items": {"type": "string"}, "default": ["a, b"]},
    "items": {"type": "array", "items": True, "default": []},
    "members": {"type": "object", "properties": {"a": None}},
    "round and round": {"$ref": "#/$defs/Round"},
}


@pytest.mark.parametrize("case", NOTHING_CAN_BE_MADE_OF)
def test_what_nothing_can_be_made_of_is_set_from_python_only(case: str) -> None:
    """And the other parameters have their controls."""
    round_and_round = {"anyOf": [{"$ref": "#/$defs/Round"}, {"type": "null"}]}
    fields = {"odd": NOTHING_CAN_BE_MADE_OF[case], "lid": {"type": "boolean", "default": True}}
    schema = {"properties": fields, "$defs": {"Round": round_and_round}}
    parameters.pipelines.register([("test-one", schema)])
    assert parameters.pipelines.values(scene(), "test-one") == {"lid": True}
    assert len(parameters.pipelines.uncontrolled("test-one")) == 1
    parameters.pipelines.put(scene(), "test-one", {"odd": 5, "lid": False})
    assert parameters.pipelines.values(scene(), "test-one") == {"lid": False}
    assert catalogue.marked({"parameters": schema}, catalogue.BOXES) == ""


def test_names_that_meet_stay_apart() -> None:
    number = {"type": "integer"}
    special = {"value": 0, "title": "None", "otherwise": 3}
    fields = {
        "a": {"type": "object", "properties": {"b": {**number, "default": 1}}},
        "a__b": {**number, "default": 2},
        "class": {**number, "default": 3},
        "parameter_class": {**number, "default": 4},
        "x": {**number, "default": 5, "special": special},
        "x_is_special": {**number, "default": 6},
        "y_is_special": {**number, "default": 7},
        "y": {**number, "default": 8, "special": special},
        "property_unset": {**number, "default": 9},
        "ö" * 60: {**number, "default": 10},
        "z" * 60: {**number, "default": 11, "special": special},
    }
    parameters.pipelines.register([("test-one", {"properties": fields})])
    values = {name: field.get("default", {"b": 1}) for name, field in fields.items()}
    assert parameters.pipelines.values(scene(), "test-one") == values
    others = {name: 20 + number for number, name in enumerate(fields)} | {"a": {"b": 19}}
    parameters.pipelines.put(scene(), "test-one", others)
    assert parameters.pipelines.values(scene(), "test-one") == others


def test_methods_that_are_called_alike_stay_apart() -> None:
    names = ("a-b", "a_b", "m" * 41 + "1", "m" * 41 + "2")
    schemas = [
        (name, {"properties": {"n": {"type": "integer", "default": number}}}) for number, name in enumerate(names)
    ]
    parameters.pipelines.register(schemas)
    assert [parameters.pipelines.values(scene(), name) for name in names] == [{"n": number} for number in range(4)]
    parameters.pipelines.register(schemas[1:])
    assert parameters.pipelines.values(scene(), "a_b") == {"n": 1}


@pytest.mark.parametrize("examples", [5, {"a": 1}, [], None])
def test_examples_that_are_no_list_are_none(examples: Any) -> None:
    field = {"type": "string", "default": "", "examples": examples}
    parameters.pipelines.register([("test-one", {"properties": {"words": field}})])
    assert parameters.pipelines.example("test-one", "words") == ""


def test_numbers_in_a_text_keep_their_digits() -> None:
    field = {"type": "array", "items": {"type": "number"}, "default": [1234567.5, 0.1, 2.0]}
    parameters.pipelines.register([("test-one", {"properties": {"numbers": field}})])
    assert parameters.pipelines.values(scene(), "test-one") == {"numbers": [1234567.5, 0.1, 2.0]}


def test_json_that_is_nested_without_end_cannot_be_read() -> None:
    field = {"type": "array", "items": {}, "default": [], "title": "Things"}
    parameters.pipelines.register([("test-one", {"properties": {"things": field}})])
    parameters.pipelines.group(scene(), "test-one").things = "[" * 100_000
    assert parameters.pipelines.fault(scene(), "test-one") == "Things: that cannot be read as JSON"
