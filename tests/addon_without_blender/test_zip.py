"""The zip: what is packed, and that it is the same each time."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest

import build_addon

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_addon.build(ROOT, tmp_path_factory.mktemp("dist"))


def test_the_zip_holds_what_it_needs_and_nothing_else(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    needed = {
        "blender_manifest.toml",
        "__init__.py",
        "LICENSE",
        "ui/operators/generate.py",
        "bundle/backend/__main__.py",
        "bundle/backend/pipelines/inflate/run.py",
        "bundle/models/__init__.py",
        *(f"bundle/backend/weights/local/u2netp/{name}" for name in ("u2netp.onnx", "LICENSE", "ORIGIN.md")),
        *(
            f"bundle/backend/weights/local/mira-small/{name}"
            for name in ("checkpoint_5300.pt", "config.json", "ATTRIBUTION.md", "ORIGIN.md")
        ),
        *(
            f"bundle/backend/weights/local/hull-prior/{name}"
            for name in ("model.safetensors", "ATTRIBUTION.md", "ORIGIN.md")
        ),
        "installer/__main__.py",
        *(f"bundle/requirements/{name}" for name in ("server.txt", "learned.txt", "torch.txt", "uv.txt")),
    }
    assert needed <= set(names)
    assert names == sorted(names)
    assert len(names) == len(set(names))
    allowed = {
        ".css",
        ".js",
        ".svg",
        ".py",
        ".toml",
        ".txt",
        ".json",
        ".md",
        ".html",
        ".onnx",
        ".pt",
        ".safetensors",
        "",
    }
    assert {Path(name).suffix for name in names} <= allowed
    assert not [name for name in names if "pycache" in name or "test" in name or name.startswith(("/", "."))]
    for name in ("server.txt", "learned.txt"):
        requirements = zipfile.ZipFile(archive).read(f"bundle/requirements/{name}").decode()
        assert requirements == (ROOT / "requirements" / name).read_text()
        assert "--hash=sha256:" in requirements


def test_the_same_sources_give_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for part in ("blender_addon", "backend", "models", "requirements"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", copy)
    for path in copy.rglob("*.py"):
        os.utime(path, (1, 1))
    (copy / "backend" / "__pycache__").mkdir()
    (copy / "backend" / "__pycache__" / "x.pyc").touch()
    again = build_addon.build(copy)
    assert again == copy / "dist" / archive.name
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(archive.read_bytes()).digest()
    assert [path.name for path in again.parent.iterdir()] == [archive.name]


def test_versions_that_differ_are_not_packed(tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend" / "__init__.py").write_text('__version__ = "1.0"\n')
    (tmp_path / "blender_addon").mkdir()
    (tmp_path / "blender_addon" / "blender_manifest.toml").write_text('version = "2.0"\n')
    with pytest.raises(SystemExit, match=r"1\.0.*2\.0"):
        build_addon.build(tmp_path)
    assert not (tmp_path / "dist").exists()
