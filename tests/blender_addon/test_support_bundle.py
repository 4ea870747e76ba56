"""A report tells what is needed to help, and nothing of who needs help."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import session
from blender_addon.ground.messages import SetDresserError

NAME = "wilhelmina"
HUB_TOKEN = "hf_aTokenThatNobodyElseMaySee"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a name that would be noticed, and all that tells a program where it is."""
    folder = tmp_path / "people" / NAME
    folder.mkdir(parents=True)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(folder))
    for variable in ("LOGNAME", "USER", "USERNAME"):
        monkeypatch.setenv(variable, NAME)
    monkeypatch.setenv("HF_TOKEN", HUB_TOKEN)
    monkeypatch.setenv("HTTPS_PROXY", f"http://{NAME}:password-of-the-proxy@proxy.example:8080")
    return folder


@pytest.fixture
def used(addon: Any, home: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The add-on after a job, with the data folder in the user's home, and logs that say too much."""
    from blender_addon.ground import preferences

    chosen = preferences.get()
    chosen.data_folder = str(home / "set dresser data")
    monkeypatch.setattr(preferences, "get", lambda: chosen)
    addon.generate(source=picture, pipeline="test-box", name="the last one")
    with session.current.desk.server.log.open("ab") as log:
        log.write(f"opened {home}/scenes/kitchen.blend as {NAME}\n".encode())
        log.write(f"Authorization: Bearer {session.current.desk.server.token}\n{HUB_TOKEN}\n".encode())
        log.write(json.dumps({"path": f"C:\\Users\\{NAME}\\props"}).encode() + b"\n")
    session.current.desk.report(SetDresserError(f"{home}/x cannot be read.", "Look.", "file", f"by {NAME}"))
    yield addon


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_nothing_in_it_is_secret(used: Any, home: Path, tmp_path: Path) -> None:
    files = contents(used.support_bundle(tmp_path / "report.zip"))
    for name, data in files.items():
        text = data.decode()
        for secret in (session.current.desk.server.token, HUB_TOKEN, NAME, str(home), "password-of-the-proxy"):
            assert secret.lower() not in text.lower(), (name, secret)
    assert "opened ~/scenes/kitchen.blend as <user>" in files[f"logs/{session.current.desk.server.log.name}"].decode()


def test_what_helps_is_in_it(used: Any, tmp_path: Path) -> None:
    files = contents(used.support_bundle(tmp_path / "report"))
    versions = json.loads(files["versions.json"])
    assert versions["blender"] == bpy.app.version_string
    assert versions["backend"] == session.current.desk.server.version
    assert re.fullmatch(r"\d+\.\d+\.\d+", versions["addon"])
    assert versions["graphics"] and versions["system"]
    assert "HF_TOKEN" in versions["variables_set"]
    settings = json.loads(files["settings.json"])
    assert settings["scene"]["source"] == "CAMERA" and settings["preferences"]["idle_minutes"] == 5
    state = json.loads(files["state.json"])
    assert state["last_error"].startswith("file: ~/x cannot be read.")
    assert [job["state"] for job in state["jobs"]] == ["done"]
    assert json.loads(files["job/request.json"])["name"] == "the last one"
    assert json.loads(files["job/result.json"])["pipeline"]["id"] == "test-box"
    assert "job/log.txt" in files
    assert not any(name.endswith((".png", ".bin", ".npy", ".glb")) for name in files)


def test_the_packages_of_the_backends_python_are_listed(
    used: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "env" / "lib" / "python3.11" / "site-packages" / "fastapi-9.8.7.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: fastapi\nVersion: 9.8.7\n")
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir()
    python.touch()
    (tmp_path / "env" / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.9.final.0\n")
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(python))
    session.current.line.check_set_up()
    versions = json.loads(contents(used.support_bundle(tmp_path / "report.zip"))["versions.json"])
    assert versions["packages"] == {"fastapi": "9.8.7"}
    assert versions["python_of_backend"] == "3.11.9.final.0"


def test_pictures_only_if_they_are_wanted(used: Any, tmp_path: Path, picture: Path) -> None:
    files = contents(used.support_bundle(tmp_path / "report.zip", pictures=True))
    assert picture.read_bytes() in files.values()


def test_before_anything_was_done_there_is_a_report_too(addon: Any, tmp_path: Path) -> None:
    session.current.desk.wanted = None
    files = contents(addon.support_bundle(tmp_path / "report.zip"))
    assert {"versions.json", "settings.json", "state.json"} <= set(files)


def test_a_report_that_cannot_be_written_leaves_nothing(
    addon: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SetDresserError, match="cannot be written"):
        addon.support_bundle(tmp_path / "nowhere" / "report.zip")
    old = tmp_path / "report.zip"
    old.write_bytes(b"an older one")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(SetDresserError, match="No space left"):
        addon.support_bundle(old)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ""] == ["report.zip"]
    assert old.read_bytes() == b"an older one"


def test_the_button_writes_it(addon: Any, tmp_path: Path) -> None:
    assert bpy.ops.set_dresser.support_bundle(filepath=str(tmp_path / "here.zip")) == {"FINISHED"}
    assert "versions.json" in contents(tmp_path / "here.zip")
    with pytest.raises(RuntimeError, match="cannot be written"):
        bpy.ops.set_dresser.support_bundle(filepath=str(tmp_path / "nowhere" / "here.zip"))
