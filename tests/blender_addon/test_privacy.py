"""What the add-on writes is for its user alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon.backend_process import leftovers
from blender_addon.ground import files, folders
from blender_addon.ground.privacy import private_folder
from blender_addon.wire.sinks import FileSink
from blender_addon.work import results

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the user's profile sees to it on Windows")


def open_to_others(*paths: Path) -> list[str]:
    return [str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.fixture(autouse=True)
def open_handed() -> Any:
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_the_users_folder_is_closed_also_one_that_was_open(addon: Any) -> None:
    user = folders.user()
    user.chmod(0o755)
    assert open_to_others(folders.user()) == []


def test_results_notes_reports_and_pictures_are_closed(addon: Any, tmp_path: Path) -> None:
    folder = results.folder_of("0" * 24)
    assert folder.is_relative_to(bpy.app.tempdir)
    sink = FileSink(folder / "scene.glb")
    sink.write(b"glTF")
    sink.finish()
    leftovers.note(tmp_path, os.getpid())
    note = tmp_path / leftovers.FOLDER / f"{os.getpid()}.json"
    report = Path(addon.support_bundle(tmp_path / "report.zip"))
    picture = files.write_whole(tmp_path / "picture.png", b"PNG")
    closed = [folders.temporary(), folder, folder / "scene.glb", note.parent, note, report, picture]
    assert open_to_others(*closed) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can act as another user")
def test_a_folder_that_somebody_else_has_put_there_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "set_dresser"
    place.mkdir()
    subprocess.run(["chown", "65534", str(place)], check=True, timeout=10)
    with pytest.raises(PermissionError, match="another user"):
        private_folder(place)
