"""The installation from Blender: allowed, told, pressed, killed with it, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

import blender_addon
from blender_addon import session
from blender_addon.backend_process import setting_up
from blender_addon.backend_process.installation import InstallationState, Progress
from blender_addon.ground.messages import SetDresserError
from blender_addon.installer import records
from blender_addon.installer.builds import AUTOMATIC, NONE
from blender_addon.ui.panels import draw_installation
from tests.addon_without_blender.test_installation import bundle, hold_at, index, let_go, reached, uv
from tests.backend.waiting import is_gone, until
from tests.blender_addon.conftest import HERE, ROOT
from tests.blender_addon.little_index import Bundle, Index
from tests.blender_addon.processes import descendants, ended_well, listen, read
from tests.blender_addon.recorder import Recorder

__all__ = ["bundle", "index", "uv"]


@pytest.fixture
def own(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The add-on with no other Python than its own, and allowed to go online."""
    monkeypatch.delenv("SET_DRESSER_PYTHON")
    monkeypatch.delenv("SET_DRESSER_PLUGINS")
    before = bpy.context.preferences.system.use_online_access
    bpy.context.preferences.system.use_online_access = True
    session.current.line.check_set_up()
    yield addon
    bpy.context.preferences.system.use_online_access = before


def little(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    monkeypatch.setattr(setting_up, "make_plan", lambda *arguments: bundle.plan(**values))
    session.current.line.check_set_up()


def draw(everything: bool = False) -> Recorder:
    layout = Recorder()
    draw_installation(layout, bpy.context, everything)
    return layout


def read_texts(layout: Recorder) -> str:
    return layout.texts.replace("\n", " ")


def blender(bundle: Bundle, program: str, tmp_path: Path) -> subprocess.Popen[str]:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(bundle.plan().as_json()))
    user = tmp_path / "blender"
    user.mkdir(exist_ok=True)
    values = {**os.environ, "BLENDER_USER_RESOURCES": str(user), "SET_DRESSER_ROOT": str(ROOT)}
    values.pop("SET_DRESSER_PYTHON", None)
    command = [sys.executable, str(HERE / "installing.py"), str(plan), program]
    return subprocess.Popen(command, env=values, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=user)


def tell(bundle: Bundle, program: str, tmp_path: Path) -> dict[str, Any]:
    with blender(bundle, program, tmp_path) as process:
        output, _ = process.communicate(timeout=120)
    assert ended_well(process.returncode), output[-3000:]
    (told,) = [told for line in output.splitlines() if (told := read(line)) is not None]
    return told


@pytest.mark.parametrize("point", ["before-python", "after-venv", "download", "after-pip", "check"])
def test_a_killed_blender_leaves_nobody_behind_and_the_next_one_finishes(
    point: str, bundle: Bundle, index: Index, tmp_path: Path
) -> None:
    hold_at(bundle, index, point)
    with blender(bundle, "install_until_killed", tmp_path) as process:
        try:
            pid = listen(process)["pid"]
            until(lambda: reached(bundle, index, point), point, 60.0)
            family = descendants(pid)
            assert len(family) > 1
        finally:
            process.kill()
        process.wait(10)
        killed = time.monotonic()
        until(lambda: all(is_gone(each) for each in family), "the end of installer and tool", 5.0)
        assert time.monotonic() - killed < 5.0
    told = tell(bundle, "look", tmp_path)
    assert (told["state"], told["python"], told["problem"]) == ("interrupted", "", True)
    let_go(bundle, index)
    told = tell(bundle, "install", tmp_path)
    assert (told["state"], told["problem"]) == ("complete", False)
    assert Path(told["python"]).is_file()


def test_a_script_may_end_in_the_middle_of_an_installation(bundle: Bundle, index: Index, tmp_path: Path) -> None:
    bundle.stop_at("before-pip")
    assert is_gone(tell(bundle, "leave", tmp_path)["pid"])


def test_without_permission_nothing_is_fetched_and_it_says_where_to_give_it(own: Any) -> None:
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(SetDresserError, match="not allowed to go online") as caught:
        own.install()
    assert caught.value.code == "online-access"
    assert "Allow Online Access" in caught.value.hint
    assert not (setting_up.make_plan().environments).exists()
    assert not session.current.desk.installation.busy
    with pytest.raises(RuntimeError, match="not allowed to go online"):
        bpy.ops.set_dresser.install()
    assert "Allow Online Access" in read_texts(draw())
    assert session.current.desk.problem is None


def test_the_plan_is_told_before_anything_happens(own: Any) -> None:
    layout = draw()
    assert "not installed yet" in read_texts(layout)
    assert "set_dresser.install" in layout.buttons
    session.current.desk.installation.machine = {"build": "cpu", "device": "", "note": "No graphics card."}
    session.current.line.check_set_up()
    told = read_texts(draw())
    assert "PyTorch for Processor only" in told
    assert "No graphics card." in told
    assert "GB on disk" in told
    assert setting_up.make_plan().environments.name in told.replace(" ", "")
    assert own.installation()["state"] == "not_installed"
    assert own.installation()["download"] < own.installation()["disk"]
    assert not setting_up.make_plan().environments.exists()


def test_another_python_hides_it(addon: Any) -> None:
    assert draw().drawn == []
    assert draw(everything=True).drawn == []


@pytest.mark.parametrize("state", list(InstallationState))
def test_every_state_is_a_sentence_with_a_button(own: Any, state: InstallationState) -> None:
    installation = session.current.desk.installation
    installation.state = state
    installation._doing = "install" if state is InstallationState.INSTALLING else ""
    installation.progress = Progress("packages", "Downloading torch (800 MiB)", 320_000_000, 1_400_000_000, 12e6)
    layout = draw(everything=True)
    if state is InstallationState.INSTALLING:
        assert "Downloading torch" in layout.texts
        assert "320 MB of about 1.4 GB, 12 MB/s" in layout.texts
        assert "set_dresser.cancel_install" in layout.buttons
    else:
        assert state.value.split()[-1] in layout.texts
        assert "set_dresser.install" in layout.buttons
    assert "set_dresser.open_installation_log" in layout.buttons
    installation._doing = ""
    installation.state = InstallationState.NOT_INSTALLED


def test_the_button_installs_and_the_panel_follows(
    own: Any, bundle: Bundle, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    little(bundle, monkeypatch)
    seen = set()
    longest = 0.0
    assert bpy.ops.set_dresser.install() == {"FINISHED"}
    while session.current.desk.installation.installing:
        began = time.perf_counter()
        delay = session.pump()
        longest = max(longest, time.perf_counter() - began)
        seen.add(session.current.desk.installation.progress.step)
        draw()
        time.sleep(min(delay, 0.02))
    assert own.installation()["state"] == "complete", own.installation()
    assert {"environment", "packages", "check"} & seen
    assert session.current.desk.set_up_problem is None
    assert draw().drawn == []
    assert longest < 0.05, f"Blender was held for {longest * 1000:.0f} ms"
    assert bpy.ops.set_dresser.open_installation_log() == {"FINISHED"}
    assert "little-a" in bpy.data.texts["Set Dresser Log"].as_string()


def test_what_fails_is_told_in_the_panel(
    own: Any, bundle: Bundle, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    little(bundle, monkeypatch)
    index.status = 503
    with pytest.raises(SetDresserError) as caught:
        own.install(wait=True)
    assert caught.value.code == "index-down"
    layout = draw()
    assert "does not answer as it should" in read_texts(layout)
    assert "set_dresser.install" in layout.buttons
    assert own.installation()["state"] == "interrupted"
    index.status = 200
    assert own.install(wait=True)["state"] == "complete"


@pytest.mark.parametrize("build", ["cu999", "../none"])
def test_a_build_that_does_not_exist_is_told(own: Any, build: str) -> None:
    with pytest.raises(SetDresserError, match="does not exist") as caught:
        own.install(build)
    assert "auto, none, " in caught.value.hint


def test_an_offline_folder_must_be_one(own: Any, tmp_path: Path) -> None:
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(SetDresserError, match="no packages") as caught:
        own.install(offline_folder=tmp_path)
    assert caught.value.code == "offline-folder"
    (tmp_path / "wheels").mkdir()
    contents = {"platform": "plan9-x64", "torch": "cpu", "python": "3.11", "locks": {}}
    for platform, expected in (("plan9-x64", "are for plan9-x64"), (None, "another version of the add-on")):
        contents["platform"] = platform or setting_up.platform_name()
        (tmp_path / "contents.json").write_text(json.dumps(contents))
        with pytest.raises(SetDresserError, match=expected):
            own.install(offline_folder=tmp_path)
    assert setting_up.make_plan(AUTOMATIC, tmp_path).build == "cpu"


def test_the_real_backend_is_installed_and_serves(own: Any, uv: Path) -> None:
    """The real lock, from the package index that this machine is set to: about a hundred megabytes."""
    try:
        told = own.install(NONE, wait=True)
    except SetDresserError as error:
        if error.code == "no-network":
            pytest.skip(f"no package index can be reached: {error.message}")
        raise
    assert told["state"] == "complete"
    assert records.read_record(Path(told["folder"])).build == NONE
    status = own.start_server(wait=True)
    assert status["state"] == "ready"
    executable = Path(f"/proc/{status['pid']}/cmdline")
    if executable.exists():
        assert executable.read_bytes().startswith(told["python"].encode())
    assert {"inflate"} <= {pipeline["id"] for pipeline in blender_addon.pipelines()}
    blender_addon.shutdown()
