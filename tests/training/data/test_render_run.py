"""A run over many models: whole objects or none, whatever ends it, and what is broken is told and skipped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.render import objects
from training.render.__main__ import SOME_BROKEN, main
from training.render.blender import BlenderError, command, find_blender
from training.views import open_views

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ["--views", "3", "--size", "8", "--solid", "8"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for Blender is a script")


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A program that is started as Blender is, and says what Blender says."""
    file = tmp_path / "blender"
    file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("fake_blender.py")}"\n')
    file.chmod(0o755)
    return str(file)


def models(folder: Path, **words: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, word in words.items():
        (folder / f"{name}.obj").write_text(word)
    return folder


def run(program: str, folder: Path, out: Path, *more: str) -> int:
    return main([str(folder), str(out), "--blender", program, "--processes", "2", *PICTURES, *more])


def whole(out: Path) -> list[str]:
    """The names of objects, each of which is complete."""
    names = sorted(path.name for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
    for name in names:
        assert len(list((out / name / "rgba").glob("*.png"))) == len(list((out / name / "pose").glob("*.npy"))) == 3
        assert (out / name / "metadata.json").is_file() and (out / name / "solid.npz").is_file()
    return names


def test_broken_models_are_skipped_and_told(program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = models(tmp_path / "models", a="model", b="broken", c="crash", d="model", e="quiet", f="model")
    assert run(program, folder, tmp_path / "out") == SOME_BROKEN
    assert whole(tmp_path / "out") == ["a", "d", "e", "f"]
    assert "b: It is broken." in caplog.text
    assert "c: Blender ended over it, with status 11" in caplog.text
    assert "e: textures are missing (wood.png)" in caplog.text
    assert [one.name for one in open_views(tmp_path / "out")] == ["a", "d", "e", "f"]
    logs = b"".join(file.read_bytes() for file in (tmp_path / "out").glob(".blender-*.log"))
    assert b"last words" in logs


def test_one_model_of_many_is_rendered(program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = models(tmp_path / "models", a="model", b="broken", c="model")
    assert run(program, folder, tmp_path / "out", "--only", "d") == 1
    assert "There is no model d in the list" in caplog.text and not (tmp_path / "out").exists()
    assert run(program, folder, tmp_path / "out", "--only", "c") == 0
    assert whole(tmp_path / "out") == ["c"]


def test_what_takes_too_long_is_ended(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(objects, "OPEN_SECONDS", 0.5)
    assert run(program, models(tmp_path / "models", a="hang"), tmp_path / "out") == SOME_BROKEN
    assert "longer than" in caplog.text and whole(tmp_path / "out") == []
    assert not list((tmp_path / "out").glob("*.partial"))


def test_what_this_blender_cannot_do_ends_the_run(
    program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(program, models(tmp_path / "models", a="impossible", b="model"), tmp_path / "out") == 1
    assert "It is impossible." in caplog.text


def test_killed_at_any_moment_it_goes_on(program: str, tmp_path: Path) -> None:
    folder = models(tmp_path / "models", **{f"m{number}": "slow" for number in range(5)})
    out = tmp_path / "out"
    arguments = [str(folder), str(out), "--blender", program, "--processes", "2", *PICTURES]
    killed = subprocess.Popen([sys.executable, "-m", "training.render", *arguments], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(list(out.glob("m*"))) < 2:
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = {name: (out / name / "metadata.json").stat().st_mtime_ns for name in whole(out)}
    assert 2 <= len(before) < 5
    assert main(arguments) == 0
    assert whole(out) == [f"m{number}" for number in range(5)] and not list(out.glob(".*.partial"))
    after = {name: (out / name / "metadata.json").stat().st_mtime_ns for name in before}
    assert after == before, "what was there is not made again"
    undisturbed = tmp_path / "undisturbed"
    assert main([arguments[0], str(undisturbed), *arguments[2:]]) == 0
    for name in whole(out):
        for file in ("metadata.json", "pose/001.npy", "intrinsics.npy", "solid.npz"):
            assert (out / name / file).read_bytes() == (undisturbed / name / file).read_bytes()


def test_one_run_writes_to_a_folder_at_a_time(program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from filelock import FileLock

    folder = models(tmp_path / "models", a="model")
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        assert run(program, folder, tmp_path / "out") == 1
    assert "Another run is writing" in caplog.text
    assert run(program, folder, tmp_path / "out") == 0
    assert run(program, folder, tmp_path / "out", "--seed", "1") == 1
    assert "other settings (seed 0, not 1)" in caplog.text


def test_nothing_to_render_is_told(program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run(program, tmp_path / "none", tmp_path / "out") == 1
    (tmp_path / "models").mkdir()
    assert run(program, tmp_path / "models", tmp_path / "out") == 1
    assert "is not a folder" in caplog.text and "no model in" in caplog.text
    (tmp_path / "models" / "objects.json").write_text(json.dumps({"objects": [{"name": "a", "file": "gone.obj"}]}))
    assert run(program, tmp_path / "models", tmp_path / "out") == SOME_BROKEN
    assert "a: The file is missing." in caplog.text


def test_a_folder_that_cannot_be_written_to_is_told(
    program: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = models(tmp_path / "models", a="model")
    assert run(program, folder, folder) == run(program, folder, tmp_path) == 1
    assert caplog.text.count("Choose another folder") == 2
    assert [path.name for path in folder.iterdir()] == ["a.obj"] and not (tmp_path / "render.json").exists()
    assert run(program, folder, folder / "a.obj") == 1 and "is a file" in caplog.text
    (tmp_path / "out").mkdir()
    for content in ("{", "[1]", "3"):
        (tmp_path / "out" / "render.json").write_text(content)
        assert run(program, folder, tmp_path / "out") == 1
    assert caplog.text.count("does not tell with which settings") == 3
    for wrong in (["--distance", "1", "inf"], ["--height", "nan"]):
        assert run(program, folder, tmp_path / "new", *wrong) == 1
    assert not (tmp_path / "new").exists()


def test_a_program_that_is_no_blender_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = models(tmp_path / "models", a="model")
    assert run(str(tmp_path / "none"), folder, tmp_path / "out") == 1
    assert "cannot be started" in caplog.text
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\nexit 3\n")
    other.chmod(0o755)
    assert run(str(other), folder, tmp_path / "out") == 1
    assert "no Blender that renders" in caplog.text and whole(tmp_path / "out") == []
    assert run(str(other), folder, tmp_path / "out", "--seed", "1") == 1
    assert "other settings" not in caplog.text, "nothing has been rendered with the first ones"


def test_blender_is_found_where_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SET_DRESSER_BLENDER", "/somewhere/blender")
    assert find_blender() == "/somewhere/blender" and "--background" in command("/somewhere/blender")
    assert "--background" not in command("/somewhere/python3.11")
    monkeypatch.delenv("SET_DRESSER_BLENDER")
    monkeypatch.setattr("training.render.blender.ROOT", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(BlenderError, match="Name one with --blender"):
        find_blender()
