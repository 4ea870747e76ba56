"""The add-on comes and goes without leaving anything behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import pytest

import blender_addon
from blender_addon import session
from blender_addon.ground import folders, tick
from blender_addon.ui import panels
from tests.backend.waiting import is_gone
from tests.blender_addon.conftest import ROOT
from tests.blender_addon.snapshots import remains


def test_registering_twice_leaves_nothing(
    picture: Path, monkeypatch: pytest.MonkeyPatch, python_with_plugin: Path
) -> None:
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(python_with_plugin))
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline")
    monkeypatch.setattr(tick, "timers_fire", lambda: True)
    before = remains()
    for _ in range(2):
        blender_addon.register()
        try:
            job = blender_addon.generate(source=picture, pipeline="test-box", wait=True)
            assert job.state == "done"
            pid = session.current.desk.server.pid
            assert bpy.app.timers.is_registered(tick._tick)
            assert hasattr(bpy.types.Scene, "set_dresser_test_box")
        finally:
            blender_addon.unregister()
        assert is_gone(pid)
        assert remains() == before


def test_blender_enables_and_disables_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = remains()
    for _ in range(2):
        assert addon_utils.enable("blender_addon", default_set=True) is blender_addon
        preferences = bpy.context.preferences.addons["blender_addon"].preferences
        preferences.python_path = "/nowhere/python"
        session.pump()  # a preference leaves a mark, and the next tick sees it
        assert "nowhere" in session.current.desk.set_up_problem.message
        assert panels.generate_hindrance(bpy.context) == "The backend is not set up"
        preferences.python_path = ""
        addon_utils.disable("blender_addon", default_set=True)
        assert remains() == before


def test_the_panel_is_complete_before_the_server_has_run(addon: Any) -> None:
    """What runs everywhere comes with the add-on; the list of pipelines is remembered from the last time."""
    assert [view["id"] for view in session.current.desk.pipelines] == ["inflate"]
    pipelines = addon.pipelines()
    preparations = list(session.current.desk.preparations)
    addon.unregister()
    addon.register()
    assert {"inflate", "test-box"} <= {view["id"] for view in pipelines}
    assert (session.current.desk.pipelines, session.current.desk.preparations) == (pipelines, preparations)
    assert bpy.context.scene.set_dresser_inflate.resolution == 256
    assert not session.current.desk.server.running


@pytest.mark.parametrize("damage", ["", "{", "[]", "[5]", '[{"id": 5}]', "\x00"])
def test_a_damaged_memory_of_pipelines_does_no_harm(addon: Any, damage: str) -> None:
    addon.unregister()
    folders._kept("pipelines").write_text(damage)
    addon.register()
    assert [view["id"] for view in session.current.desk.pipelines] == ["inflate"], "what comes with the add-on"


@pytest.mark.parametrize("properties", [None, 5, {"x": None}, {"x": {"type": "integer", "default": 2**40}}])
def test_what_nothing_can_be_made_of_does_not_keep_the_add_on_from_being_enabled(addon: Any, properties: Any) -> None:
    addon.unregister()
    folders._kept("pipelines").write_text(json.dumps([{"id": "odd", "parameters": {"properties": properties}}]))
    addon.register()
    assert [view["id"] for view in session.current.desk.pipelines] == ["odd"]


def test_registered_twice_it_goes_on(addon: Any) -> None:
    before = session.current
    addon.register()
    assert session.current is before and hasattr(bpy.types, "SET_DRESSER_PT_main")


def test_every_operator_has_a_description_and_a_label(addon: Any) -> None:
    names = [name for name in dir(bpy.ops.set_dresser) if not name.startswith("_")]
    assert len(names) >= 10
    for name in names:
        rna = getattr(bpy.ops.set_dresser, name).get_rna_type()
        assert rna.name, name
        assert len(rna.description) > 10, name


def test_no_name_of_the_package_is_written_into_the_code() -> None:
    """It is `blender_addon` here and `bl_ext.user_default.set_dresser` once installed."""
    for path in (ROOT / "blender_addon").rglob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"\bblender_addon\b|bl_ext", code), path
