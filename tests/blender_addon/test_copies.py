"""The add-on is there twice, under two names: the second refuses, and the first goes on."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import pytest

import blender_addon
from blender_addon import session
from tests.blender_addon.conftest import ROOT
from tests.blender_addon.test_registration import remains

NAME = "set_dresser_by_hand"


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Another copy, imported and not registered."""
    shutil.copytree(ROOT / "blender_addon", tmp_path / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(NAME)
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def test_a_second_copy_refuses_with_a_sentence_and_the_first_goes_on(second: Any) -> None:
    before = remains()
    blender_addon.register()
    try:
        first = remains()
        with pytest.raises(second.SetDresserError) as caught:
            second.register()
        assert caught.value.message == "Set Dresser is switched on already, as the add-on 'blender_addon'."
        assert caught.value.hint in str(caught.value) and caught.value.code == "another-copy"
        assert remains() == first
        second.unregister()
        assert remains() == first, "what it has not registered it does not take away"
        assert bpy.types.SET_DRESSER_PT_main.__module__.startswith("blender_addon.")
        assert bpy.data.objects["Cube"].set_dresser_block_out is None
        assert bpy.context.scene.set_dresser.seed == 0 and session.current.desk.jobs == {}
    finally:
        blender_addon.unregister()
    assert remains() == before
    second.register()
    assert bpy.types.SET_DRESSER_PT_main.__module__.startswith(NAME), "alone it may"
    second.unregister()
    assert remains() == before


def test_blender_does_not_switch_a_second_copy_on(second: Any, capsys: pytest.CaptureFixture[str]) -> None:
    blender_addon.register()
    try:
        first, told = remains(), []
        assert addon_utils.enable(NAME, handle_error=told.append) is None
        assert "switched on already" in str(told[0])
        assert remains() == first
    finally:
        blender_addon.unregister()


def test_a_registration_that_fails_in_the_middle_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = remains()

    def fail() -> None:
        raise OSError("The disk is full.")

    monkeypatch.setattr(session, "register", fail)
    with pytest.raises(OSError, match="disk is full"):
        blender_addon.register()
    assert remains() == before
    blender_addon.unregister()
    assert remains() == before
