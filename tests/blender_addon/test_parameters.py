"""A pipeline's JSON schema as Blender properties."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.settings import parameters

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
