"""What goes wrong has a code, a sentence and a next step; here the codes that no other test meets on its way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.ground import folders
from blender_addon.ground.messages import SetDresserError
from blender_addon.installer import records
from blender_addon.installer import run as installer_run
from blender_addon.installer.events import Failure
from blender_addon.state.job import JobRecord
from blender_addon.work import results
from blender_addon.work.line import told


def code_of(action: Callable[[], Any]) -> str:
    """The code of the error, raised or, by a button, reported; its words are looked at on the way."""
    try:
        action()
    except (SetDresserError, Failure) as error:
        problem: Any = error
    except RuntimeError:  # an operator's report of an error
        problem = session.current.desk.problem
    else:
        raise AssertionError("nothing went wrong")
    assert problem.message.endswith((".", "!", "?")) and problem.hint.endswith(".")
    return problem.code


def test_what_is_missing_in_the_scene(addon: Any, picture: Path) -> None:
    bpy.context.scene.camera = None
    image = bpy.data.images.load(str(picture))
    assert code_of(lambda: addon.generate(source=image, match_camera=True)) == "no-camera"
    assert code_of(lambda: addon.generate(source="")) == "no-picture"


def test_boxes_want_a_picture_and_a_window(addon: Any, picture: Path) -> None:
    settings = bpy.context.scene.set_dresser
    settings.source, settings.image = "IMAGE", bpy.data.images.load(str(picture))
    assert code_of(lambda: bpy.ops.set_dresser.draw_boxes()) == "no-window"


def test_a_folder_of_the_users_that_cannot_be_made(addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes into the folder that Blender was started in, and that one stays as open as it was."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    place = folders.user()
    shutil.rmtree(place)
    place.write_text("in the way")
    try:
        addon.unregister()
        addon.register()
        assert session.current.desk.set_up_problem.code == "user-folder"
        assert str(place) in session.current.desk.set_up_problem.message
        assert code_of(session.current.line.start_server) == "user-folder"
        assert [*tmp_path.iterdir()] == [] and tmp_path.stat().st_mode & 0o777 == 0o755
    finally:
        place.unlink()


def test_a_log_that_is_not_there(addon: Any) -> None:
    assert session.current.desk.server.log is None
    assert code_of(lambda: _act("open_log", "SET_DRESSER_OT_open_log")) == "no-log"


def test_a_build_that_is_not_made(addon: Any) -> None:
    assert code_of(lambda: addon.install("cuda-of-tomorrow")) == "build-unknown"


def test_a_result_that_is_no_result(addon: Any, tmp_path: Path) -> None:
    record = JobRecord(id="0" * 24)
    assert code_of(lambda: results.read(record)) == "not-fetched"
    record.folder = tmp_path
    for text in ("{", "[]"):
        (tmp_path / "result.json").write_text(text)
        assert code_of(lambda: results.read(record)) == "result-invalid"


def test_a_list_that_no_backend_would_send(addon: Any) -> None:
    def take(value: Any) -> None:
        raise KeyError(value)

    assert code_of(lambda: told("id", take)) == "invalid"


def test_an_environment_that_is_in_use_or_being_made_elsewhere(
    addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installer_run, "LOCK_SECONDS", 0.0)
    with records.only_one(tmp_path, 1.0):
        assert code_of(lambda: _enter(tmp_path)) == "install-elsewhere"
    held = records.Lock(tmp_path / records.HELD)
    try:
        assert code_of(lambda: installer_run.let_go(tmp_path)) == "in-use"
    finally:
        held.release()


def _enter(folder: Path) -> None:
    with records.only_one(folder, 0.0):
        raise AssertionError("two at once")


def _act(module: str, name: str) -> None:
    """Press a button whose poll would keep it grey."""
    import importlib

    operators = importlib.import_module(f"blender_addon.ui.operators.{module}")
    getattr(operators, name).act(None, bpy.context)
