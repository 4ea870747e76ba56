"""The walls between the rooms of docs/architecture.md."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import build_addon
from tests.structure.source import PROGRAMS, ROOT, Import, eager_closure, imports, imports_of, module_name, sources

HEAVY = ("scipy", "skimage", "trimesh", "torch", "onnxruntime", "models", "ray")
THREADS = ("threading", "_thread", "multiprocessing", "asyncio", "concurrent")
BLOCKING = ("urllib.request", "http.client", "http.server", "requests", "httpx")
BLENDER = ("bpy", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "bl_ui", "addon_utils", "bpy_extras")
IN_BLENDER = {*sys.stdlib_module_names, *BLENDER, "numpy"}

WORKER_ONLY = (
    "backend/jobs/run.py",
    "backend/jobs/worker.py",
    "backend/pipelines/ending.py",
    "backend/pipelines/nearness.py",
    "backend/pipelines/running.py",
)
"""Modules of light rooms that only the worker process imports."""

RENDERER = ROOT / "training" / "blender"
"""What runs inside Blender: the one part of `training` that imports it."""

INSTALLER_ONLY = tuple(f"blender_addon.installer.{name}" for name in ("__main__", "commands", "machine", "run", "uv"))
"""Modules that run in the installer's own process: they may wait, and Blender never imports them."""


def crossings(found: list[Import], forbidden: tuple[str, ...]) -> list[str]:
    """What is imported although it lies behind a wall."""
    return sorted({item.module for item in found if any(item.within(package) for package in forbidden)})


def light_modules() -> list[Path]:
    """What the server process imports."""
    light = sources("backend/server", "backend/jobs", "backend/cluster", "backend/imaging", "backend/cli")
    light += [
        path for path in sources("backend/pipelines") if path.name == "__init__.py" or path.parent.name == "pipelines"
    ]
    light += [ROOT / "backend" / f"{name}.py" for name in ("errors", "contract", "camera", "shot", "scene", "files")]
    return [path for path in light if path.relative_to(ROOT).as_posix() not in WORKER_ONLY]


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in paths]


@pytest.mark.parametrize("path", named(sources("blender_addon")))
def test_the_addon_stays_in_blender(path: Path) -> None:
    found = imports_of(path)
    alone = module_name(path) in INSTALLER_ONLY
    waiting = BLENDER if alone else (*THREADS, *BLOCKING, *INSTALLER_ONLY)
    assert crossings(found, ("backend", "models", "torch", *waiting)) == []
    outside = {item.module for item in found if item.module.split(".")[0] not in {*IN_BLENDER, "blender_addon"}}
    assert outside == set(), "the add-on has the standard library and Blender's numpy, and nothing else"


@pytest.mark.parametrize("path", named(sources("backend")))
def test_the_backend_knows_no_blender(path: Path) -> None:
    assert crossings(imports_of(path), (*BLENDER, "blender_addon")) == []


@pytest.mark.parametrize("path", named(sources("training")))
def test_training_knows_the_models_alone_and_blender_as_a_process(path: Path) -> None:
    if RENDERER in path.parents:
        outside = {item.module for item in imports_of(path) if not item.within("training.blender")}
        assert {name.split(".")[0] for name in outside} <= IN_BLENDER, "Blender's Python has nothing else"
    else:
        assert crossings(imports_of(path), (*BLENDER, "blender_addon", "backend", "training.blender")) == []


def test_the_part_that_may_know_blender_is_no_larger_than_it_must_be() -> None:
    knowing = {path.name for path in sources("training/blender") if crossings(imports_of(path), BLENDER)}
    assert {"importing.py", "lighting.py", "rendering.py", "surfaces.py", "worker.py"} == knowing


MEASURES_TRAINING = {
    "bench/magic123_ablations.py",
    "bench/magic123_oracle.py",
    "bench/mira_overfit.py",
    "bench/mira_small.py",
    "bench/multiview.py",
    "bench/multiview_data.py",
    "bench/multiview_measures.py",
}
"""They measure what training reaches, or on what it renders; no program that is used imports them."""


@pytest.mark.parametrize("path", named(sources("backend", "models", "blender_addon", *PROGRAMS)))
def test_nobody_needs_training(path: Path) -> None:
    measures = path.relative_to(ROOT).as_posix() in MEASURES_TRAINING
    crossed = crossings(imports_of(path), ("training",))
    assert bool(crossed) == measures, "what a job shares with it is models/optimisation"


def test_training_is_checked_and_installed_like_the_rest_but_is_no_part_of_the_add_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert "training" in project["mypy"]["files"]
    assert "training*" in project["setuptools"]["packages"]["find"]["include"]
    packed = {name for name, _ in build_addon._entries(ROOT)}
    assert "bundle/models/optimisation/loop.py" in packed
    assert not [name for name in packed if "training/" in name]


@pytest.mark.parametrize("path", named(sources("models")))
def test_the_models_know_neither_backend_nor_blender(path: Path) -> None:
    assert crossings(imports_of(path), (*BLENDER, "blender_addon", "backend")) == []


@pytest.mark.parametrize("path", named(light_modules()))
def test_light_modules_import_nothing_heavy(path: Path) -> None:
    through = eager_closure(path)
    heavy = {module: name for module, name in through.items() if module.split(".")[0] in HEAVY}
    assert heavy == {}, f"{module_name(path)} imports heavy modules (module: imported by)"


def test_one_place_knows_ray() -> None:
    knowing = [path.name for path in sources("backend", "models", "training") if crossings(imports_of(path), ("ray",))]
    assert knowing == ["rays.py"]


def test_reading_a_header_takes_the_standard_library_alone() -> None:
    through = eager_closure(ROOT / "models" / "headers.py")
    assert {module.split(".")[0] for module in through} <= {*sys.stdlib_module_names, "models"}


def test_the_server_process_has_nothing_heavy_in_memory() -> None:
    script = (
        "import sys, backend.server.main, backend.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    assert {"backend", "pydantic", "uvicorn"} <= loaded
    assert loaded & set(HEAVY) == set()


SNIPPET = """
from __future__ import annotations
import os, numpy.linalg as algebra
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from scipy import sparse
else:
    import shelve
from . import near
from ..other.place import thing
try:
    import torch.nn
except ImportError:
    torch = None
def late():
    import trimesh
    importlib.import_module("skimage.measure")
class Body:
    import zlib
"""


def test_the_reader_of_imports_sees_every_kind() -> None:
    found = imports(SNIPPET, "backend.room.module")
    eager = {item.module for item in found if item.eager}
    late = {item.module for item in found if not item.eager}
    assert {"os", "numpy.linalg", "shelve", "torch.nn", "zlib", "backend.room.near", "backend.other.place"} <= eager
    assert "backend.other.place.thing" in eager
    assert late == {"scipy", "scipy.sparse", "trimesh", "skimage.measure"}
    package = imports("from . import near\nfrom .far import x\n", "backend.room", is_package=True)
    assert {item.module for item in package} >= {"backend.room.near", "backend.room.far"}


def test_the_walls_would_be_noticed_if_they_fell() -> None:
    found = imports(SNIPPET, "backend.room.module")
    assert crossings(found, HEAVY) == ["scipy", "scipy.sparse", "skimage.measure", "torch.nn", "trimesh"]
    assert crossings(imports("import bpyramid\nimport torchless", "x"), ("bpy", "torch")) == []
    assert crossings(imports("from bpy.types import Panel", "x"), ("bpy",)) == ["bpy.types", "bpy.types.Panel"]
    through = eager_closure(ROOT / "backend" / "export.py")
    assert through["trimesh"].startswith("backend.geometry."), "heavy imports are followed through other modules"
    assert light_modules() and sources("blender_addon")
