"""The zip: packed, accepted by Blender's own tool, installed, used, taken off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bpy
import pytest

import build_addon
from tests.backend.waiting import is_gone
from tests.blender_addon.conftest import ROOT
from tests.blender_addon.processes import drive, ended_well


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_addon.build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.mark.parametrize("platform", ["", "linux-x64"])
def test_blenders_own_tool_accepts_it(platform: str, tmp_path: Path) -> None:
    archive = build_addon.build(ROOT, tmp_path, platform)
    (tool,) = Path(bpy.utils.resource_path("LOCAL")).glob("scripts/addons_core/bl_pkg/cli/blender_ext.py")
    done = subprocess.run(
        [sys.executable, tool, "validate", archive], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended_well(done.returncode), done.stdout + done.stderr
    assert "Success" in done.stdout


def test_it_installs_works_and_comes_off_twice_in_a_row(
    archive: Path, picture: Path, compiling_python: Path, tmp_path: Path
) -> None:
    told = drive("install_and_use", archive, picture, python=compiling_python, user=tmp_path / "user")
    assert len(told) == 4
    for used, removed in zip(told[::2], told[1::2], strict=True):
        assert (used["state"], used["props"], used["hidden"]) == ("done", 2, True)
        assert used["module"] == "bl_ext.user_default.set_dresser"
        assert ".user/user_default/set_dresser/" in used["log"]
        assert used["written"] == []
        assert is_gone(used["pid"])
        assert removed == {"left": False, "panel": False, "settings": False, "enabled": False}
