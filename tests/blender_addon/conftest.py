"""Tests inside Blender (the `bpy` module): one process, factory settings for every test, a real backend beside it."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
IN_BLENDER = importlib.util.find_spec("bpy") is not None
collect_ignore_glob = [] if IN_BLENDER else ["test_*.py"]

if IN_BLENDER:
    # Before bpy is imported: the user's own Blender settings must neither be seen nor touched.
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="set_dresser-tests-")
    atexit.register(shutil.rmtree, os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)
    import bpy

    import blender_addon
    from blender_addon import session
    from blender_addon.backend_process import studio_server
    from blender_addon.capture import block_outs
    from tests.blender_addon.driven import render_quickly
    from tests.blender_addon.small_room import FIRST, ROUND, camera_at, make_room


def pytest_report_header() -> str:
    if not IN_BLENDER:
        return "tests/blender_addon: left out, this Python has no bpy (run `make test-blender`)"
    return f"bpy {bpy.app.version_string}, backend by {backend_python()}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave without Python's and Blender's own end: bpy 4.2 may crash there and 4.5 hang, whatever the tests did."""
    if IN_BLENDER and _STATUS in config.stash:
        blender_addon.session.current.close()
        shutil.rmtree(os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])


_STATUS = pytest.StashKey[int]()


def backend_python() -> Path:
    """The Python that runs the backend in tests: SET_DRESSER_PYTHON, as `make` sets it, else the checkout's own."""
    inside = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
    return Path(os.environ.get("SET_DRESSER_PYTHON") or ROOT / ".venv" / inside)


@pytest.fixture(autouse=True)
def factory_file() -> Iterator[None]:
    """Every test begins with Blender's own start-up file, and rendering that takes no time."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    render_quickly(bpy.context.scene)
    yield
    gc.collect()


@pytest.fixture
def relation() -> Iterator[None]:
    """The pointer from prop to block-out alone, as the registered add-on has it."""
    block_outs.register()
    yield
    block_outs.unregister()


@pytest.fixture
def room() -> list[Any]:
    """A small room; its three block-outs."""
    return make_room()


@pytest.fixture
def around() -> list[Any]:
    """Four cameras round the start-up file's cube, which stands aside of the origin and is selected."""
    bpy.data.objects["Cube"].location = (3, -2, 1)
    made = [camera_at(f"Shot {number}", FIRST + angle, (3, -2, 1)) for number, angle in enumerate(ROUND, 1)]
    bpy.context.view_layer.update()
    return made


@pytest.fixture
def addon(monkeypatch: pytest.MonkeyPatch, python_with_plugin: Path) -> Iterator[Any]:
    """The add-on, registered, with a fresh session; the backend would run with the pipeline of `plugin/`."""
    monkeypatch.setenv("SET_DRESSER_PYTHON", str(python_with_plugin))
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline")
    shutil.rmtree(Path(bpy.utils.user_resource("DATAFILES", path="set_dresser", create=True)))
    blender_addon.register()
    yield blender_addon
    blender_addon.unregister()


@pytest.fixture
def several(addon: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The add-on; its backend has a pipeline that takes two to four pictures."""
    monkeypatch.setenv("SET_DRESSER_PLUGINS", "box_pipeline,photo_pipeline")
    return addon


@pytest.fixture
def studio(addon: Any, server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The add-on; its backend is `server`, a `StudioServer` of the test's own module, asked by Anna. It is seen at once
    that it is back."""
    monkeypatch.setattr(studio_server, "SOON", (0.2,))
    monkeypatch.setenv("SET_DRESSER_PYTHON", "/no/python/is/needed/here")
    addon.use_server(server.address, token=server.tokens["anna"], certificate=server.certificate)
    return addon


@pytest.fixture
def current(addon: Any) -> Any:
    """The add-on's session."""
    return session.current


@pytest.fixture(scope="session")
def python_with_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is the backend's Python, able to import the pipelines in `plugin/`.

    It compiles nothing anew: the add-on names a folder for compiled code that is the user's, and every test begins
    with an empty one.
    """
    return _python_with_plugin(tmp_path_factory.mktemp("python"), "unset PYTHONPYCACHEPREFIX\n")


@pytest.fixture(scope="session")
def compiling_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, which puts compiled code where the add-on says."""
    return _python_with_plugin(tmp_path_factory.mktemp("python"), "")


def _python_with_plugin(folder: Path, before: str) -> Path:
    real = backend_python()
    assert real.is_file(), f"{real} is not there: run `make test-blender`, or set SET_DRESSER_PYTHON"
    lines = f'#!/bin/sh\n{before}export PYTHONPATH="$PYTHONPATH:{HERE / "plugin"}"\nexec "{real}" "$@"\n'
    return script(folder / "python", lines)


def script(path: Path, text: str) -> Path:
    """A program."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A red square on a transparent ground: one object."""
    import numpy as np

    from blender_addon.capture.pictures import png

    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[12:36, 20:44] = (200, 30, 20, 255)
    path = tmp_path / "square.png"
    path.write_bytes(png(pixels))
    return path
